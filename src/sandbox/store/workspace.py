"""What is in a workspace, directories included, and how its paths are keys of a checkpoint."""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

from sandbox.beneath import MOST_DEPTH, MOST_ENTRIES, MOST_PATH_BYTES, open_directory
from sandbox.errors import StoreDamaged
from sandbox.store.records import FILES

CACHE = "__pycache__"
FILE, DIRECTORY, LINK = "f", "d", "l"
MODES = 0o1777
"""The bits of a mode that are kept: not those that lend somebody's rights to whoever runs the file."""
_KINDS = {stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: LINK}
_OTHERS = {
    stat.S_IFIFO: "is a FIFO",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}
_MOST_PATH = 4096
_ESCAPED = re.compile("[%\udc80-\udcff]")
_ESCAPE = re.compile("%([0-9A-F]{2})")


class Mark(NamedTuple):
    """Tells one state of an entry from another, without reading it. A directory's times are its entries' affair."""

    kind: str
    mode: int
    inode: int = 0
    size: int = 0
    mtime: int = 0
    ctime: int = 0
    links: int = 1


class Survey(NamedTuple):
    """Every entry by relative path, and those that cannot be kept with the reason.

    `closed`: directories of which nothing could be seen. `full`: there is more than is ever looked at.
    """

    entries: dict[str, Mark]
    others: dict[str, str]
    closed: list[str]
    full: bool = False

    @property
    def complete(self) -> bool:
        """Whether that is all there is."""
        return not self.closed and not self.full


def survey(directory: int, *, everything: bool = False) -> Survey:
    """Look at what is below `directory`, following no link; what Python caches there only with `everything`."""
    found = Survey({}, {}, [])
    waiting, path_bytes = [""], 0
    while waiting:
        prefix = waiting.pop()
        try:
            fd = open_directory(directory, prefix)
        except FileNotFoundError:
            continue  # removed since
        except OSError as error:
            _leave(found, prefix.rstrip("/"), f"cannot be read: {os.strerror(error.errno or 0).lower()}")
            continue
        for path, mark in _look(fd, prefix, found.others):
            path_bytes += len(path)
            if len(path) > _MOST_PATH // 4 and len(os.fsencode(path)) >= _MOST_PATH:
                _leave(found, path[:_MOST_PATH], "has too long a path")
                continue
            if len(found.entries) >= MOST_ENTRIES or path_bytes > MOST_PATH_BYTES:
                return found._replace(full=True)
            if mark.kind != DIRECTORY:
                found.entries[path] = mark
            elif everything or os.path.basename(path) != CACHE:
                found.entries[path] = mark
                if path.count("/") < MOST_DEPTH:
                    waiting.append(f"{path}/")
                else:
                    _leave(found, path, f"lies deeper than {MOST_DEPTH} directories")
    return found


def _leave(found: Survey, path: str, why: str) -> None:
    found.others[path] = why
    found.closed.append(path)


def _look(fd: int, prefix: str, others: dict[str, str]) -> list[tuple[str, Mark]]:
    """The entries of one directory, whose descriptor is closed."""
    found = []
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # removed since
                mark = mark_of(status)
                if mark is not None:
                    found.append((prefix + entry.name, mark))
                elif len(others) < MOST_ENTRIES:
                    others[prefix + entry.name] = _OTHERS.get(stat.S_IFMT(status.st_mode), "is no file")
                if len(found) > MOST_ENTRIES:
                    break
    finally:
        os.close(fd)
    return found


def mark_of(status: os.stat_result) -> Mark | None:
    """The mark of an entry; None for what cannot be kept."""
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    mode = status.st_mode & MODES
    if kind == DIRECTORY:
        return Mark(kind, mode)
    if kind == LINK:
        mode = 0
    return Mark(kind, mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_nlink)


def key_of(path: str) -> str:
    """A path as a key: text, whatever bytes it has."""
    return FILES + _ESCAPED.sub(_escaped, path)


def path_of(key: str) -> str:
    """Undo `key_of`. Raises StoreDamaged for what is no path below a directory."""
    path = _ESCAPE.sub(_unescaped, key.removeprefix(FILES))
    parts = path.split("/")
    if len(parts) > MOST_DEPTH + 2 or len(path) > _MOST_PATH or "\0" in path or {"", ".", ".."} & set(parts):
        raise StoreDamaged(f"{key[:200]!r} is no path of a workspace", {"key": key[:200]})
    return path


def _escaped(match: re.Match[str]) -> str:
    return "%25" if match[0] == "%" else f"%{ord(match[0]) - 0xDC00:02X}"


def _unescaped(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if number < 0x80 else chr(0xDC00 + number)
