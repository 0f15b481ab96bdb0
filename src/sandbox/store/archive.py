"""A session as one file: `x.sandbox`, a zip with a description, the small parts, and the records of the large ones."""

from __future__ import annotations

import os
import secrets
import zipfile
from pathlib import Path
from typing import IO

import msgspec
from blake3 import blake3

from sandbox.errors import StoreError
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
    record_name,
)
from sandbox.store.database import Database
from sandbox.store.manifest import number_of, row_id
from sandbox.store.packs import open_to_read, read_range, write_error
from sandbox.store.parts import PartRow, Reader, rows
from sandbox.store.retention import live_parts
from sandbox.store.sealed import digest
from sandbox.store.sessions import SessionInfo
from sandbox.store.staging import LARGE

_CHUNK = 1024 * 1024
_FIRST_TIME = (1980, 1, 1, 0, 0, 0)


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
