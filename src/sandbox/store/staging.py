"""What the next checkpoint will have, while it comes in: large content straight into a pack, small content in memory.

Used by one thread at a time, which need not be the database's: a slow or silent worker must not keep others from
committing. Nothing of it exists until a commit names it; `abort` makes the pack as it was.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from blake3 import blake3

from sandbox.errors import ProtocolError, StoreError
from sandbox.store import records
from sandbox.store.extents import PAGE, Extent
from sandbox.store.packs import Pack, RecordWriter, Written
from sandbox.store.sealed import digest, packed, unpacked
from sandbox.store.staged import StagedFile, StagedPart

LARGE = 64 * 1024
_BUFFER = 1024 * 1024
_MOST_HELD = 1024 * 1024
_ROW = 128  # what a part costs in the database beside its bytes
_LENGTH = struct.Struct("<I")


class Packs(Protocol):
    """Where packs to write to come from."""

    def acquire(self) -> Pack: ...
    def give_back(self, pack: Pack) -> None: ...


class Source(Protocol):
    """Where a delta comes from."""

    def fill(self, view: memoryview) -> None:
        """Fill the whole view. Raises ProtocolError if there is less."""

    def finish(self) -> None:
        """Raises ProtocolError if there is more than was asked for."""


class Held:
    """A delta that is in memory already."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def finish(self) -> None:
        """Raises ProtocolError if there is more than was asked for."""
        if self._data:
            raise _more(len(self._data))

    def fill(self, view: memoryview) -> None:
        """Fill the whole view. Raises ProtocolError."""
        if len(view) > len(self._data):
            raise _less(len(view) - len(self._data))
        view[:] = self._data[: len(view)]
        self._data = self._data[len(view) :]


class Arriving:
    """A delta of `size` bytes from a worker's socket or pipe. `deadline` is a time of `time.monotonic`."""

    def __init__(self, fd: int, size: int, deadline: float) -> None:
        self.fd, self.deadline = fd, deadline
        self._left = size
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def fill(self, view: memoryview) -> None:
        """Fill the whole view. Raises ProtocolError if the worker ends or falls silent before."""
        missing = len(view)
        self._left -= missing
        if self._left < 0:
            raise _less(-self._left)
        while missing:
            left = self.deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                raise ProtocolError(f"the worker was silent in the middle of a record: {missing} bytes are missing")
            try:
                count = os.readv(self.fd, [view[len(view) - missing :]])
            except BlockingIOError:
                continue
            except ConnectionError:
                count = 0
            if count == 0:
                raise ProtocolError(f"the worker ended in the middle of a record: {missing} bytes are missing")
            missing -= count

    def finish(self) -> None:
        """Raises ProtocolError if there is more than was asked for."""
        if self._left:
            raise _more(self._left)


def _less(missing: int) -> ProtocolError:
    return ProtocolError(f"the delta ends {missing} bytes too early")


def _more(left: int) -> ProtocolError:
    return ProtocolError(f"the delta has {left} bytes that belong to no record")


class Staging:
    """Collects the changes of one commit. `room` is asked before anything is taken in, with the bytes so far."""

    def __init__(self, packs: Packs, room: Callable[[int], None], about: str) -> None:
        self.changes: dict[str, StagedPart | StagedFile | None] = {}
        self.records: list[Written] = []
        self.others: list[StagedPart] = []
        self.stored = 0
        self.pack: Pack | None = None
        self._packs, self._room, self._about = packs, room, about
        self._held: list[StagedPart] = []
        self._held_bytes = 0
        self._buffer: memoryview | None = None
        # Whether a transaction that names the pack may have been committed, whatever became of the call: then what
        # is in it must not be cut off. Whoever takes the pack next asks the database.
        self.named = False

    # --- from a worker ------------------------------------------------------------------------------------------

    def receive(self, source: Source) -> int:
        """Take a whole delta: `u32 size, header, payload` for each record and a size of 0 at its end; return how many.

        Where there is no room for something, the rest is read all the same, so that the worker can go on, and
        What kept it from being stored is raised at the end, a StoreError or OSError. Raises ProtocolError.
        """
        count, failure = 0, None
        while header := self._header(source):
            count += 1
            if count > records.MOST_RECORDS:
                raise ProtocolError(f"a delta has more than {records.MOST_RECORDS} records")
            record = records.decode(header)
            try:
                if failure is None:
                    self.take(record, source)
                else:
                    self._skip(source, record.size)
            except (StoreError, OSError) as error:
                failure = error
        source.finish()
        if failure is not None:
            raise failure
        return count

    def take(self, record: records.Record, source: Source) -> None:
        """Take one record with its payload. Raises StoreError or OSError, with the payload read, and ProtocolError."""
        if record.key in self.changes:
            raise ProtocolError(f"a delta has two records for {record.key!r}")
        if isinstance(record, records.Drop):
            self.changes[record.key] = None
            return
        try:
            self._ask(record.size)
            large = record.size >= LARGE or isinstance(record, records.Patch)
            writer = self._begin(_about(record)) if large else None
        except (StoreError, OSError):
            self._skip(source, record.size)
            raise
        self.changes[record.key] = self._taken(record, source, writer)

    def _taken(self, record: records.Put | records.Patch, source: Source, writer: RecordWriter | None) -> StagedPart:
        if writer is None:
            data = bytearray(record.size)
            source.fill(memoryview(data))
            return self._hold(bytes(data))
        self._pour(source, record.size, writer)
        written = self._finish(writer)
        if isinstance(record, records.Put):
            return StagedPart(record.size, written.digest, None, (Extent(0, self._last(), 0, record.size),))
        return self._patch(record, written)

    def _patch(self, record: records.Patch, written: Written) -> StagedPart:
        extents, start = [], 0
        for offset, length in record.ranges:
            extents.append(Extent(offset, self._last(), start, length))
            start += length
        what = blake3(repr((record.total, record.ranges)).encode())
        return StagedPart(record.total, what.update(written.digest).digest(), None, tuple(extents), patches=True)

    def _pour(self, source: Source, size: int, writer: RecordWriter) -> None:
        buffer = self._buffer = self._buffer or memoryview(bytearray(_BUFFER))
        try:
            while size:
                piece = buffer[: min(size, _BUFFER)]
                source.fill(piece)
                writer.write(piece)
                size -= len(piece)
        except (StoreError, OSError):
            self._skip(source, size - len(piece))
            raise

    def _header(self, source: Source) -> bytes:
        length = bytearray(_LENGTH.size)
        source.fill(memoryview(length))
        size = _LENGTH.unpack(length)[0]
        if size > records.MOST_HEADER:
            raise ProtocolError(f"a record's header has {size} bytes, the most is {records.MOST_HEADER}")
        header = bytearray(size)
        source.fill(memoryview(header))
        return bytes(header)

    def _skip(self, source: Source, size: int) -> None:
        """Read what there is no room for: whoever sends it waits for that."""
        buffer = memoryview(bytearray(min(size, _BUFFER)))
        while size:
            piece = buffer[: min(size, _BUFFER)]
            source.fill(piece)
            size -= len(piece)

    # --- from the host ------------------------------------------------------------------------------------------

    def put(self, key: str, data: bytes) -> None:
        """Set a part of the host's own."""
        self.changes[key] = self.part(data)

    def drop(self, key: str) -> None:
        """Drop a part."""
        self.changes[key] = None

    def part(self, data: bytes) -> StagedPart:
        """Stage some bytes."""
        self._ask(len(data))
        if len(data) < LARGE:
            return self._hold(data)
        writer = self._begin({})
        writer.write(data)
        written = self._finish(writer)
        return StagedPart(len(data), written.digest, None, (Extent(0, self._last(), 0, len(data)),))

    def other(self, data: bytes) -> StagedPart:
        """Stage bytes that belong to the checkpoint's row and not to its manifest, such as long output."""
        part = self.part(data)
        self.others.append(part)
        return part

    def segments(self, fd: int, size: int, segments: list[tuple[int, int]]) -> StagedPart:
        """Stage the ranges of a file that hold data. If it shrinks meanwhile, what is missing is zeros."""
        self._ask(sum(length for _, length in segments))
        writer = self._begin({"segments": segments} if len(segments) < PAGE else {})
        extents = []
        for offset, length in segments:
            before = writer.size
            if copied := writer.copy(fd, offset, length):
                extents.append(Extent(offset, len(self.records), before, copied))
        written = self._finish(writer)
        found = [(extent.at, extent.size) for extent in extents]
        address = written.digest if found == [(0, size)] else digest(repr((size, found)).encode() + written.digest)
        return StagedPart(size, address, None, tuple(extents))

    def joined(self, pieces: list[tuple[int, int, int]]) -> StagedPart:
        """Stage what these pieces (descriptor, start, size) are one after the other."""
        size = sum(piece[2] for piece in pieces)
        self._ask(size)
        writer = self._begin({})
        for piece in pieces:
            writer.copy(*piece)
        written = self._finish(writer)
        return StagedPart(size, written.digest, None, (Extent(0, self._last(), 0, size),))

    def streamed(self, pieces: Iterable[bytes], size: int) -> Written:
        """Write a record of what comes, which should be `size` bytes."""
        self._ask(size)
        writer = self._begin({})
        for piece in pieces:
            writer.write(piece)
        return self._finish(writer)

    def copied(self, fd: int, start: int, size: int) -> Written:
        """Copy a record as it is; return it with the address of what was copied."""
        writer = self._begin({})
        writer.copy(fd, start, size)
        return self._finish(writer)

    # --- the end ------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Return when all that went into the pack is on the disk."""
        if self.pack is not None:
            self.pack.sync()

    def close(self, *, committed: bool) -> None:
        """Give the pack back: as it is now, or as it was before."""
        pack, self.pack = self.pack, None
        if pack is not None:
            if committed:
                pack.committed = pack.end
            elif self.named:
                pack.close()
                return
            else:
                pack.undo()
            self._packs.give_back(pack)

    def abort(self) -> None:
        """Forget everything."""
        self.changes.clear()
        self.records.clear()
        self.others.clear()
        self.close(committed=False)

    # --- within -------------------------------------------------------------------------------------------------

    def _ask(self, size: int) -> None:
        self._room(self.stored + size)

    def _begin(self, about: dict[str, object]) -> RecordWriter:
        if self.pack is None:
            self.pack = self._packs.acquire()
        return self.pack.begin({"session": self._about, **about})

    def _finish(self, writer: RecordWriter) -> Written:
        written = writer.finish()
        self.records.append(written)
        self.stored += written.stored
        return written

    def _last(self) -> int:
        return len(self.records) - 1

    def _hold(self, data: bytes) -> StagedPart:
        """Keep a small part in memory for the database; many of them go into one record of the pack."""
        blob = packed(data)
        part = StagedPart(len(data), digest(data), blob, ())
        self._held.append(part)
        self._held_bytes += len(blob)
        self.stored += len(blob) + _ROW
        if self._held_bytes > _MOST_HELD:
            self._bundle()
        return part

    def _bundle(self) -> None:
        writer = self._begin({"bundle": len(self._held)})
        for part in self._held:
            assert part.data is not None
            part.extents = (Extent(0, len(self.records), writer.size, part.size),) if part.size else ()
            writer.write(unpacked(part.data))
            self.stored -= len(part.data)
            part.data = None
        self._finish(writer)
        self._held, self._held_bytes = [], 0


def _about(record: records.Put | records.Patch) -> dict[str, object]:
    """What is said of a record in its pack: enough to make the part again without the database."""
    if isinstance(record, records.Put):
        return {"key": record.key}
    return {"key": record.key, "total": record.total, "ranges": record.ranges}
