"""Watches whose clients come and ask what has changed, and may never come again."""

from __future__ import annotations

import asyncio
import os
import re
import time

from sandbox.errors import SandboxError, UsageError
from sandbox.protocol import messages as m
from sandbox.server.e2b.visit import Visit
from sandbox.server.http import failure
from sandbox.server.recordings import Recording

_FORGOTTEN_SECONDS = 600.0
_LOOK_SECONDS = 30.0
_IN_THE_MAKING = re.compile(r"\.part-[0-9a-f]{12}")
_MOST_EACH = 16  # of a sandbox
_MOST_CHANGES = 10_000


def in_the_making(event: m.FilesChanged) -> bool:
    """Whether it is about a large file on its way in, which has its name when it is whole."""
    return _IN_THE_MAKING.fullmatch(event.path.rpartition("/")[2]) is not None


class TooMuchChanged(SandboxError):
    """More has changed than is kept: whoever watches has to look at the directory itself."""

    code = "quota"

    def __init__(self) -> None:
        super().__init__("more has changed than can be reported: list the directory, and watch it anew")


class Watcher:
    """One watch. What it has seen is kept until it is taken, up to a number."""

    def __init__(self, recording: Recording, path: str) -> None:
        self.path = path
        self._recording = recording
        self._changes: list[m.FilesChanged] = []
        self._error: SandboxError | None = None
        self._asked = time.monotonic()
        self.ready = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._collect())

    def take(self) -> list[m.FilesChanged]:
        """What has changed since the last time. Raises SandboxError once that is not known any more."""
        self._asked = time.monotonic()
        self.check()
        found, self._changes = self._changes, []
        return found

    def check(self) -> None:
        """Raises SandboxError once it does not see everything."""
        if self._error is not None:
            raise self._error

    async def _collect(self) -> None:
        at = 0
        try:
            while self._error is None and time.monotonic() - self._asked < _FORGOTTEN_SECONDS:
                if await self._recording.more(at, _LOOK_SECONDS):
                    found = self._recording.take(at)
                    at += len(found)
                    for one in found:
                        self._see(m.decode_event(one))
                if self._recording.ended and self._recording.count() == at:
                    break
        finally:
            self._recording.cancel()
            self.ready.set()

    def _see(self, event: m.AnyEvent) -> None:
        if isinstance(event, m.Watching):
            self.ready.set()
        elif isinstance(event, m.FilesChanged):
            if in_the_making(event):
                return
            if event.kind == "overflow" or len(self._changes) >= _MOST_CHANGES:
                self._error = TooMuchChanged()
            else:
                self._changes.append(event)
        else:
            self._error = failure(event) or self._error


class Watchers:
    """Those of all sandboxes."""

    def __init__(self) -> None:
        self._watchers: dict[tuple[str, str], dict[str, Watcher]] = {}

    async def begin(self, visit: Visit, request: m.WatchFiles) -> str:
        """Begin to watch; return the name by which its client asks. Raises SandboxError."""
        there = self._of(visit)
        if len(there) >= _MOST_EACH:
            raise UsageError(f"the sandbox has {_MOST_EACH} watchers, the most there can be: stop one")
        watcher = Watcher(visit.begin(request), request.path)
        name = os.urandom(8).hex()
        there[name] = watcher
        await watcher.ready.wait()
        watcher.check()
        return name

    def get(self, visit: Visit, name: str) -> Watcher:
        """The watcher of this name. Raises UsageError."""
        found = self._watchers.get(self._name(visit), {}).get(name)
        if found is None:
            raise UsageError(f"there is no watcher {name[:100]!r}", {"status": 404})
        return found

    async def remove(self, visit: Visit, name: str) -> None:
        """End one. Raises UsageError."""
        watcher = self.get(visit, name)
        del self._watchers[self._name(visit)][name]
        watcher.task.cancel()
        await asyncio.wait([watcher.task])

    async def close(self) -> None:
        """End all."""
        tasks = [one.task for there in self._watchers.values() for one in there.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _name(self, visit: Visit) -> tuple[str, str]:
        return visit.box.owner, visit.box.id

    def _of(self, visit: Visit) -> dict[str, Watcher]:
        """Those of a sandbox, without those that have ended."""
        there = self._watchers.get(self._name(visit), {})
        there = {name: one for name, one in there.items() if not one.task.done()}
        self._watchers[self._name(visit)] = there
        return there
