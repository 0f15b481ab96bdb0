"""Taking in a session that was exported.

An archive is hostile: sizes are bounded before anything is read, names are only compared, content is kept under the
hash of what was read, and nothing of it exists before all of it was found to be right.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from sandbox.errors import UsageError
from sandbox.store import history, manifest
from sandbox.store.archive_format import (
    DESCRIPTION,
    MOST_DESCRIPTION,
    SMALL,
    Archive,
    ArchivedCheckpoint,
    ArchivedPart,
    ArchiveError,
    checked,
    record_name,
)
from sandbox.store.commit import Writer
from sandbox.store.database import Database
from sandbox.store.extents import Extent
from sandbox.store.manifest import row_id
from sandbox.store.sealed import digest, packed, unpacked
from sandbox.store.sessions import Lease, New, insert, insert_tree
from sandbox.store.staging import Staging
from sandbox.store.steps import reached

_CHUNK = 1024 * 1024
# What the standard library raises for archives that are none, or were changed.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError, RuntimeError, OSError, ValueError,
    OverflowError,
)  # fmt: skip


class Import:
    """Reads an archive and makes a session of it, in a tree of its own."""

    def __init__(self, database: Database, source: Path, room: int) -> None:
        self._database, self._source, self._room = database, source, room

    def read(self, staging: Staging, tree_name: str, new: New) -> str:
        """Make the session; return its id. `new` has the owner, and an id unless it is to keep its own."""
        try:
            with zipfile.ZipFile(self._source) as archive:
                described = self._described(archive)
                small = self._staged(archive, described, staging)
        except FileNotFoundError as error:
            raise UsageError(f"there is no file {self._source}") from error
        except _DAMAGE as error:
            raise ArchiveError(f"{self._source.name} is not a whole archive: {error}") from error
        staging.sync()
        reached("import staged")
        options = _begun_with(described.options)
        named = new._replace(id=new.id or described.id, name=described.name, label=described.label, options=options)
        with self._database.writing():
            tree = insert_tree(self._database, tree_name, new.owner)
            lease = insert(self._database, named, tree.id, holder=None)
            self._insert(described, small, Writer(self._database, tree, staging, {}), lease, staging)
            reached("import written")
            staging.named = True
        return named.id

    def _described(self, archive: zipfile.ZipFile) -> Archive:
        members = {info.filename: info for info in archive.infolist()}
        if len(members) != len(archive.infolist()) or not {DESCRIPTION, SMALL} <= members.keys():
            raise ArchiveError(f"{self._source.name} is not a session's archive")
        if any(info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} for info in members.values()):
            raise ArchiveError("the archive is compressed in a way that is not read here")
        if members[DESCRIPTION].file_size > MOST_DESCRIPTION:
            raise ArchiveError(f"the description has {members[DESCRIPTION].file_size} bytes, not {MOST_DESCRIPTION}")
        with archive.open(members[DESCRIPTION]) as file:
            described = checked(_exactly(file, members[DESCRIPTION].file_size))
        sizes = {record_name(index): record.size for index, record in enumerate(described.records)}
        sizes[SMALL] = sum(part.size for part in described.parts if part.extents is None)
        if members.keys() != {*sizes, DESCRIPTION} or any(members[n].file_size != size for n, size in sizes.items()):
            raise ArchiveError("the members of the archive are not those that it describes")
        if sum(sizes.values()) > self._room:
            raise ArchiveError(f"the archive has {sum(sizes.values())} bytes, there is room for {self._room}")
        return described

    def _staged(self, archive: zipfile.ZipFile, described: Archive, staging: Staging) -> list[bytes]:
        """Take the records into a pack; return the small parts, each found to be what the description says."""
        for index, record in enumerate(described.records):
            with archive.open(record_name(index)) as file:
                written = staging.streamed(_pieces(file, record.size), record.size)
            if written.size != record.size or written.digest != record.digest:
                raise ArchiveError(f"the record {index} of the archive is not what was written")
        small = []
        with archive.open(SMALL) as file:
            for part in described.parts:
                if part.extents is None:
                    data = _exactly(file, part.size)
                    if digest(data) != part.digest:
                        raise ArchiveError("a part of the archive is not what was written")
                    small.append(packed(data))
        return small

    def _insert(self, described: Archive, small: list[bytes], writer: Writer, lease: Lease, staging: Staging) -> None:
        writer.packs()
        waiting = iter(small)
        blobs = {n: next(waiting) for n, part in enumerate(described.parts, 1) if part.extents is None}
        only_outputs = _only_outputs(described)
        parts = [0] + [
            0 if n in only_outputs else self._part(described, part, writer, blobs.get(n))
            for n, part in enumerate(described.parts, 1)
        ]
        for checkpoint in described.checkpoints:
            self._checkpoint(lease.key, checkpoint, parts)
        for execution in described.executions:
            part = described.parts[execution.outputs - 1] if execution.outputs else None
            data = unpacked(blobs[execution.outputs]) if part and part.extents is None else None
            number = parts[execution.outputs] if part and part.extents is not None else None
            history.insert(self._database, lease.key, execution.record, data, number)
            artifacts = [msgspec.structs.replace(a, part=parts[a.part]) for a in execution.artifacts]
            history.insert_artifacts(self._database, lease.key, execution.record.number, artifacts)
        last = max((checkpoint.number for checkpoint in described.checkpoints), default=0)
        stored = staging.stored + sum(map(len, small))
        query = "UPDATE sessions SET head = ?, next = ?, bytes = ?, created = ? WHERE key = ?"
        self._database.run(query, described.head, last + 1, stored, described.created, lease.key)

    def _part(self, described: Archive, part: ArchivedPart, writer: Writer, small: bytes | None) -> int:
        if part.extents is None:
            return writer.insert(part.size, part.digest, None, small)
        extents = tuple(Extent(at, writer.record(record), start, size) for at, record, start, size in part.extents)
        return writer.insert(part.size, _address(described, part), extents, None)

    def _checkpoint(self, session: int, checkpoint: ArchivedCheckpoint, parts: list[int]) -> None:
        row = self._database.one("SELECT chain FROM checkpoints WHERE id = ?", row_id(session, checkpoint.parent))
        chain = row[0] + 1 if row else 1
        delta: manifest.Delta = {}
        for key, entry in checkpoint.delta.items():
            if isinstance(entry, manifest.FileEntry):
                delta[key] = msgspec.structs.replace(entry, part=parts[entry.part])
            else:
                delta[key] = entry and parts[entry]
        whole = None
        if chain >= manifest.CHAIN:
            full = manifest.load(self._database, session, checkpoint.parent)
            manifest.apply(full, delta)
            whole, chain = manifest.encode(full), 0
        self._database.run(
            "INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row_id(session, checkpoint.number),
            checkpoint.parent, checkpoint.execution, checkpoint.made, checkpoint.label, chain,
            manifest.encode(delta), whole,
        )  # fmt: skip


def _only_outputs(described: Archive) -> set[int]:
    """Small parts that are an execution's outputs and nothing else: these have a place of their own."""
    outputs = {execution.outputs for execution in described.executions}
    used = {manifest.part_of(entry) for checkpoint in described.checkpoints for entry in checkpoint.delta.values()}
    used |= {artifact.part for execution in described.executions for artifact in execution.artifacts}
    return {n for n in outputs - used if n and described.parts[n - 1].extents is None}


def _address(described: Archive, part: ArchivedPart) -> bytes:
    """The address of a large part from what was read, whatever the archive says it is."""
    assert part.extents is not None
    pieces = [(at, described.records[record].digest, start, size) for at, record, start, size in part.extents]
    if len(pieces) == 1 and pieces[0][2:] == (0, part.size) and described.records[part.extents[0][1]].size == part.size:
        return pieces[0][1]
    return digest(repr((part.size, pieces)).encode())


def _pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (data := file.read(min(size, _CHUNK))):
        yield data
        size -= len(data)


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = b"".join(_pieces(file, size))
    if len(data) != size:
        raise ArchiveError(f"the archive ends early: {len(data)} of {size} bytes")
    return data


def _begun_with(options: dict[str, Any]) -> dict[str, Any]:
    """What of its options a session keeps for good. An archive must not name a session in whose files it is to work.

    Raises ArchiveError.
    """
    language, seed = options.get("language"), options.get("seed")
    if not isinstance(language, str | None):
        raise ArchiveError("the archive's session is in no language")
    if seed is not None and (type(seed) is not int or not 0 <= seed < 1 << 63):
        raise ArchiveError("the archive's session has a seed that is no whole number from 0 to 2**63 - 1")
    return {name: options[name] for name in ("language", "seed") if name in options}
