"""A session as one file: `x.sandbox`, a zip with a description, the small parts, and the records of the large ones.

An archive is hostile: sizes are bounded before anything is read, names are only compared, content is kept under the
hash of what was read, and nothing of it exists before all of it was found to be right.
"""

from __future__ import annotations

import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
from blake3 import blake3

from sandbox.errors import StoreError, UsageError
from sandbox.store import history, manifest
from sandbox.store.archive_format import (
    DESCRIPTION,
    MOST_DESCRIPTION,
    SMALL,
    VERSION,
    Archive,
    ArchivedCheckpoint,
    ArchivedExecution,
    ArchivedPart,
    ArchivedRecord,
    ArchiveError,
    checked,
    record_name,
)
from sandbox.store.commit import Writer
from sandbox.store.database import Database
from sandbox.store.extents import Extent
from sandbox.store.manifest import number_of, row_id
from sandbox.store.packs import open_to_read, read_range, write_error
from sandbox.store.parts import PartRow, Reader, rows
from sandbox.store.retention import live_parts
from sandbox.store.sealed import digest, packed, unpacked
from sandbox.store.sessions import Lease, New, SessionInfo, insert, insert_tree
from sandbox.store.staging import LARGE, Staging
from sandbox.store.steps import reached

_CHUNK = 1024 * 1024
_FIRST_TIME = (1980, 1, 1, 0, 0, 0)


# --- out ------------------------------------------------------------------------------------------------------------


def export(database: Database, packs: Path, info: SessionInfo, target: Path) -> None:
    """Write the session with all its checkpoints. The file appears when it is complete. Raises StoreError."""
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with unfinished.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            with zipfile.ZipFile(file, "w") as archive:
                _Export(database, packs / info.tree.name, info).write(archive)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(target)
    except OSError as error:
        raise write_error(error, target) from error
    finally:
        unfinished.unlink(missing_ok=True)


class _Export:
    """Reads from one state of the database, and from packs that were opened meanwhile."""

    def __init__(self, database: Database, packs: Path, info: SessionInfo) -> None:
        self._database, self._packs, self._info = database, packs, info
        self._range = row_id(info.key, 0), row_id(info.key + 1, 0)
        self._fds: dict[str, int] = {}

    def write(self, archive: zipfile.ZipFile) -> None:
        try:
            with self._database.reading():
                parts = rows(self._database, live_parts(self._database, [self._info.key]))
                small = [number for number in sorted(parts) if parts[number].size < LARGE]
                large = [number for number in sorted(parts) if parts[number].size >= LARGE]
                records = self._records({e.record for number in large for e in parts[number].extents or ()})
                described, outputs = self._describe([parts[number] for number in small + large], records)
                opened = Reader(self._database, self._packs).open({str(number): number for number in small})
            description = msgspec.json.encode(described)
            if len(description) > MOST_DESCRIPTION:
                raise StoreError(f"the session's description has {len(description)} bytes, not {MOST_DESCRIPTION}")
            with opened, _member(archive, SMALL, zipfile.ZIP_DEFLATED) as file:
                for number in small:
                    file.write(opened.read(str(number)))
                for data in outputs:
                    file.write(data)
            with _member(archive, DESCRIPTION, zipfile.ZIP_DEFLATED) as file:
                file.write(description)
            self._write_records(archive, records)
        finally:
            for fd in self._fds.values():
                os.close(fd)

    def _records(self, wanted: set[int]) -> dict[int, tuple[int, int, int, bytes]]:
        """For each record its descriptor, start, size and digest."""
        found = {}
        query = "SELECT p.name, r.start, r.size, r.digest FROM records r JOIN packs p ON p.id = r.pack WHERE r.id = ?"
        for record in sorted(wanted):
            name, start, size, address = self._database.one(query, record)
            if name not in self._fds:
                self._fds[name] = open_to_read(self._packs / name)
            found[record] = self._fds[name], start, size, address
        return found

    def _write_records(self, archive: zipfile.ZipFile, records: dict[int, tuple[int, int, int, bytes]]) -> None:
        for index, (fd, start, size, address) in enumerate(records.values()):
            hashed = blake3()
            with _member(archive, record_name(index), zipfile.ZIP_STORED, size) as file:
                for piece in read_range(fd, start, size):
                    hashed.update(piece)
                    file.write(piece)
            if hashed.digest() != address:
                raise StoreError("a record of the session is damaged: `verify` says which checkpoints are whole")

    def _describe(
        self, rows: list[PartRow], records: dict[int, tuple[int, int, int, bytes]]
    ) -> tuple[Archive, list[bytes]]:
        """The description, and the outputs that come after the small parts."""
        index = {record: place for place, record in enumerate(records)}
        place = {row.id: number for number, row in enumerate(rows, 1)}
        parts = [_described_part(row, index) for row in rows]
        outputs: list[bytes] = []
        return Archive(
            version=VERSION, id=self._info.id, name=self._info.name, label=self._info.label,
            options=self._info.options, created=self._info.created, head=self._info.head,
            checkpoints=self._checkpoints(place), executions=self._executions(place, parts, outputs),
            records=[ArchivedRecord(size, address) for _, _, size, address in records.values()], parts=parts,
        ), outputs  # fmt: skip

    def _checkpoints(self, place: dict[int, int]) -> list[ArchivedCheckpoint]:
        query = "SELECT id, parent, execution, made, label, delta FROM checkpoints WHERE id >= ? AND id < ? ORDER BY id"
        return [
            ArchivedCheckpoint(
                number_of(row[0]), row[1], row[2], row[3], row[4],
                {key: _placed(entry, place) for key, entry in manifest.decode(row[5], "a checkpoint").items()},
            )
            for row in self._database.all(query, *self._range)
        ]  # fmt: skip

    def _executions(
        self, place: dict[int, int], parts: list[ArchivedPart], outputs: list[bytes]
    ) -> list[ArchivedExecution]:
        found = []
        artifacts: dict[int, list[history.ArtifactRecord]] = {}
        for number, artifact in history.artifacts(self._database, self._info.key):
            placed = msgspec.structs.replace(artifact, part=place[artifact.part])
            artifacts.setdefault(number, []).append(placed)
        for record in reversed(history.page(self._database, self._info.key, -1, None)):
            data, part = history.stored_outputs(self._database, self._info.key, record.number)
            if data is not None:
                outputs.append(data)
                parts.append(ArchivedPart(len(data), digest(data), None))
                part = len(parts)
            else:
                part = place[part] if part else 0
            found.append(ArchivedExecution(record, part, artifacts.get(record.number, [])))
        return found


def _described_part(row: PartRow, index: dict[int, int]) -> ArchivedPart:
    if row.size < LARGE:
        return ArchivedPart(row.size, row.digest, None)
    extents = [(extent.at, index[extent.record], extent.start, extent.size) for extent in row.extents or ()]
    return ArchivedPart(row.size, row.digest, extents)


def _placed(entry: manifest.Entry | None, place: dict[int, int]) -> manifest.Entry | None:
    if isinstance(entry, manifest.FileEntry):
        return msgspec.structs.replace(entry, part=place.get(entry.part, 0))
    return entry and place[entry]


def _member(archive: zipfile.ZipFile, name: str, how: int, size: int = 0) -> IO[bytes]:
    info = zipfile.ZipInfo(name, _FIRST_TIME)
    info.compress_type = how
    info.file_size = size
    return archive.open(info, "w", force_zip64=True)


# --- in -------------------------------------------------------------------------------------------------------------


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
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
            raise ArchiveError(f"{self._source.name} is not a whole archive: {error}") from error
        except FileNotFoundError as error:
            raise UsageError(f"there is no file {self._source}") from error
        staging.sync()
        reached("import staged")
        named = new._replace(
            id=new.id or described.id, name=described.name, label=described.label, options=described.options
        )
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
