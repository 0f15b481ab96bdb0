"""Which session, and which of its checkpoints, an argument means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox.cli import terminal
from sandbox.errors import CheckpointNotFound, UsageError

if TYPE_CHECKING:
    from sandbox.store.sessions import SessionInfo
    from sandbox.store.store import Store

OWNER = "local"
"""Whose sessions those of this machine's engines are."""
HEAD = "head"
_NUMBER = re.compile(r"([#@]?)([0-9]{1,9})\Z", re.ASCII)
_MOST_NAMED = 5


def session(store: Store, text: str) -> SessionInfo:
    """The session of this id, or the only one of this name or whose id begins so. Raises UsageError."""
    every = store.sessions(OWNER)
    found = (
        [info for info in every if info.id == text]
        or [info for info in every if info.name == text]
        or [info for info in every if info.id.startswith(text)]
    )
    if len(found) == 1 and text:
        return found[0]
    if not found:
        raise UsageError(f"there is no session {text!r}; `sandbox sessions` lists those that there are")
    names = ", ".join(terminal.plain(info.id) for info in found[:_MOST_NAMED])
    raise UsageError(
        f"{text!r} could be any of {len(found)} sessions: {names}{', ...' if len(found) > _MOST_NAMED else ''}"
    )


def stored_id(text: str) -> str:
    """The id of the stored session that is meant, see `session`. Raises UsageError."""
    from sandbox.engine.paths import data_dir  # noqa: PLC0415 - few commands look before there is an engine
    from sandbox.store.quota import limits_of  # noqa: PLC0415
    from sandbox.store.store import Store  # noqa: PLC0415

    directory = data_dir() / "store"
    if not (directory / "store.db").exists():
        raise UsageError(f"there is no session: nothing is stored in {terminal.plain(str(directory))}")
    with Store(directory, limits_of(directory)) as store:
        return session(store, text).id


def checkpoint(store: Store, info: SessionInfo, text: str) -> int:
    """The number of the checkpoint that is meant; 0 is before the first. Raises UsageError."""
    from sandbox.store import tree  # noqa: PLC0415 - the store is open by now

    if text == HEAD:
        return info.head
    number = _NUMBER.match(text)
    try:
        if number is None:
            return store.find(info.id, text, owner=OWNER)
        if number[1] or int(number[2]) == 0:
            return store.find(info.id, int(number[2]), owner=OWNER)
        return tree.of_execution(store.database, info.key, int(number[2]))
    except CheckpointNotFound as error:
        raise UsageError(
            f"{error.message}; `sandbox sessions log {terminal.plain(info.id)}` lists those that there are"
        ) from error


def is_reserved(text: str) -> bool:
    """Whether a label of this text could not be told from what names a checkpoint otherwise."""
    return text == HEAD or _NUMBER.match(text) is not None


def place(store: Store, info: SessionInfo, number: int) -> str:
    """A checkpoint in words."""
    if number == 0:
        return "its beginning"
    (found,) = [one for one in store.checkpoints(info.id, owner=OWNER) if one.number == number]
    execution = f" (execution {found.execution})" if found.execution is not None else ""
    label = f" {terminal.plain(found.label)!r}" if found.label else ""
    return f"checkpoint {number}{execution}{label}"
