"""What a checkpoint has: a mapping from key to part, kept as differences with a whole one from time to time."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sandbox.errors import CheckpointNotFound, StoreDamaged
from sandbox.store.database import Database
from sandbox.store.sealed import seal, unseal

CHAIN = 32
_LONGEST_CHAIN = 256
NUMBERS = 32
"""Bits of a row id that are the number within the session."""


class FileEntry(msgspec.Struct, frozen=True, array_like=True):
    """A file, directory or link of the workspace: `kind` is f, d or l; `part` has a file's bytes."""

    kind: str
    mode: int
    mtime: int
    size: int = 0
    part: int = 0
    target: bytes = b""


Entry = int | FileEntry
Manifest = dict[str, Entry]
Delta = dict[str, Entry | None]
"""None: the key is dropped."""
_decoder = msgspec.msgpack.Decoder(dict[str, int | FileEntry | None])


def row_id(session: int, number: int) -> int:
    """The row of a checkpoint or an execution."""
    return session << NUMBERS | number


def number_of(row: int) -> int:
    """Undo `row_id`."""
    return row & ((1 << NUMBERS) - 1)


def encode(delta: Mapping[str, Entry | None]) -> bytes:
    """The form in the database."""
    return seal(delta)


def decode(blob: bytes, what: str) -> Delta:
    """Undo `encode`. Raises StoreDamaged."""
    found: Delta = unseal(blob, _decoder, what)
    return found


def apply(manifest: Manifest, delta: Delta) -> None:
    """Take a difference into a manifest."""
    for key, entry in delta.items():
        if entry is None:
            manifest.pop(key, None)
        else:
            manifest[key] = entry


def difference(old: Manifest, new: Manifest) -> Delta:
    """What makes `new` of `old`."""
    changed: Delta = {key: entry for key, entry in new.items() if old.get(key) != entry}
    changed.update(dict.fromkeys(old.keys() - new.keys()))
    return changed


def part_of(entry: Entry | None) -> int:
    """The part that an entry needs; 0 if none."""
    return entry.part if isinstance(entry, FileEntry) else entry or 0


def parts_of(delta: Mapping[str, Entry | None]) -> set[int]:
    """The parts that are needed."""
    return {part for entry in delta.values() if (part := part_of(entry))}


def load(database: Database, session: int, number: int) -> Manifest:
    """The manifest of a checkpoint; 0 is the empty one before the first. Raises CheckpointNotFound, StoreDamaged."""
    deltas: list[Delta] = []
    with database.reading():
        while number:
            what = f"checkpoint {number}"
            row = database.one("SELECT parent, delta, whole FROM checkpoints WHERE id = ?", row_id(session, number))
            if row is None:
                raise (StoreDamaged if deltas else CheckpointNotFound)(f"there is no {what}", {"checkpoint": number})
            deltas.append(decode(row[2] or row[1], what))
            if row[2] is not None:
                break
            if not 0 <= row[0] < number:
                raise StoreDamaged(f"{what} names a parent that cannot be: {row[0]}", {"checkpoint": number})
            number = row[0]
    manifest: Manifest = {}
    for delta in reversed(deltas):
        apply(manifest, delta)
    return manifest


def wants_whole(chain: int, delta_bytes: int, entries: int) -> bool:
    """Whether a checkpoint that ends a chain of differences should have a whole manifest.

    Every 32 as a rule; where it is large and the differences are small, it would be most of what is written.
    """
    return chain >= CHAIN and (entries * 16 <= CHAIN * (delta_bytes + 1024) or chain >= _LONGEST_CHAIN)
