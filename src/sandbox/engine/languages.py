"""The languages of sessions, Python and those that Node runs, and what else a session keeps from its beginning on."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sandbox.errors import UsageError
from sandbox.protocol.messages import SessionOptions

PYTHON = "python"
OF_NODE = ("javascript", "typescript")
LANGUAGES = (PYTHON, *OF_NODE)


class Begun(NamedTuple):
    """What a session was begun with and cannot exchange. Without a language: it is new."""

    language: str | None
    seed: int | None


def is_node(language: str | None) -> bool:
    """Whether Node runs a session of this language; None is Python. Raises UsageError for one that there is not."""
    if language is not None and language not in LANGUAGES:
        raise UsageError(f"language={language!r} is not one of {', '.join(map(repr, LANGUAGES))}")
    return language in OF_NODE


def settled(session: str, options: SessionOptions, begun: Begun) -> SessionOptions:
    """The options of a session, with the language that it runs and the seed that it goes by. Raises UsageError."""
    language, seed = begun
    asked = options.language or language or PYTHON
    if language is not None and is_node(language) != is_node(asked):
        raise UsageError(f"the session {session!r} is in {language}: open it with language={language!r}")
    if language is None:
        seed = options.seed
    elif options.seed not in {None, seed}:
        how = "without a seed" if seed is None else f"with seed={seed}"
        raise UsageError(f"seed={options.seed}: the session {session!r} was begun {how}; begin another one")
    if seed is not None and is_node(asked):
        raise UsageError(f"seed={seed}: only sessions in Python can be deterministic, and this one is in {asked}")
    return msgspec.structs.replace(options, language=asked, seed=seed)


def of_cell(asked: str | None, session: str | None) -> str:
    """The language of a cell in a session of the language `session`. Raises UsageError if that cannot run it."""
    own = session or PYTHON
    language = own if asked is None else asked
    if is_node(language) != is_node(own):
        raise UsageError(f"language={language!r}: a session in {own} cannot run it; open another one for it")
    return language
