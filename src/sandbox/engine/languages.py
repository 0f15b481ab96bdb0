"""The languages of sessions: Python, and those that Node runs."""

from __future__ import annotations

from sandbox.errors import UsageError

PYTHON = "python"
OF_NODE = ("javascript", "typescript")
LANGUAGES = (PYTHON, *OF_NODE)


def is_node(language: str) -> bool:
    """Whether Node runs a session of this language. Raises UsageError for one that there is not."""
    if language not in LANGUAGES:
        raise UsageError(f"language={language!r} is not one of {', '.join(map(repr, LANGUAGES))}")
    return language in OF_NODE


def check_same(session: str, language: str, asked: str) -> None:
    """Raises UsageError if a session that is in `language` is to be opened in one that its worker cannot run."""
    if is_node(language) != is_node(asked):
        raise UsageError(f"the session {session!r} is in {language}: open it with language={language!r}")


def of_cell(asked: str | None, session: str) -> str:
    """The language of a cell in a session of the language `session`. Raises UsageError if that cannot run it."""
    language = session if asked is None else asked
    if is_node(language) != is_node(session):
        raise UsageError(f"language={language!r}: a session in {session} cannot run it; open another one for it")
    return language
