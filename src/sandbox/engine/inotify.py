"""Watching a workspace: inotify on its directories, each opened without following a link.

Written here because the libraries for it take paths and follow links, and every name below a workspace is hostile.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import itertools
import os
import struct
from collections.abc import Awaitable, Callable, Iterator

from sandbox.beneath import MOST_DEPTH, file_error, open_directory, relative
from sandbox.engine.forker import settle
from sandbox.engine.scan import printable
from sandbox.engine.workspaces import Workspace
from sandbox.errors import SandboxFileError
from sandbox.protocol.messages import Event, FilesChanged, WatchFiles, Watching

_MODIFY, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO = 0x2, 0x8, 0x40, 0x80
_CREATE, _DELETE, _OVERFLOW, _IGNORED = 0x100, 0x200, 0x4000, 0x8000
_ONLYDIR, _ISDIR = 0x01000000, 0x40000000
_WANTED = _MODIFY | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ONLYDIR
_HEADER = struct.Struct("iIII")
_MOST_DIRECTORIES = 4096
_MOST_FOUND = 20_000
_MOST_CHANGES = 1000
_READ_BYTES = 64 * 1024
_MOST_READS = 16
# What changes within this time is reported once, so that a program that writes in small pieces is not reported for
# each. A thousand changes a second at most: hostile code must not fill the memory of a user who is slow to look.
_TOGETHER_SECONDS = 0.02
_SECONDS_EACH = 0.001
_OVERFLOWED = FilesChanged(".", "overflow")
_libc = ctypes.CDLL(None, use_errno=True)


async def watch(
    workspace: Workspace,
    request: WatchFiles,
    emit: Callable[[Event], None],
    drained: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Emit what changes below a directory until cancelled, waiting for `drained` in between. Raises SandboxFileError.

    An `overflow` says that more changed than is reported, or that there is more than can be watched.
    """
    path = relative(request.path, str(workspace.path))
    try:
        watcher = _Watcher(workspace.fd, recursive=request.recursive)
        try:
            await _report(watcher, path, emit, drained)
        finally:
            watcher.close()
    except OSError as error:
        raise _error(error, request.path) from error


async def _report(
    watcher: _Watcher, path: str, emit: Callable[[Event], None], drained: Callable[[], Awaitable[None]] | None
) -> None:
    watcher.start(path)
    emit(Watching())
    if watcher.full:
        emit(_OVERFLOWED)
    while watcher.watching:
        await _readable(watcher.fd)
        changes = watcher.changes()
        for event in changes:
            emit(event)
        if drained is not None:  # else more would be kept than the kernel's queue, which has a bound and says so
            await drained()
        await asyncio.sleep(max(_TOGETHER_SECONDS, len(changes) * _SECONDS_EACH))
    raise OSError(errno.ENOENT, "the directory was removed")


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(fd, settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _error(error: OSError, path: str) -> SandboxFileError:
    if error.errno in {errno.ENOSPC, errno.EMFILE, errno.ENFILE}:
        name = "max_user_watches" if error.errno == errno.ENOSPC else "max_user_instances"
        text = f"cannot watch {path!r}: this machine allows no more watches; raise fs.inotify.{name} with sysctl"
        return SandboxFileError(text, {"errno": error.errno, "path": path})
    return file_error(error, path, "watch")


class _Watcher:
    """One inotify instance with its directories."""

    def __init__(self, workspace: int, *, recursive: bool) -> None:
        # Its own: the session may be deleted meanwhile, and another's workspace get the number.
        self._workspace = os.dup(workspace)
        self._recursive = recursive
        self._paths: dict[int, str] = {}
        self.full = False
        try:
            self.fd = _check(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        except OSError:
            os.close(self._workspace)
            raise

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._workspace)

    @property
    def watching(self) -> bool:
        """False when the directory and all below it are gone."""
        return bool(self._paths)

    def start(self, path: str) -> None:
        """Watch a directory, and those below it. Raises OSError if it cannot be watched itself."""
        self._watch_below(self._watch(path))

    def _watch(self, path: str) -> list[tuple[str, bool]]:
        """Watch one directory; return what is in it already, with whether each is a directory."""
        if len(self._paths) >= _MOST_DIRECTORIES:
            self.full = True
            return []
        fd = open_directory(self._workspace, path, links=not self._paths)
        try:
            # Through the descriptor: the name could be another directory's by now.
            number = _check(_libc.inotify_add_watch(self.fd, f"/proc/self/fd/{fd}".encode(), _WANTED))
            self._paths[number] = path
            if not self._recursive or path.count("/") >= MOST_DEPTH:
                return []
            with os.scandir(fd) as entries:
                found = [
                    (os.path.normpath(f"{path}/{entry.name}"), entry.is_dir(follow_symlinks=False))
                    for entry in itertools.islice(entries, _MOST_FOUND)
                ]
            self.full = self.full or len(found) == _MOST_FOUND
            return found
        finally:
            os.close(fd)

    def _watch_below(self, entries: list[tuple[str, bool]]) -> list[str]:
        """Watch the directories among these, and those below them; return the paths of everything found."""
        found: list[str] = []
        waiting = entries
        while waiting:
            found += (path for path, _ in waiting)
            below: list[tuple[str, bool]] = []
            for path, is_directory in waiting:
                if is_directory and len(found) + len(below) < _MOST_FOUND:
                    # Removed, replaced by a link, or closed to us since its parent was read.
                    with contextlib.suppress(OSError):
                        below += self._watch(path)
            waiting = below
        return found

    def _forget(self, path: str) -> None:
        """Stop watching a directory that was moved away: what happens in it is not below here any more."""
        for number, known in list(self._paths.items()):
            if known == path or known.startswith(f"{path}/"):
                del self._paths[number]
                _libc.inotify_rm_watch(self.fd, number)

    def changes(self) -> list[FilesChanged]:
        """Take the events that are there; each change is reported once, and no more than so many."""
        changed: dict[FilesChanged, None] = {}
        self.full = False
        for number, mask, name in self._events():
            if mask & _OVERFLOW:
                self.full = True
            elif mask & _IGNORED:
                self._paths.pop(number, None)
            elif number in self._paths:
                path = os.path.normpath(f"{self._paths[number]}/{name}")
                self._report(changed, path, _kind(mask))
                if mask & _ISDIR and self._recursive:
                    for new in self._moved(path, mask):
                        self._report(changed, new, "created")
        return [*changed, _OVERFLOWED] if self.full else list(changed)

    def _report(self, changed: dict[FilesChanged, None], path: str, kind: str) -> None:
        if len(changed) < _MOST_CHANGES:
            changed[FilesChanged(printable(path), kind)] = None
        else:
            self.full = True

    def _moved(self, path: str, mask: int) -> list[str]:
        """A directory came or went: follow. Return what was put into a new one before it was watched."""
        if mask & _MOVED_FROM:
            self._forget(path)
        return self._watch_below([(path, True)])[1:] if mask & (_CREATE | _MOVED_TO) else []

    def _events(self) -> Iterator[tuple[int, int, str]]:
        # As many times as the kernel's queue is long, and not for ever.
        for _ in range(_MOST_READS):
            try:
                data = os.read(self.fd, _READ_BYTES)
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
