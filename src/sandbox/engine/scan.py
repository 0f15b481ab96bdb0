"""What is in a workspace, and what changed since the last look. Bounded, whatever hostile code has made of it."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from sandbox.protocol.messages import FileChanges

MOST_ENTRIES = 100_000
MOST_DEPTH = 64
_IGNORED = "__pycache__"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Mark(NamedTuple):
    """What tells one version of a file from another."""

    inode: int
    size: int
    modified: int
    changed: int


class Scan(NamedTuple):
    """Regular files and links by relative path. `complete` is False where a bound was reached."""

    files: dict[str, Mark]
    bytes: int
    complete: bool


EMPTY = Scan({}, 0, complete=True)


def scan(directory: int) -> Scan:
    """Look at everything below `directory` without following a link. Unreadable directories count as empty."""
    files: dict[str, Mark] = {}
    total = 0
    seen = 0
    waiting: list[tuple[str, int]] = [("", 0)]
    complete = True
    while waiting:
        prefix, depth = waiting.pop()
        for name, status in _entries(directory, prefix):
            seen += 1
            if seen > MOST_ENTRIES:
                return Scan(files, total, complete=False)
            total += status.st_blocks * 512
            if stat.S_ISDIR(status.st_mode):
                if depth < MOST_DEPTH and name != _IGNORED:
                    waiting.append((f"{prefix}{name}/", depth + 1))
                complete = complete and depth < MOST_DEPTH
            elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                files[prefix + name] = Mark(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return Scan(files, total, complete)


def _entries(directory: int, prefix: str) -> list[tuple[str, os.stat_result]]:
    try:
        fd = _open_below(directory, prefix) if prefix else directory
    except OSError:
        return []  # removed, replaced by a link, or closed to us since its parent was read
    try:
        found = []
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
                except OSError:
                    continue  # removed since
                if len(found) > MOST_ENTRIES:
                    break
        return found
    finally:
        if fd != directory:
            os.close(fd)


def _open_below(directory: int, prefix: str) -> int:
    """Open a directory step by step, each one without following a link."""
    fd = directory
    for part in prefix.rstrip("/").split("/"):
        below = os.open(part, _DIRECTORY, dir_fd=fd)
        if fd != directory:
            os.close(fd)
        fd = below
    return fd


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


def _texts(paths: object) -> tuple[str, ...]:
    """Sorted, and with undecodable bytes replaced: what leaves the engine is text."""
    return tuple(sorted(printable(path) for path in paths))  # type: ignore[attr-defined]


def printable(path: str) -> str:
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "replace")
