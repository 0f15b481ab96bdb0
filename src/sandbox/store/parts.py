"""Reading parts: small ones as bytes, large ones as extents of packs that are open for reading only."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from sandbox.errors import StoreDamaged
from sandbox.store import extents as extents_module
from sandbox.store.database import Database
from sandbox.store.extents import Extents
from sandbox.store.packs import Written, open_to_read, verify
from sandbox.store.sealed import digest, unpacked
from sandbox.store.staging import LARGE

_TRIES = 5


class PartRow(NamedTuple):
    """A part as the database has it: bytes, or where they are."""

    id: int
    size: int
    digest: bytes
    extents: Extents | None
    data: bytes | None

    def inline(self) -> bytes:
        """The bytes that are in the database. Raises StoreDamaged."""
        assert self.data is not None
        data = unpacked(self.data, LARGE)
        if len(data) != self.size or digest(data) != self.digest:
            raise StoreDamaged(f"the stored part {self.id} is not what was written", {"part": self.id})
        return data


class Large(NamedTuple):
    """A large part: `extents` are (offset in the part, index of the descriptor, offset in the pack, size)."""

    size: int
    extents: tuple[tuple[int, int, int, int], ...]


class _Place(NamedTuple):
    pack: str
    record: Written


class Parts:
    """What a checkpoint's keys stand for. `fds` are open, read-only, until `close`: they outlast gc and deletion."""

    def __init__(self) -> None:
        self.small: dict[str, bytes] = {}
        self.large: dict[str, Large] = {}
        self.fds: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptors."""
        while self.fds:
            os.close(self.fds.pop())

    def size(self, key: str) -> int:
        """Bytes of a part. Raises KeyError."""
        return len(self.small[key]) if key in self.small else self.large[key].size

    def read(self, key: str) -> bytes:
        """The bytes of a part, whichever it is; what no extent covers is zeros. Raises KeyError."""
        if key in self.small:
            return self.small[key]
        large = self.large[key]
        data = bytearray(large.size)
        for at, fd, offset, size in large.extents:
            done = 0
            while done < size:
                done += _some(os.preadv(self.fds[fd], [memoryview(data)[at + done : at + size]], offset + done))
        return bytes(data)


def rows(database: Database, parts: Iterable[int]) -> dict[int, PartRow]:
    """The rows of these parts. Raises StoreDamaged if one is missing."""
    wanted = set(parts)
    found = {}
    query = "SELECT id, size, digest, extents, data FROM parts WHERE id IN (SELECT value FROM json_each(?))"
    for number, size, address, extents, data in database.all(query, json.dumps(sorted(wanted))):
        where = None if extents is None else extents_module.decode(extents, size, f"part {number}")
        found[number] = PartRow(number, size, address, where, data)
    _check_there(wanted, found)
    return found


def digests(database: Database, parts: Iterable[int]) -> dict[int, bytes]:
    """By which the content of these parts is known, without the content. Raises StoreDamaged if one is missing."""
    wanted = set(parts)
    query = "SELECT id, digest FROM parts WHERE id IN (SELECT value FROM json_each(?))"
    found: dict[int, bytes] = dict(database.all(query, json.dumps(sorted(wanted))))
    _check_there(wanted, found)
    return found


def _check_there(wanted: set[int], found: Mapping[int, object]) -> None:
    if missing := wanted - found.keys():
        raise StoreDamaged(
            f"{len(missing)} parts are missing, {min(missing)} among them", {"parts": sorted(missing)[:9]}
        )


class Reader:
    """Opens the parts of one tree."""

    def __init__(self, database: Database, directory: Path) -> None:
        self._database, self._directory = database, directory

    def open(self, wanted: dict[str, int], *, verified: bool = False) -> Parts:
        """Return the parts behind these keys. Raises StoreDamaged, which names the key.

        `verified` hashes every record that is needed; otherwise small parts are hashed and large ones measured.
        """
        for attempt in range(_TRIES):
            parts = Parts()
            try:
                self._open(wanted, parts, verified=verified)
            except FileNotFoundError as error:
                # A pack was replaced between the look into the database and its opening: look again.
                parts.close()
                if attempt == _TRIES - 1:
                    name = os.path.basename(error.filename)
                    raise StoreDamaged(f"the pack {name} is missing", {"pack": name}) from error
            except BaseException:
                parts.close()
                raise
            else:
                return parts
        raise AssertionError

    def _open(self, wanted: dict[str, int], parts: Parts, *, verified: bool) -> None:
        with self._database.reading():
            found = rows(self._database, wanted.values())
            places = self._places(found.values())
        packs = _Opened(self._directory, parts.fds)
        for key, part in wanted.items():
            row = found[part]
            with _naming(key):
                if row.extents is None:
                    parts.small[key] = row.inline()
                    continue
                large = Large(row.size, tuple(packs.extents(row.extents, places, verified=verified)))
                parts.large[key] = large
                if row.size < LARGE:
                    parts.small[key] = self._small(row, parts, key)

    def _small(self, row: PartRow, parts: Parts, key: str) -> bytes:
        """A small part that is in a pack, with many others."""
        data = parts.read(key)
        del parts.large[key]
        if digest(data) != row.digest:
            raise StoreDamaged(f"the stored part {row.id} is not what was written", {"part": row.id})
        return data

    def _places(self, found: Iterable[PartRow]) -> dict[int, _Place]:
        wanted = {extent.record for row in found for extent in row.extents or ()}
        query = (
            "SELECT r.id, p.name, r.header, r.start, r.size, r.digest FROM records r JOIN packs p ON p.id = r.pack "
            "WHERE r.id IN (SELECT value FROM json_each(?))"
        )
        rows = self._database.all(query, json.dumps(sorted(wanted))) if wanted else []
        return {row[0]: _Place(row[1], Written(*row[2:])) for row in rows}


class _Opened:
    """Descriptors of packs by name, each opened once."""

    def __init__(self, directory: Path, fds: list[int]) -> None:
        self._directory, self._fds = directory, fds
        self._index: dict[str, int] = {}
        self._sizes: list[int] = []
        self._verified: set[int] = set()

    def extents(
        self, extents: Extents, places: dict[int, _Place], *, verified: bool
    ) -> Iterator[tuple[int, int, int, int]]:
        for extent in extents:
            place = places.get(extent.record)
            if place is None or extent.start + extent.size > place.record.size:
                raise StoreDamaged(f"the record {extent.record} is missing or too short", {"record": extent.record})
            index = self._open(place.pack)
            start = place.record.start + extent.start
            if start + extent.size > self._sizes[index]:
                raise StoreDamaged(
                    f"the pack {place.pack} ends at {self._sizes[index]}, and {start + extent.size} bytes were written",
                    {"pack": place.pack, "size": self._sizes[index]},
                )
            if verified and extent.record not in self._verified:
                verify(self._fds[index], place.record, place.pack)
                self._verified.add(extent.record)
            yield extent.at, index, start, extent.size

    def _open(self, name: str) -> int:
        index = self._index.get(name)
        if index is None:
            fd = open_to_read(self._directory / name)
            index = self._index[name] = len(self._fds)
            self._fds.append(fd)
            self._sizes.append(os.fstat(fd).st_size)
        return index


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
    try:
        yield
    except StoreDamaged as error:
        error.details["key"] = key
        error.message = f"{key!r} cannot be read: {error.message}"
        raise


def _some(count: int) -> int:
    if count == 0:
        raise StoreDamaged("a pack ended while it was read")
    return count


def record_bytes(database: Database, records: Iterable[int]) -> int:
    """The bytes of these records together."""
    query = "SELECT total(size) FROM records WHERE id IN (SELECT value FROM json_each(?))"
    return int(database.one(query, json.dumps(sorted(records)))[0])
