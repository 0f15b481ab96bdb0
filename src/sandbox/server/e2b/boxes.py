"""What is known of sandboxes beyond what every sandbox of the server has: what clients said, how long they live."""

from __future__ import annotations

import asyncio
import heapq
import logging
import os
import time
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from sandbox.errors import SandboxError, SessionNotFound
from sandbox.protocol import messages as m
from sandbox.server.audit import Caller
from sandbox.server.gate import Gate
from sandbox.server.http import last_of
from sandbox.server.keys import Key, Quotas
from sandbox.server.registry import Entry
from sandbox.store.database import Database

_log = logging.getLogger("sandbox.server")
_AGAIN_SECONDS = 10.0  # after what could not be ended
_AT_ONCE = 8
DEFAULT_CONTEXT = "default"


class Box(Struct):
    """One sandbox. `started` and `ends` in seconds since 1970.

    At its end it is paused if `pauses`, else deleted; once paused, a request brings it back if `resumes`.
    `contexts`: working directories of those that were made, by id; `languages` of those that are not in Python.
    `public`: whether who knows the names of its ports may visit them.
    """

    owner: str
    id: str
    template: str
    metadata: dict[str, str]
    started: float
    ends: float
    pauses: bool = False
    resumes: bool = False
    isolation: str = ""
    contexts: dict[str, str] = {}
    languages: dict[str, str] = {}
    public: bool = True

    @property
    def python_contexts(self) -> set[str]:
        """Those that share the sandbox's own process, besides the default one."""
        return self.contexts.keys() - self.languages.keys()


_decoder = msgspec.msgpack.Decoder(Box)


class Boxes:
    """Keeps them in memory and on the disk, and ends each when its time has come."""

    def __init__(self, database: Database, gate: Gate) -> None:
        self._database, self._gate = database, gate
        self._boxes: dict[str, dict[str, Box]] = {}
        self._due: list[tuple[float, str, str]] = []
        self._changed = asyncio.Event()
        self._ending: set[asyncio.Task[None]] = set()
        self._few = asyncio.Semaphore(_AT_ONCE)
        for row in database.all("SELECT box FROM e2b"):
            self._put(_decoder.decode(row[0]))
        self._clock = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """End nothing any more."""
        tasks = [self._clock, *self._ending]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    # --- what there is ---

    def get(self, owner: str, name: str) -> Box | None:
        """An owner's sandbox, if it is there and was made by a client of this API."""
        box = self._boxes.get(owner, {}).get(name)
        return box if box is not None and self.entry(box) is not None else None

    def named(self, name: str) -> Box | None:
        """The sandbox of this id, whoever has it: ids of this API are random."""
        found = next((boxes[name] for boxes in self._boxes.values() if name in boxes), None)
        return None if found is None else self.get(found.owner, name)

    def of(self, owner: str) -> list[Box]:
        """An owner's, in no order."""
        return [box for box in self._boxes.get(owner, {}).values() if self.entry(box) is not None]

    def every(self) -> Iterator[Box]:
        """All there are."""
        for boxes in list(self._boxes.values()):
            yield from list(boxes.values())

    def entry(self, box: Box) -> Entry | None:
        """What the server itself knows of it: None once it was deleted, by whatever means."""
        return self._gate.registry.get(box.owner, box.id)

    def running(self, box: Box) -> bool:
        """Whether it is started; a sandbox without a worker is too."""
        entry = self.entry(box)
        return entry is not None and entry.open

    # --- changes ---

    def keep(self, box: Box) -> None:
        """Know a new or changed one."""
        with self._database.writing():
            self._database.run(
                "INSERT OR REPLACE INTO e2b VALUES (?, ?, ?)", box.owner, box.id, msgspec.msgpack.encode(box)
            )
        self._put(box)

    def _put(self, box: Box) -> None:
        self._boxes.setdefault(box.owner, {})[box.id] = box
        heapq.heappush(self._due, (box.ends, box.owner, box.id))
        self._changed.set()

    def forget(self, box: Box) -> None:
        """It was deleted."""
        self._boxes.get(box.owner, {}).pop(box.id, None)
        with self._database.writing():
            self._database.run("DELETE FROM e2b WHERE owner = ? AND id = ?", box.owner, box.id)

    # --- their ends ---

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            self._begin_ending()
            seconds = self._due[0][0] - time.time() if self._due else None
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _begin_ending(self) -> None:
        now = time.time()
        while self._due and self._due[0][0] <= now:
            ends, owner, name = heapq.heappop(self._due)
            box = self._boxes.get(owner, {}).get(name)
            if box is not None and box.ends == ends:  # else it was given more time, or less
                task = asyncio.get_running_loop().create_task(self._end(box))
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)

    async def _end(self, box: Box) -> None:
        async with self._few:
            if box.ends > time.time():
                return  # it was given more time meanwhile
            if self.entry(box) is not None and not self.running(box):
                return  # it is paused: until somebody resumes or kills it
            caller = Caller(_clock_of(box.owner), f"timeout-{os.urandom(4).hex()}", "")
            request: m.Request = m.CloseSession(box.id) if box.pauses else m.DeleteSession(box.id)
            try:
                await last_of(self._gate.begin(caller, request))
            except SessionNotFound:
                self.forget(box)  # somebody else was faster
            except SandboxError as error:
                _log.warning("sandbox %s could not be ended: %s", box.id, error.message)
                box.ends = time.time() + _AGAIN_SECONDS
                self._put(box)
            else:
                if not box.pauses:
                    self.forget(box)


def _clock_of(owner: str) -> Key:
    """Who ends an owner's sandboxes when their time has come. No text opens anything as this key."""
    return Key("timeout", "timeout", owner, 0.0, None, None, ("sandboxes",), Quotas())
