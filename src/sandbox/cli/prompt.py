"""The prompt of `sandbox repl` in a terminal: highlighting, several lines, completion from the session, history."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, ThreadedCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, completion_is_selected
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import DynamicLexer, Lexer, PygmentsLexer

from sandbox.engine.paths import data_dir
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.cli.cells import Rules
    from sandbox.cli.session import Session

_INDENT = "    "
_OPENS = (":", "{", "(", "[")
_SUFFIXES = {"python": "py", "javascript": "js", "typescript": "ts"}


class Prompt:
    """Iterates over what is typed, cell by cell, until Ctrl-D."""

    def __init__(self, session: Session, rules: Rules) -> None:
        suffix = _SUFFIXES[session.opened.language]
        self._code, self._shell = (PygmentsLexer.from_filename(f"cell.{kind}") for kind in (suffix, "sh"))
        self._prompt: PromptSession[str] = PromptSession(
            ">>> ",
            multiline=True,
            prompt_continuation="... ",
            lexer=DynamicLexer(self._lexer),
            completer=ThreadedCompleter(FromSession(session)),
            complete_while_typing=False,
            history=_history("repl-history" if suffix == "py" else "repl-history-node"),
            key_bindings=_bindings(rules),
        )

    def _lexer(self) -> Lexer:
        return self._shell if self._prompt.default_buffer.text.startswith("!") else self._code

    def __iter__(self) -> Iterator[str]:
        while True:
            try:
                text = self._prompt.prompt()
            except KeyboardInterrupt:
                continue  # Ctrl-C clears the line
            except EOFError:
                return
            yield text


class FromSession(Completer):
    """Asks the worker, which knows its variables. What it answers is text of an untrusted process."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield completions of the name before the cursor."""
        cursor = document.cursor_position
        try:
            found = self._session.complete(document.text, cursor)
        except SandboxError:
            return  # the next cell meets the same error, and can report it
        if found.start > cursor:
            return
        for match in found.matches:
            if match.isprintable():
                yield Completion(match, found.start - cursor, display=match.rpartition(".")[2] or match)


def _bindings(rules: Rules) -> KeyBindings:
    bindings = KeyBindings()

    @Condition
    def in_indentation() -> bool:
        from prompt_toolkit.application import get_app  # noqa: PLC0415

        return not get_app().current_buffer.document.current_line_before_cursor.strip()

    @bindings.add("enter", filter=~completion_is_selected)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        at_end = not buffer.document.text_after_cursor.strip()
        if at_end and rules.is_complete(buffer.text):
            buffer.document = Document(buffer.text.rstrip())
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n" + _indentation(buffer.document.current_line_before_cursor))

    @bindings.add("tab", filter=in_indentation)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text(_INDENT)

    return bindings


def _indentation(line: str) -> str:
    """What the line after `line` begins with."""
    own = line[: len(line) - len(line.lstrip())]
    return own + _INDENT if line.rstrip().endswith(_OPENS) else own


def _history(name: str) -> History:
    """Keep what was typed, for this user's eyes alone. Where it cannot be kept, it lasts for this session."""
    path = data_dir() / name
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)
