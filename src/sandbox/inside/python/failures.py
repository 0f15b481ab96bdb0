"""What went wrong in a cell, as Python would show it: without this package's frames, and of bounded size."""

import os
import traceback
from types import TracebackType
from typing import Any

CELL_PREFIX = "<cell "
OURS = os.path.dirname(os.path.dirname(__file__)) + "/"
_MOST_TEXT = 200_000
_MOST_MESSAGE = 20_000


def describe(error: BaseException) -> dict[str, Any]:
    """Return the error's type, message, traceback, errno and, for SystemExit, the exit code."""
    return {
        "type": type(error).__name__,
        "message": cut(_message(error), _MOST_MESSAGE),
        "traceback": cut(_traceback(error), _MOST_TEXT),
        "errno": _number(getattr(error, "errno", None)),
        "exit_code": _exit_code(error) if isinstance(error, SystemExit) else 1,
    }


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as problem:  # noqa: BLE001 - the user's __str__ may raise anything
        return f"<str() of the exception raised {type(problem).__name__}>"


def _traceback(error: BaseException) -> str:
    _note_what_helps(error)
    for link in _chain(error):
        link.__traceback__ = _without_ours(link.__traceback__)
    try:
        return "".join(traceback.format_exception(error))
    except Exception as problem:  # noqa: BLE001 - a broken __cause__, __notes__ or source line
        return f"{type(error).__name__}: <no traceback: formatting it raised {type(problem).__name__}>\n"


def _chain(error: BaseException) -> "list[BaseException]":
    """The error with its causes and contexts, each once."""
    found: dict[int, BaseException] = {}
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in found:
            found[id(link)] = link
            waiting += [link.__cause__, link.__context__]
    return list(found.values())


def _without_ours(trace: "TracebackType | None") -> "TracebackType | None":
    """Drop what comes before the cell's first frame, and this package's frames wherever they are."""
    frames = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    files = [frame.tb_frame.f_code.co_filename for frame in frames]
    start = next((n for n, name in enumerate(files) if name.startswith(CELL_PREFIX)), 0)
    result = None
    for frame, name in reversed(list(zip(frames[start:], files[start:], strict=True))):
        if not name.startswith(OURS):
            result = TracebackType(result, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return result


def _note_what_helps(error: BaseException) -> None:
    """Say what to do about two things that work in a notebook and not here."""
    if isinstance(error, SyntaxError) and (error.text or "").lstrip()[:1] in {"%", "!"}:
        error.add_note("IPython magics and shell lines are not Python: use subprocess, or a command of the sandbox.")
    if isinstance(error, RuntimeError) and error.args == ("no running event loop",):
        error.add_note(
            "A cell without `await` runs outside the event loop: await something in it, or use asyncio.run()."
        )


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def _number(value: object) -> "int | None":
    return value if isinstance(value, int) and 0 < value < 4096 else None


def cut(text: str, most: int) -> str:
    """Keep the start and the end of a text that is too long."""
    text = clean(text)
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def clean(text: str) -> str:
    """Replace what cannot be encoded (lone surrogates), so that the engine accepts the message."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
