"""The checkpoints of a session as a tree."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from sandbox.errors import CheckpointNotFound
from sandbox.store import manifest
from sandbox.store.database import Database
from sandbox.store.manifest import Manifest, number_of, row_id
from sandbox.store.parts import digests


class CheckpointInfo(NamedTuple):
    """One checkpoint. `parent` is 0 for the first; `execution` the number of what made it, if one did."""

    number: int
    parent: int
    execution: int | None
    made: float
    label: str | None


class Difference(NamedTuple):
    """What another checkpoint has more, less and otherwise: keys, sorted."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


_COLUMNS = "id, parent, execution, made, label FROM checkpoints"


def listing(database: Database, session: int) -> list[CheckpointInfo]:
    """Every checkpoint, the oldest first."""
    query = f"SELECT {_COLUMNS} WHERE id >= ? AND id < ? ORDER BY id"
    return [
        CheckpointInfo(number_of(row[0]), *row[1:])
        for row in database.all(query, row_id(session, 0), row_id(session + 1, 0))
    ]


def find(database: Database, session: int, to: int | str) -> int:
    """The number of a checkpoint by number (0: before the first) or label (its newest). Raises CheckpointNotFound."""
    if to == 0:
        return 0
    if isinstance(to, int):
        row = database.one("SELECT id FROM checkpoints WHERE id = ?", row_id(session, to)) if 0 < to < 1 << 32 else None
    else:
        query = "SELECT max(id) FROM checkpoints WHERE id >= ? AND id < ? AND label = ?"
        row = database.one(query, row_id(session, 0), row_id(session + 1, 0), to)
    if row is None or row[0] is None:
        raise CheckpointNotFound(f"the session has no checkpoint {to!r}", {"checkpoint": to})
    return number_of(row[0])


def of_execution(database: Database, session: int, execution: int) -> int:
    """The number of the checkpoint that an execution made. Raises CheckpointNotFound."""
    query = "SELECT max(id) FROM checkpoints WHERE id >= ? AND id < ? AND execution = ?"
    row = database.one(query, row_id(session, 0), row_id(session + 1, 0), execution)
    if row[0] is None:
        raise CheckpointNotFound(f"the session has no checkpoint of execution {execution}", {"execution": execution})
    return number_of(row[0])


def diff(database: Database, old: Manifest, new: Manifest) -> Difference:
    """Compare two checkpoints. Parts of equal content are equal, whenever they were stored."""
    both = [key for key in old.keys() & new.keys() if old[key] != new[key]]
    digests = _digests(database, (part for key in both for part in (old[key], new[key])))
    changed = (key for key in both if _shape(old[key], digests) != _shape(new[key], digests))
    added, removed = new.keys() - old.keys(), old.keys() - new.keys()
    return Difference(tuple(sorted(added)), tuple(sorted(removed)), tuple(sorted(changed)))


def digest(database: Database, content: Manifest) -> bytes:
    """SHA-256 of the keys of a checkpoint with what each stands for, in the order of the keys."""
    found = _digests(database, content.values())
    shapes = [(key, _shape(content[key], found)) for key in sorted(content)]
    return hashlib.sha256(msgspec.msgpack.encode(shapes)).digest()


def _digests(database: Database, entries: object) -> dict[int, bytes]:
    assert hasattr(entries, "__iter__")
    return digests(database, {part for entry in entries if (part := manifest.part_of(entry))})


def _shape(entry: manifest.Entry, digests: dict[int, bytes]) -> object:
    """What of an entry makes it what it is: the time of a file's modification does not."""
    content = digests.get(manifest.part_of(entry))
    return content if isinstance(entry, int) else (entry.kind, entry.mode, entry.size, content, entry.target)
