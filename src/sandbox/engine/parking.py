"""Workers of sessions that nobody uses are ended. What is stored of a session comes back with its next call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from sandbox.engine.launcher import Spawn
from sandbox.engine.session import Session
from sandbox.errors import SandboxQuotaError, StoreError

_SHORTEST, _LONGEST = 0.05, 1.0
_AGAIN_SECONDS = 1
# Of fewer workers than these, one that is kept free is one too few.
_LEAST_FOR_AHEAD = 10


class Parking:
    """Parks the sessions whose `idle_timeout` is over, and others where more than `most` would have a worker.

    `park` ends a session's worker, if it can be brought back and nobody has begun to use it meanwhile.
    """

    def __init__(
        self, sessions: Mapping[str, Session], park: Callable[[Session], Coroutine[Any, Any, None]], most: int | None
    ) -> None:
        self._sessions, self._park, self._most = sessions, park, most
        self._task: asyncio.Task[None] | None = None
        self._launching = 0
        self._ahead = False

    def start(self) -> None:
        """Begin to look for idle sessions, if it does not already."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        """Ends when no session with an `idle_timeout` has a worker; `start` begins again."""
        while waiting := [one for one in self._sessions.values() if one.cell and one.options.idle_timeout is not None]:
            now = time.monotonic()
            left = {one: one.used_at + (one.options.idle_timeout or 0.0) - now for one in waiting if one.idle}
            for session in (one for one, seconds in left.items() if seconds <= 0):
                await self.park(session)
            await asyncio.sleep(min(max(min(left.values(), default=_LONGEST), _SHORTEST), _LONGEST))

    async def park(self, session: Session) -> bool:
        """End its worker, if it is idle; tell whether that was so. What cannot be stored now keeps its worker."""
        try:
            await self._park(session)
        except (StoreError, OSError):
            session.used_at = time.monotonic()  # not again at once
        return session.cell is None

    async def make_room(self, session: Session) -> None:
        """Wait until another worker may be started, for `session`. Raises SandboxQuotaError if all are in use."""
        if self._most is None:
            return
        while self._alive + self._launching >= self._most:
            if not await self._park_oldest(session):
                raise SandboxQuotaError(
                    f"all of the {self._most} workers that there may be are in use: try again in a moment",
                    {"quota": "workers", "limit": self._most, "retry_after": _AGAIN_SECONDS},
                )

    @property
    def _alive(self) -> int:
        return sum(one.cell is not None for one in self._sessions.values())

    async def _park_oldest(self, but: Session | None = None) -> bool:
        """Park the one that was used least recently; tell whether there was one that could be."""
        idle = [one for one in self._sessions.values() if one is not but and one.cell is not None and one.idle]
        for one in sorted(idle, key=lambda one: one.used_at):
            if await self.park(one):
                return True
        return False

    def make_room_ahead(self, spawn: Spawn) -> None:
        """Park one more if that would be the next thing to wait for: whoever wakes then finds room."""
        if self._most is not None and self._most >= _LEAST_FOR_AHEAD and not self._ahead and self._full:
            self._ahead = True
            spawn(self._go_ahead())

    @property
    def _full(self) -> bool:
        return self._most is not None and self._alive + self._launching >= self._most

    async def _go_ahead(self) -> None:
        try:
            if self._full:
                await self._park_oldest()
        finally:
            self._ahead = False

    def launching(self, more: int) -> None:
        """So many more, or less, workers are being started."""
        self._launching += more
