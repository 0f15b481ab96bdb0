"""Watching a workspace: inotify on its directories, each opened without following a link.

Written here because the libraries for it take paths and follow links, and every name below a workspace is hostile.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable, Iterator

from sandbox.engine.beneath import file_error, openat2, relative
from sandbox.engine.scan import MOST_DEPTH, printable
from sandbox.engine.workspaces import Workspace
from sandbox.protocol.messages import Event, FilesChanged, WatchFiles, Watching

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_OVERFLOW, _IGNORED, _ONLYDIR, _ISDIR = 0x4000, 0x8000, 0x01000000, 0x40000000
_WANTED = _MODIFY | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ONLYDIR
_HEADER = struct.Struct("iIII")
_MOST_DIRECTORIES = 4096
_libc = ctypes.CDLL(None, use_errno=True)


async def watch(workspace: Workspace, request: WatchFiles, emit: Callable[[Event], None]) -> None:
    """Emit what changes below a directory until cancelled. Raises SandboxFileError."""
    watcher = _Watcher(workspace, recursive=request.recursive)
    loop = asyncio.get_running_loop()
    try:
        try:
            watcher.add(relative(request.path, str(workspace.path)))
        except OSError as error:
            raise file_error(error, request.path, "watch") from error
        emit(Watching())
        loop.add_reader(watcher.fd, watcher.read, emit)
        await loop.create_future()
    finally:
        loop.remove_reader(watcher.fd)
        os.close(watcher.fd)


class _Watcher:
    """One inotify instance with its directories."""

    def __init__(self, workspace: Workspace, *, recursive: bool) -> None:
        self._workspace = workspace
        self._recursive = recursive
        self._paths: dict[int, str] = {}
        self.fd = _check(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))

    def add(self, path: str) -> list[str]:
        """Watch a directory, and those below it; return the files that are in new ones already."""
        found: list[str] = []
        waiting = [path]
        while waiting and len(self._paths) < _MOST_DIRECTORIES:
            here = waiting.pop()
            fd = openat2(self._workspace.fd, here, os.O_RDONLY | os.O_DIRECTORY)
            try:
                # Through the descriptor: the name could be another directory's by now.
                number = _check(_libc.inotify_add_watch(self.fd, f"/proc/self/fd/{fd}".encode(), _WANTED))
                self._paths[number] = here
                if self._recursive and here.count("/") < MOST_DEPTH:
                    with os.scandir(fd) as entries:
                        for entry in entries:
                            below = os.path.normpath(f"{here}/{entry.name}")
                            found.append(below)
                            if entry.is_dir(follow_symlinks=False):
                                waiting.append(below)
            finally:
                os.close(fd)
        return found

    def read(self, emit: Callable[[Event], None]) -> None:
        """Take the events that are there; each change is reported once."""
        changed: dict[FilesChanged, None] = {}
        for number, mask, name in self._events():
            if mask & _OVERFLOW:
                changed[FilesChanged(".", "overflow")] = None
            elif mask & _IGNORED:
                self._paths.pop(number, None)
            elif number in self._paths:
                path = os.path.normpath(f"{self._paths[number]}/{name}")
                changed[FilesChanged(printable(path), _kind(mask))] = None
                if mask & _ISDIR and mask & (_CREATE | _MOVED_TO) and self._recursive:
                    changed.update(dict.fromkeys(self._new_directory(path)))
        for event in changed:
            emit(event)

    def _new_directory(self, path: str) -> list[FilesChanged]:
        """Watch a directory that appeared. What was put into it before the watch is reported as created."""
        try:
            return [FilesChanged(printable(below), "created") for below in self.add(path)]
        except OSError:
            return []  # gone again

    def _events(self) -> Iterator[tuple[int, int, str]]:
        try:
            data = os.read(self.fd, 64 * 1024)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            number, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            yield number, mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))
            at += length


def _kind(mask: int) -> str:
    if mask & (_CREATE | _MOVED_TO):
        return "created"
    return "deleted" if mask & (_DELETE | _MOVED_FROM) else "modified"


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
