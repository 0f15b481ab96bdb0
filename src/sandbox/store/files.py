"""Files of a workspace on their way into a checkpoint.

The workspace is hostile, and its code may be running: everything is opened beneath it, through no link, without
blocking, and read as far as it had been seen to go. Two names of one file become two files.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from blake3 import blake3

from sandbox.beneath import open_parent, open_regular, reason
from sandbox.errors import StoreFull
from sandbox.store.manifest import Entry, FileEntry
from sandbox.store.packs import read_range
from sandbox.store.records import FILES
from sandbox.store.sealed import digest
from sandbox.store.staged import StagedFile, StagedPart
from sandbox.store.staging import LARGE, Staging
from sandbox.store.workspace import DIRECTORY, FILE, LINK, MODES, Mark, Survey, key_of

MOST_SEGMENTS = 10_000
_MOST_TARGET = 4096
# The clock of file systems ticks some milliseconds at a time: a file that was written just now may be written once
# more and look the same.
_TICK_NS = 50_000_000
Marks = dict[str, Mark]


class Captured(NamedTuple):
    """`marks` tell at the next capture what is unchanged, if this one is committed. `lost` says what is not kept."""

    marks: Marks
    lost: dict[str, str]
    changed: bool


class _NotKept(Exception):
    """A file is not kept; the message says why."""


def capture(
    staging: Staging, directory: int, now: Survey, before: Mapping[str, Entry], marks: Marks,
    digest_of: Callable[[int], bytes],
) -> Captured:  # fmt: skip
    """Stage what differs between the workspace, as `now` has seen it, and the manifest `before`.

    `marks` are those of the last capture or restore; `digest_of` gives the content's address of a part.
    """
    moment = time.time_ns()
    lost, kept, size = dict(now.others), {}, len(staging.changes)
    for path, mark in now.entries.items():
        key = key_of(path)
        known = before.get(key)
        if known is None or marks.get(path) != mark:
            try:
                change = _changed(staging, directory, path, mark, known, digest_of)
            except FileNotFoundError:
                continue  # removed since it was seen; if it was kept before, it is dropped below
            except (_NotKept, StoreFull) as error:
                lost[path] = str(error)
                continue
            except OSError as error:
                lost[path] = reason(error)
                continue
            if change is not None:
                staging.changes[key] = change
        # Unless it was touched just now: then it is read again next time.
        kept[path] = mark if moment - mark.ctime > _TICK_NS else mark._replace(inode=-1)
    _drop_missing(staging, now, before, kept)
    return Captured(kept, lost, len(staging.changes) > size)


def _drop_missing(staging: Staging, now: Survey, before: Mapping[str, Entry], kept: Marks) -> None:
    """Drop what is not there any more. What may be there, only not seen, stays as it was."""
    if now.full:
        return
    there = {key_of(path) for path in kept}
    closed = tuple(f"{key_of(path)}/" for path in now.closed)
    for key in before:
        if key.startswith(FILES) and key not in there and not key.startswith(closed):
            staging.drop(key)


def _changed(
    staging: Staging, directory: int, path: str, mark: Mark, known: Entry | None, digest_of: Callable[[int], bytes]
) -> StagedFile | None:
    """The entry as it is now, or None if it is as it was known."""
    old = known if isinstance(known, FileEntry) else None
    if mark.kind == DIRECTORY:
        new = StagedFile(DIRECTORY, mark.mode, 0)
    elif mark.kind == LINK:
        new = StagedFile(LINK, 0, mark.mtime, target=_target(directory, path))
    else:
        new = _file(staging, directory, path, old, digest_of)
    same = old is not None and new.content is None
    return None if same and old == FileEntry(new.kind, new.mode, new.mtime, new.size, new.part, new.target) else new


def _target(directory: int, path: str) -> bytes:
    parent, name = open_parent(directory, path)
    try:
        target = os.readlink(os.fsencode(name), dir_fd=parent)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise _NotKept("was replaced while it was read") from None
        raise
    finally:
        os.close(parent)
    if len(target) > _MOST_TARGET:
        raise _NotKept(f"is a link to more than {_MOST_TARGET} bytes")
    return target


def _file(
    staging: Staging, directory: int, path: str, old: FileEntry | None, digest_of: Callable[[int], bytes]
) -> StagedFile:
    fd = open_regular(directory, path, os.O_RDONLY, links=False)
    try:
        status = os.fstat(fd)
        mode, mtime, size = status.st_mode & MODES, status.st_mtime_ns, status.st_size
        known = digest_of(old.part) if old is not None and old.part and old.size == size else None
        if size < LARGE:
            data = b"".join(bytes(piece) for piece in read_range(fd, 0, size)) if size else b""
            if known != digest(data):
                return StagedFile(FILE, mode, mtime, size=len(data), content=staging.part(data))
        elif known is None or known != content_digest(fd, size):
            return StagedFile(FILE, mode, mtime, size=size, content=content(staging, fd, status))
    finally:
        os.close(fd)
    assert old is not None
    return StagedFile(FILE, mode, mtime, size=size, part=old.part)


def content(staging: Staging, fd: int, status: os.stat_result) -> StagedPart:
    """Stage a file's content: small ones as bytes, large ones by their parts that are no holes. Raises StoreFull."""
    if status.st_size < LARGE:
        return staging.part(b"".join(bytes(piece) for piece in read_range(fd, 0, status.st_size)))
    found = segments(fd, status.st_size)
    if len(found) > MOST_SEGMENTS:
        raise _NotKept(f"has more than {MOST_SEGMENTS} holes")
    return staging.segments(fd, status.st_size, found)


def segments(fd: int, size: int) -> list[tuple[int, int]]:
    """The ranges of a file that hold data, as far as there are `MOST_SEGMENTS` of them and one more."""
    found: list[tuple[int, int]] = []
    offset = 0
    while offset < size and len(found) <= MOST_SEGMENTS:
        try:
            start = os.lseek(fd, offset, os.SEEK_DATA)
            end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                break
            raise
        if end > start:
            found.append((start, end - start))
        offset = max(end, offset + 1)
    return found


def content_digest(fd: int, size: int) -> bytes:
    """The address that `content` would give, without storing anything."""
    found = segments(fd, size)
    hashed = blake3()
    for start, length in found:
        for piece in read_range(fd, start, length):
            hashed.update(piece)
    return address(size, found, hashed.digest())


def address(size: int, found: list[tuple[int, int]], data: bytes) -> bytes:
    """The address of a file: that of its data, and of where the data is if there are holes."""
    return data if found == [(0, size)] else digest(repr((size, found)).encode() + data)
