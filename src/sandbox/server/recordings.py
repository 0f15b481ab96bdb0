"""Answers as they come from the engine, kept for a while: who lost the connection takes the rest."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from sandbox.engine.answers import Answer
from sandbox.protocol import messages as m

_KEPT_SECONDS = 120.0
REMEMBERED_SECONDS = 60.0  # and a margin, for clocks and networks
_KEPT_BYTES = 64 * 1024 * 1024
_MOST_KEPT = 20_000
_MOST_REFUSED = 100
_MOST_UNREAD = 8 * m.MAX_CHUNK


class Recording(Answer):
    """The encoded events of one answer, from the first on; only from where its one reader is where it is not `kept`.

    `show` makes of an event what the client may see. `on_end` is called with the last event.
    """

    def __init__(
        self,
        request_id: str,
        show: Callable[[m.Event], m.Event],
        on_end: Callable[[m.LastEvent], None],
        *,
        kept: bool,
    ) -> None:
        self.request_id = request_id
        self.ended = False
        self.number: int | None = None
        self.command: int | None = None
        self.bytes = 0
        self.task: asyncio.Task[None] | None = None
        self._show, self._on_end, self.kept = show, on_end, kept
        self._events: list[bytes] = []
        self._taken = 0  # events that are not here any more
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}
        self._began: list[Callable[[Recording], None]] = []

    def __call__(self, event: m.Event) -> None:
        if isinstance(event, m.CommandStarted):
            self.command = event.command
            self._say_began()
        self._add(m.encode(self._show(event)))

    def end(self, last: m.LastEvent) -> None:
        """Take the last event. A second one is the engine's word on what was ended already, and is dropped."""
        if not self.ended:
            self.ended = True
            self._add(m.encode(self._show(last)))
            self._on_end(last)  # who waits goes on after this
            self._show, self._on_end, self._began = _over, _over, []  # they hold the request, and its data

    def began(self, number: int) -> None:
        self.number = number
        self._say_began()
        self.wake()

    def when_it_begins(self, action: Callable[[Recording], None]) -> None:
        """Call `action` as soon as the execution or command has its number."""
        self._began.append(action)

    def _say_began(self) -> None:
        for action in self._began:
            action(self)

    def _add(self, data: bytes) -> None:
        self._events.append(data)
        self.bytes += len(data)
        self.wake()

    def wake(self) -> None:
        """Let everybody go on whose waiting is over."""
        for one, over in self._waiting.items():
            if not one.done() and over():
                one.set_result(None)

    def count(self) -> int:
        """How many events there were so far."""
        return self._taken + len(self._events)

    def take(self, at: int) -> list[bytes]:
        """The events from number `at` on. Raises LookupError for those that are not kept."""
        if at < self._taken:
            raise LookupError(at)
        found = self._events[at - self._taken :]
        if not self.kept:
            self._taken += len(self._events)
            self._events, self.bytes = [], 0
            self.wake()
        return found

    async def more(self, at: int, seconds: float, also: Callable[[], bool] = lambda: False) -> bool:
        """Wait for events after the first `at`, the end, or what `also` says, at most some seconds."""
        return await self._until(lambda: self.count() > at or self.ended or also(), seconds)

    async def ends(self, seconds: float) -> bool:
        """Wait for the end, at most some seconds; tell whether it has come."""
        return await self._until(lambda: self.ended, seconds)

    async def is_running(self, seconds: float) -> bool:
        """Wait for a number of the execution, any event, or the end, at most some seconds."""
        return await self._until(lambda: self.number is not None or self.count() > 0, seconds)

    async def drained(self) -> None:
        while self.bytes > _MOST_UNREAD and not self.kept:
            await self._until(lambda: self.bytes <= _MOST_UNREAD, None)

    async def _until(self, true: Callable[[], bool], seconds: float | None) -> bool:
        if true():
            return True
        loop = asyncio.get_running_loop()
        until = None if seconds is None else loop.time() + seconds
        while not true():
            if until is not None and loop.time() >= until:
                return False
            waiting = loop.create_future()
            self._waiting[waiting] = true
            timer = None if until is None else loop.call_at(until, _settle, waiting)
            try:
                await waiting
            finally:
                del self._waiting[waiting]
                if timer is not None:
                    timer.cancel()
        return True

    def cancel(self) -> None:
        """Cancel the request, if it is not answered yet."""
        if self.task is not None and not self.ended:
            # One that is cancelled before it has begun says nothing, and this would never end.
            asyncio.get_running_loop().call_soon(self.task.cancel)


def _settle(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _over(_event: m.Event) -> NoReturn:
    raise AssertionError("the recording has ended")


class Recordings:
    """Recordings by what their clients may name them by. Those that have ended are forgotten after a while."""

    def __init__(self) -> None:
        self._by: dict[tuple[str, ...], Recording] = {}
        self._ended: deque[tuple[float, Recording, list[tuple[str, ...]]]] = deque()
        self._names: dict[Recording, list[tuple[str, ...]]] = {}
        self._running: set[Recording] = set()
        self._bytes = 0
        self._early = -_KEPT_SECONDS  # when one was forgotten last for lack of room
        self._refused: deque[tuple[str, ...]] = deque(maxlen=_MOST_REFUSED)

    def refuse(self, *name: str) -> None:
        """Whoever sends this has cancelled it already."""
        self._refused.append(name)

    def refuses(self, *name: str) -> bool:
        """Whether a request of this name was cancelled before it came."""
        return name in self._refused

    def get(self, *name: str) -> Recording | None:
        """The recording of this name."""
        return self._by.get(name)

    def begun(self, recording: Recording) -> None:
        """It is being answered."""
        self._running.add(recording)

    def drop(self, *name: str) -> None:
        """Let the name be another's."""
        self._by.pop(name, None)

    def name(self, recording: Recording, *name: str) -> None:
        """Let a recording be found by a name."""
        self._by[name] = recording
        self._names.setdefault(recording, []).append(name)

    def ended(self, recording: Recording) -> None:
        """It has ended: forget it some time, and at once those for which there is no room any more."""
        self._running.discard(recording)
        names = self._names.pop(recording, None)
        if names is not None:
            self._ended.append((time.monotonic(), recording, names))
            self._bytes += recording.bytes
        now = time.monotonic()
        while self._ended and (
            self._ended[0][0] < now - _KEPT_SECONDS or self._bytes > _KEPT_BYTES or len(self._ended) > _MOST_KEPT
        ):
            self._forget(*self._ended.popleft())

    def _forget(self, at: float, old: Recording, names: list[tuple[str, ...]]) -> None:
        self._bytes -= old.bytes
        if time.monotonic() < at + _KEPT_SECONDS:
            self._early = time.monotonic()
        for name in names:
            if self._by.get(name) is old:
                del self._by[name]

    @property
    def complete(self) -> bool:
        """Whether every recording is there that has ended in the last `REMEMBERED_SECONDS`."""
        return self._early + _KEPT_SECONDS < time.monotonic()

    @property
    def running(self) -> list[Recording]:
        """Those that have not ended."""
        return list(self._running)
