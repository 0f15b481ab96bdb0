"""A session's writable directory, on the host's side."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from sandbox.engine.ids import Ids
from sandbox.engine.scan import EMPTY, Scan, changes, marks_at, scan
from sandbox.inside import tidy
from sandbox.inside.contain.policy import NAMESPACES, WORKSPACE
from sandbox.protocol.messages import FileChanges

# A look at fewer files than this is shorter than the way to another thread and back is worth; a longer one would
# keep the engine from everybody else.
_MANY = 200
_NO_DIRECTORIES = 2
_TICK_NS = 50_000_000


class Workspace:
    """Owned by one session, or by a parked worker until it gets one."""

    def __init__(self, place: Path, name: str, ids: Ids) -> None:
        self.name = name
        self.path = place / name
        self.uid = ids.take()
        self._ids = ids
        self.path.mkdir(mode=0o700)
        self.tmp = self.path.with_name(f"{name}.tmp")
        owner = ids.on_host(self.uid)
        self.owner = None if owner is None else (owner, owner)
        self.last = EMPTY
        self.touched = False  # by the host, since it was last saved
        self._stamp = (0, 0, 0)
        self._comparing = asyncio.Lock()
        if self.owner:
            os.chown(self.path, *self.owner)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def inside(self, level: str) -> str:
        """Where the worker sees it."""
        return WORKSPACE if level == NAMESPACES else str(self.path)

    def tmp_inside(self, level: str) -> str:
        """The worker's directory for temporary files."""
        return "/tmp" if level == NAMESPACES else str(self.tmp)  # noqa: S108 - inside the sandbox

    def move_to(self, place: Path) -> None:
        """Move to where another zygote can show it: its session got other options. No process may use it now."""
        if self.path.parent != place:
            self.path = self.path.rename(place / self.name)
            self.tmp = self.tmp.rename(place / self.tmp.name) if self.tmp.exists() else place / self.tmp.name

    def make_tmp(self) -> None:
        """Make the directory that stands in for /tmp where there is no mount namespace."""
        self.tmp.mkdir(mode=0o700, exist_ok=True)
        if self.owner:
            os.chown(self.tmp, *self.owner)

    async def look(self) -> Scan:
        """See what is there now, without making it the point of comparison."""
        if len(self.last.files) < _MANY:
            now = scan(self.fd, _MANY)
            if now.entries <= _MANY:
                return now
        return await asyncio.to_thread(scan, self.fd)

    async def changed(self) -> tuple[FileChanges, Scan]:
        """Return what changed since the last call."""
        async with self._comparing:  # two sessions may work in it
            if self._is_still_empty():
                return FileChanges(), self.last
            now = await self.look()
            result = changes(self.last, now)
            self.last = now
            return result, now

    async def note(self, *paths: str) -> None:
        """Take what the host has changed at these paths into the point of comparison: it is no code's doing."""
        self.touched = True
        for path in paths:
            marks = await asyncio.to_thread(marks_at, self.fd, path)
            below = f"{path}/"
            others = {one: mark for one, mark in self.last.files.items() if one != path and not one.startswith(below)}
            self.last = self.last._replace(files=others | marks)

    def temporary_bytes(self) -> int:
        """Bytes in the directory that stands in for /tmp; 0 where /tmp is the worker's own. Takes a while."""
        try:
            fd = os.open(self.tmp, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            return scan(fd).bytes
        finally:
            os.close(fd)

    def _is_still_empty(self) -> bool:
        """Whether nothing was there and nothing came: the commonest case, and one look at the directory tells it."""
        status = os.fstat(self.fd)
        stamp = status.st_mtime_ns, status.st_ctime_ns, status.st_nlink
        # Two links are the directory's own: there is no directory in it whose content could have changed. And a
        # time that is nearly now says nothing, since the clock of file systems ticks some milliseconds at a time.
        settled = time.time_ns() - status.st_ctime_ns > _TICK_NS
        unchanged = settled and stamp == self._stamp and not self.last.files and status.st_nlink == _NO_DIRECTORIES
        self._stamp = stamp
        return unchanged

    def remove(self) -> None:
        """Remove the directory with all that is in it. No process may use it any more."""
        self.close()
        tidy.remove_tree(str(self.path))
        tidy.remove_tree(str(self.tmp))
        self._ids.give_back(self.uid)

    def close(self) -> None:
        """Close the descriptor; the directory stays."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
