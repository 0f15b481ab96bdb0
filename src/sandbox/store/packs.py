"""Pack files: append-only, page aligned, with all that is needed to tell a whole record from a damaged one.

A record is a header of whole pages (magic, sizes, BLAKE3 of the content, what it is, a check of the header itself)
and the content, which begins at a page so that a worker can map it. A pack is written by whoever holds its lock;
the database says how far it has been committed, and whoever takes the lock next cuts off what is behind.
Bytes that were committed once are never written again and never cut off: a worker may have them mapped.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from blake3 import blake3

from sandbox.errors import StoreDamaged, StoreError, StoreFull
from sandbox.store.extents import PAGE
from sandbox.store.steps import reached

SUFFIX = ".pack"
_MAGIC = b"SBXPACK1"
_FIXED = struct.Struct("<8sIIQ32s")  # magic, bytes of the header, bytes of what it is, bytes of the content, digest
_CHECK = 16
_MOST_HEADER = 8 * 1024 * 1024
_STEP = 8 * 1024 * 1024
_CHUNK = 1024 * 1024
_WRITEBACK = 2  # SYNC_FILE_RANGE_WRITE: begin to write out, do not wait
_libc = ctypes.CDLL(None, use_errno=True)
_MODE = 0o600


class Written(NamedTuple):
    """A record in a pack: where its header and its content begin, its size, and the content's address."""

    header: int
    start: int
    size: int
    digest: bytes

    @property
    def stored(self) -> int:
        """The bytes of the pack that it takes."""
        return _paged(self.start + self.size) - self.header


class Pack:
    """A pack that this process may append to, since it holds its lock."""

    def __init__(self, path: Path, fd: int, end: int) -> None:
        self.path, self.fd, self.end = path, fd, end
        self.id: int | None = None  # its row, once a commit has named it
        self.committed = end
        self._dirty = False

    @classmethod
    def make(cls, directory: Path) -> Pack:
        """Make a new one. Its name outlasts a power cut before anything refers to it."""
        fresh = not directory.exists()
        directory.mkdir(mode=0o700, exist_ok=True)
        path = directory / f"{secrets.token_hex(16)}{SUFFIX}"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
        except OSError as error:
            raise write_error(error, path) from error
        fcntl.flock(fd, fcntl.LOCK_EX)
        sync_directory(directory)
        if fresh:
            sync_directory(directory.parent)
        reached("pack made")
        if os.fstat(fd).st_nlink == 0:  # taken for an orphan between its making and its lock
            os.close(fd)
            return cls.make(directory)
        return cls(path, fd, 0)

    @classmethod
    def take(cls, path: Path) -> Pack | None:
        """Take the lock of an existing one; None if somebody has it or it is gone. `cut` comes next."""
        try:
            fd = _open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise write_error(error, path) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        if os.fstat(fd).st_nlink == 0:
            os.close(fd)
            return None
        return cls(path, fd, os.fstat(fd).st_size)

    def cut(self, committed: int) -> None:
        """Cut off what was never committed. Raises StoreDamaged if something is missing instead."""
        size = os.fstat(self.fd).st_size
        if size < committed:
            raise StoreDamaged(
                f"the pack {self.path.name} has {size} bytes, and {committed} were committed",
                {"pack": self.path.name, "size": size, "committed": committed},
            )
        if size > committed:
            os.ftruncate(self.fd, committed)
        self.end = self.committed = committed
        self._dirty = False

    def begin(self, about: dict[str, Any]) -> RecordWriter:
        """Begin a record; `about` says what it is, should the database be lost."""
        writer = RecordWriter(self, msgspec.msgpack.encode(about))
        reached("pack record begun")
        return writer

    def added(self, record: Written) -> None:
        """A record was written: the next one begins behind it."""
        self.end, self._dirty = _paged(record.start + record.size), True
        if os.fstat(self.fd).st_size < self.end:
            os.ftruncate(self.fd, self.end)
        reached("pack record written")

    def sync(self) -> None:
        """Return when everything is on the disk."""
        if self._dirty:
            try:
                os.fdatasync(self.fd)
            except OSError as error:
                raise write_error(error, self.path) from error
            self._dirty = False
        reached("pack synced")

    def undo(self) -> None:
        """Forget what was not committed."""
        if os.fstat(self.fd).st_size > self.committed:
            os.ftruncate(self.fd, self.committed)
        self.end, self._dirty = self.committed, False

    def close(self) -> None:
        """Give up the lock."""
        os.close(self.fd)


class RecordWriter:
    """Writes one record: content first, and the header, which has the content's address, at the end."""

    def __init__(self, pack: Pack, about: bytes) -> None:
        self._pack, self._about = pack, about
        self.header = pack.end
        self.start = self.header + _paged(_FIXED.size + len(about) + _CHECK)
        self.size = 0
        self._hash = blake3()
        self._pushed = self.start

    def write(self, data: memoryview | bytes) -> None:
        """Append to the content."""
        self._hash.update(data)
        write_at(self._pack.fd, data, self.start + self.size, self._pack.path)
        self.size += len(data)
        self._push()

    def copy(self, source: int, offset: int, size: int) -> int:
        """Append a range of a file without its bytes passing through here; return how many there were."""
        done = 0
        while done < size:
            try:
                count = _copied(source, offset + done, self._pack.fd, self.start + self.size, size - done)
            except OSError as error:
                raise write_error(error, self._pack.path) from error
            if count == 0:
                break
            done += count
            self._hash_range(self.start + self.size, count)
            self.size += count
        self._push()
        return done

    def finish(self) -> Written:
        """Write the header."""
        record = Written(self.header, self.start, self.size, self._hash.digest())
        head = _FIXED.pack(_MAGIC, self.start - self.header, len(self._about), self.size, record.digest) + self._about
        head += blake3(head).digest(length=_CHECK)
        write_at(self._pack.fd, head.ljust(self.start - self.header, b"\0"), self.header, self._pack.path)
        self._pack.added(record)
        return record

    def _hash_range(self, start: int, size: int) -> None:
        for data in read_range(self._pack.fd, start, size):
            self._hash.update(data)

    def _push(self) -> None:
        """Have the disk work while the rest comes in: otherwise the sync at the end waits for all of it."""
        end = self.start + self.size
        if end - self._pushed >= _STEP:
            size = ctypes.c_int64(end - self._pushed)
            _libc.sync_file_range(self._pack.fd, ctypes.c_int64(self._pushed), size, _WRITEBACK)
            self._pushed = end


class Found(NamedTuple):
    """What the header of a record says."""

    record: Written
    about: dict[str, Any]


def header_at(fd: int, offset: int, name: str) -> Found:
    """Read and check a header. Raises StoreDamaged."""
    fixed = os.pread(fd, _FIXED.size, offset)
    if len(fixed) == _FIXED.size:
        magic, head, about, size, digest = _FIXED.unpack(fixed)
        body = _FIXED.size + about
        if magic == _MAGIC and head % PAGE == 0 and body + _CHECK <= head <= _MOST_HEADER:
            data = os.pread(fd, body + _CHECK, offset)
            if blake3(data[:body]).digest(length=_CHECK) == data[body:]:
                what = _about(data[_FIXED.size : body], name, offset)
                return Found(Written(offset, offset + head, size, digest), what)
    raise StoreDamaged(f"the pack {name} has no whole record at {offset}", {"pack": name, "offset": offset})


def _about(data: bytes, name: str, offset: int) -> dict[str, Any]:
    try:
        found: dict[str, Any] = msgspec.msgpack.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreDamaged(f"the pack {name} has a header at {offset} that does not decode: {error}") from error
    return found


def records(fd: int, end: int, name: str) -> Iterator[Found]:
    """The records of a pack in order, as far as `end`. Raises StoreDamaged at the first header that is not whole."""
    offset = 0
    while offset < end:
        found = header_at(fd, offset, name)
        yield found
        offset = _paged(found.record.start + found.record.size)


def verify(fd: int, record: Written, name: str) -> None:
    """Raises StoreDamaged unless header and content are what was written."""
    found = header_at(fd, record.header, name).record
    content = blake3()
    for data in read_range(fd, record.start, record.size):
        content.update(data)
    if found != record or content.digest() != record.digest:
        raise StoreDamaged(
            f"the record at {record.header} in the pack {name} is not what was written",
            {"pack": name, "offset": record.header},
        )


def read_range(fd: int, start: int, size: int) -> Iterator[memoryview]:
    """The bytes of a range, piece by piece in one buffer; fewer if the file ends before."""
    buffer = memoryview(bytearray(min(_CHUNK, size)))
    done = 0
    while done < size:
        count = os.preadv(fd, [buffer[: size - done]], start + done)
        if count == 0:
            return
        yield buffer[:count]
        done += count


def open_to_read(path: Path) -> int:
    """Open a pack for reading. Raises FileNotFoundError if it was replaced meanwhile."""
    return _open(path, os.O_RDONLY)


def _open(path: Path, flags: int) -> int:
    """Open a pack. A worker that was handed one for reading may own it, and have taken its mode away."""
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except PermissionError:
        os.chmod(path, _MODE)
        return os.open(path, flags)


def write_at(fd: int, data: memoryview | bytes, offset: int, path: Path) -> None:
    """Write all of it. Raises StoreFull or StoreError."""
    view = memoryview(data)
    try:
        while view:
            written = os.pwrite(fd, view, offset)
            view, offset = view[written:], offset + written
    except OSError as error:
        raise write_error(error, path) from error


def write_error(error: OSError, path: Path) -> StoreError:
    """Turn an OSError of the store's own files into the error that users see."""
    details = {"path": str(path), "errno": error.errno}
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StoreFull(f"there is no room for {path}: {os.strerror(error.errno)}; free some disk", details)
    return StoreError(f"{path} cannot be written: {os.strerror(error.errno or 0)}", details)


def _copied(source: int, source_offset: int, target: int, target_offset: int, size: int) -> int:
    """Copy in the file system where it can (sharing blocks if it has reflinks), else through a buffer."""
    size = min(size, _STEP)
    try:
        return os.copy_file_range(source, target, size, source_offset, target_offset)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}:
            raise
    data = os.pread(source, min(size, _CHUNK), source_offset)
    return os.pwrite(target, data, target_offset)


def _paged(size: int) -> int:
    return -(-size // PAGE) * PAGE


def sync_directory(path: Path) -> None:
    """Return when the names in a directory are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
