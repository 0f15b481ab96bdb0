"""What is in a workspace, and what changed since the last look. Bounded, whatever hostile code has made of it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from sandbox.beneath import MOST_DEPTH, MOST_ENTRIES, MOST_PATH_BYTES, open_directory, open_parent
from sandbox.protocol.messages import FileChanges

_IGNORED = "__pycache__"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_KIND = 0o170000
_NOTED = (stat.S_IFREG, stat.S_IFLNK)
# What the host may not read is not empty: nothing is said of it. Other errors mean that it changed since.
_CLOSED = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE}


# What tells one version of a file from another: inode, size, and the times of its last modification and change.
Mark = tuple[int, int, int, int]


class Scan(NamedTuple):
    """Regular files and links by relative path, and the bytes and entries of everything.

    `complete` is False where a bound was reached or a directory could not be read: then there is more.
    """

    files: dict[str, Mark]
    bytes: int
    complete: bool
    entries: int = 0


EMPTY = Scan({}, 0, complete=True)


def scan(directory: int, most: int = MOST_ENTRIES) -> Scan:
    """Look at what is below `directory`, at most at `most` entries, without following a link."""
    walk = _Walk(most)
    # A description of its own, because those who share one share their place in the directory too.
    walk.look(os.open(".", _DIRECTORY, dir_fd=directory), "")
    while walk.waiting and not walk.full:
        prefix = walk.waiting.pop()
        try:
            fd = open_directory(directory, prefix)
        except OSError as error:
            walk.complete = walk.complete and error.errno not in _CLOSED
        else:
            walk.look(fd, prefix)
    return Scan(walk.files, walk.bytes, walk.complete and not walk.full, walk.entries)


class _Walk:
    """One look at a workspace, directory by directory."""

    def __init__(self, most: int) -> None:
        self.files: dict[str, Mark] = {}
        self.bytes = 0
        self.entries = 0
        self.complete = True
        self.full = False
        self.waiting: list[str] = []
        self._most = most
        self._path_bytes = 0
        self._linked: set[int] = set()

    def look(self, fd: int, prefix: str) -> None:
        """Take in what a directory holds, and close it; what is below it waits."""
        unnamed = f"/{_IGNORED}/" in f"/{prefix}"
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue  # removed since
                    path = prefix + entry.name
                    kind = status.st_mode & _KIND
                    self.entries += 1
                    self._path_bytes += len(path)
                    if kind == stat.S_IFDIR:
                        self._later(f"{path}/")
                    elif kind in _NOTED and not unnamed:
                        self.files[path] = _mark(status)
                    if status.st_nlink == 1 or kind == stat.S_IFDIR or self._first(status.st_ino):
                        self.bytes += status.st_blocks * 512
                    if self.entries > self._most or self._path_bytes > MOST_PATH_BYTES:
                        self.full = True
                        return
        finally:
            os.close(fd)

    def _first(self, inode: int) -> bool:
        """Whether this is the first name of a file with several: its bytes count once."""
        known = len(self._linked)
        self._linked.add(inode)
        return len(self._linked) > known

    def _later(self, prefix: str) -> None:
        if prefix.count("/") > MOST_DEPTH:
            self.complete = False
        else:
            self.waiting.append(prefix)


def marks_at(directory: int, path: str) -> dict[str, Mark]:
    """The marks of the file at `path`, or of all files below the directory there; none if there is nothing."""
    if f"/{_IGNORED}/" in f"/{path}":
        return {}
    try:
        parent, name = open_parent(directory, path)
        try:
            status = os.lstat(name, dir_fd=parent)
        finally:
            os.close(parent)
        if not stat.S_ISDIR(status.st_mode):
            return {path: _mark(status)} if status.st_mode & _KIND in _NOTED else {}
        fd = open_directory(directory, path)
        try:
            return {f"{path}/{below}": mark for below, mark in scan(fd).files.items()}
        finally:
            os.close(fd)
    except OSError:
        return {}  # removed or replaced since


def _mark(status: os.stat_result) -> Mark:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def changes(before: Scan, after: Scan) -> FileChanges:
    """Compare two looks. With an incomplete one, files are not called deleted."""
    if before.files == after.files:
        return FileChanges()
    old, new = before.files, after.files
    deleted = old.keys() - new.keys() if after.complete and before.complete else ()
    return FileChanges(
        created=_texts(new.keys() - old.keys()),
        modified=_texts(path for path in new.keys() & old.keys() if new[path] != old[path]),
        deleted=_texts(deleted),
    )


def _texts(paths: Iterable[str]) -> tuple[str, ...]:
    """Sorted, and with undecodable bytes replaced: what leaves the engine is text."""
    return tuple(sorted(printable(path) for path in paths))


def printable(path: str) -> str:
    """Return a path as text that can be encoded: bytes that are not UTF-8 are replaced."""
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "replace")
