"""The languages of sessions: Python, and those that Node runs."""

from __future__ import annotations

from sandbox.errors import UsageError

PYTHON = "python"
OF_NODE = ("javascript", "typescript")
LANGUAGES = (PYTHON, *OF_NODE)


def is_node(language: str | None) -> bool:
    """Whether Node runs a session of this language; None is Python. Raises UsageError for one that there is not."""
    if language is not None and language not in LANGUAGES:
        raise UsageError(f"language={language!r} is not one of {', '.join(map(repr, LANGUAGES))}")
    return language in OF_NODE


def of_cell(asked: str | None, session: str | None) -> str:
    """The language of a cell in a session of the language `session`. Raises UsageError if that cannot run it."""
    own = session or PYTHON
    language = own if asked is None else asked
    if is_node(language) != is_node(own):
        raise UsageError(f"language={language!r}: a session in {own} cannot run it; open another one for it")
    return language
