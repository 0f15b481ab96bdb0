"""How much has gone through a sandbox's proxy, and how fast it may."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.engine.egress.journal import Entry
    from sandbox.engine.egress.link import Link

_BURST_SECONDS = 0.25


class OverLimit(Exception):
    """The limit of all that may be transferred is used up."""


class Meter:
    """Counts bytes in both directions. Limits are in bytes, and bytes a second; None for none."""

    def __init__(self) -> None:
        self.total = 0
        self.most: float | None = None
        self.rate: float | None = None
        self._free_at = 0.0
        self._changed = asyncio.Event()

    def limit(self, most: float | None, rate: float | None) -> None:
        """Let other limits be in force: who waits for the old ones goes on."""
        self.most, self.rate, self._free_at = most, rate, 0.0
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def used_up(self) -> bool:
        """Whether nothing more may go through."""
        return self.most is not None and self.total >= self.most

    async def take(self, count: int) -> None:
        """Count bytes, and wait until that many may go. Raises OverLimit."""
        self.total += count
        if self.most is not None and self.total > self.most:
            raise OverLimit(f"the {self.most / 1e6:g} MB that its policy allows are used up")
        if self.rate is not None:
            now = asyncio.get_running_loop().time()
            self._free_at = max(self._free_at, now - _BURST_SECONDS) + count / self.rate
            if self._free_at > now:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._free_at - now):
                        await self._changed.wait()


class Counted:
    """A link to the outside whose bytes are counted, for the sandbox and for one record of its log."""

    def __init__(self, link: Link, meter: Meter, entry: Entry) -> None:
        self._link, self._meter, self._entry = link, meter, entry
        self.end, self.close = link.end, link.close

    async def receive(self) -> bytes:
        data = await self._link.receive()
        self._entry.received += len(data)
        await self._meter.take(len(data))
        return data

    async def send(self, data: bytes) -> None:
        self._entry.sent += len(data)
        await self._meter.take(len(data))
        await self._link.send(data)
