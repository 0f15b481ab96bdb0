"""The languages of sessions: Python, and those that Node runs."""

from __future__ import annotations

import msgspec

from sandbox.errors import UsageError
from sandbox.protocol.messages import SessionOptions

PYTHON = "python"
OF_NODE = ("javascript", "typescript")
LANGUAGES = (PYTHON, *OF_NODE)


def is_node(language: str | None) -> bool:
    """Whether Node runs a session of this language; None is Python. Raises UsageError for one that there is not."""
    if language is not None and language not in LANGUAGES:
        raise UsageError(f"language={language!r} is not one of {', '.join(map(repr, LANGUAGES))}")
    return language in OF_NODE


def settled(session: str, options: SessionOptions, language: str | None) -> SessionOptions:
    """The options of a session that was begun in `language`, with the one that it runs. Raises UsageError."""
    asked = options.language or language or PYTHON
    if language is not None and is_node(language) != is_node(asked):
        raise UsageError(f"the session {session!r} is in {language}: open it with language={language!r}")
    return msgspec.structs.replace(options, language=asked)


def of_cell(asked: str | None, session: str | None) -> str:
    """The language of a cell in a session of the language `session`. Raises UsageError if that cannot run it."""
    own = session or PYTHON
    language = own if asked is None else asked
    if is_node(language) != is_node(own):
        raise UsageError(f"language={language!r}: a session in {own} cannot run it; open another one for it")
    return language
