"""What a session was begun with and cannot exchange: its language, its seed, and whose files it works in."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sandbox.engine.languages import PYTHON, is_node
from sandbox.errors import UsageError
from sandbox.protocol.messages import SessionOptions


class Begun(NamedTuple):
    """Such options, of a session that is known."""

    language: str
    seed: int | None = None
    files_of: str | None = None

    @classmethod
    def of(cls, options: SessionOptions) -> Begun | None:
        """What a session with these options was begun with; None if it is still to be settled."""
        return None if options.language is None else cls(options.language, options.seed, options.files_of)


def settled(session: str, options: SessionOptions, begun: Begun | None) -> SessionOptions:
    """The options of a session, with what it was `begun` with where nothing is said. Raises UsageError.

    None: it is new.
    """
    begun = begun or Begun(options.language or PYTHON, options.seed, options.files_of)
    language = options.language or begun.language
    if is_node(language) != is_node(begun.language):
        raise UsageError(f"the session {session!r} is in {begun.language}: open it with language={begun.language!r}")
    if options.seed not in {None, begun.seed}:
        how = "without a seed" if begun.seed is None else f"with seed={begun.seed}"
        raise UsageError(f"seed={options.seed}: the session {session!r} was begun {how}; begin another one")
    if begun.seed is not None and is_node(language):
        raise UsageError(f"seed={begun.seed}: only sessions in Python can be deterministic, and this is {language}")
    if options.files_of not in {None, begun.files_of}:
        raise UsageError(f"the session {session!r} was not begun with files_of={options.files_of!r}: open another one")
    return msgspec.structs.replace(options, language=language, seed=begun.seed, files_of=begun.files_of)
