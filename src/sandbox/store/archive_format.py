"""What the description in an archive may say. Everything else refuses the archive."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from sandbox.errors import ProtocolError, SandboxError, StoreDamaged, StoreError, UsageError
from sandbox.ids import checked_session_id
from sandbox.store import records
from sandbox.store.extents import Extent, check
from sandbox.store.history import ArtifactRecord, ExecutionRecord
from sandbox.store.manifest import FileEntry, part_of
from sandbox.store.records import FILES
from sandbox.store.staging import LARGE
from sandbox.store.workspace import MODES, path_of

VERSION = 1
DESCRIPTION, SMALL = "session.json", "small"
MOST_DESCRIPTION = 64 * 1024 * 1024
_DIGEST = 32


class ArchiveError(StoreError):
    """An archive is damaged, or not one that this release reads. Nothing of it was taken in."""


class ArchivedRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Bytes that extents refer to by their place in the list."""

    size: int
    digest: bytes


class ArchivedPart(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A part, referred to by its place in the list, from 1; without extents its bytes are with the small ones."""

    size: int
    digest: bytes
    extents: list[tuple[int, int, int, int]] | None


class ArchivedCheckpoint(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A checkpoint with its difference from its parent."""

    number: int
    parent: int
    execution: int | None
    made: float
    label: str | None
    delta: dict[str, int | FileEntry | None]


class ArchivedExecution(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An execution with the part that has its outputs, 0 if there are none, and its artifacts."""

    record: ExecutionRecord
    outputs: int
    artifacts: list[ArtifactRecord]


class Archive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session."""

    version: int
    id: str
    name: str
    label: str | None
    options: dict[str, Any]
    created: float
    head: int
    checkpoints: list[ArchivedCheckpoint]
    executions: list[ArchivedExecution]
    records: list[ArchivedRecord]
    parts: list[ArchivedPart]


class _Version(msgspec.Struct):
    version: int


def record_name(index: int) -> str:
    """The member that has a record."""
    return f"records/{index}"


def checked(data: bytes) -> Archive:
    """Read a description. Raises ArchiveError."""
    try:
        version = msgspec.json.decode(data, type=_Version).version
        _require(version == VERSION, f"the version {version}, which is not {VERSION} and so")
        archive = msgspec.json.decode(data, type=Archive)
        checked_session_id(archive.id)
        _check_parts(archive)
        _check_checkpoints(archive)
        _check_executions(archive)
    except ArchiveError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, StoreDamaged, ProtocolError, UsageError) as error:
        said = error.message if isinstance(error, SandboxError) else str(error)
        raise ArchiveError(f"the archive's description is not right: {said}") from error
    return archive


def _check_parts(archive: Archive) -> None:
    for record in archive.records:
        _require(0 <= record.size < 1 << 48 and len(record.digest) == _DIGEST, "a record")
    for part in archive.parts:
        _require(0 <= part.size < 1 << 48 and len(part.digest) == _DIGEST, "a part")
        _require((part.extents is None) == (part.size < LARGE), "a part's size")
        check(tuple(Extent(*extent) for extent in part.extents or ()), part.size, "a part")
        for _, index, start, size in part.extents or ():
            _require(0 <= index < len(archive.records) and start + size <= archive.records[index].size, "an extent")


def _check_checkpoints(archive: Archive) -> None:
    known, last = {0}, 0
    for checkpoint in archive.checkpoints:
        _require(last < checkpoint.number < 1 << 32, "a checkpoint's number")
        _require(checkpoint.parent in known and math.isfinite(checkpoint.made), "a checkpoint")
        for key, entry in checkpoint.delta.items():
            _check_entry(archive, key, entry)
        last = checkpoint.number
        known.add(last)
    _require(archive.head in known, "the head")


def _check_entry(archive: Archive, key: str, entry: int | FileEntry | None) -> None:
    _require(0 <= part_of(entry) <= len(archive.parts), "an entry's part")
    if isinstance(entry, FileEntry):
        path_of(key)
        _require(key.startswith(FILES) and entry.mode & ~MODES == 0 and abs(entry.mtime) < 1 << 62, "a file")
        _require(entry.kind != "f" or (entry.part > 0 and archive.parts[entry.part - 1].size == entry.size), "a file")
        _require(b"\0" not in entry.target and bool(entry.target) == (entry.kind == "l"), "a link")
    elif entry is None:
        _require(len(key) > 0, "a key")
    else:
        _require(entry > 0, "an entry")
        records.checked_key(key)


def _check_executions(archive: Archive) -> None:
    seen: set[int] = set()
    for execution in archive.executions:
        number = execution.record.number
        _require(0 < number < 1 << 32 and number not in seen, "an execution's number")
        seen.add(number)
        _require(0 <= execution.outputs <= len(archive.parts), "an execution's outputs")
        names = [artifact.name for artifact in execution.artifacts]
        _require(len(set(names)) == len(names), "an artifact's name")
        for artifact in execution.artifacts:
            _require(0 < artifact.part <= len(archive.parts), "an artifact's part")


def _require(right: bool, what: str) -> None:
    if not right:
        raise ArchiveError(f"the archive's description has {what} that cannot be")
