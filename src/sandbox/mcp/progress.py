"""Progress notifications of work that takes a while: how long it runs, and what it has printed since the last one."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sandbox.mcp.reply import encodable

Notify = Callable[[float, str], Awaitable[None]]
"""Sends one notification: seconds so far, and a text."""

_EVERY_SECONDS = 1.0
_MOST_TEXT = 1000
_MOST_STEPS = 50


class Progress:
    """Tells a client that its request is being worked on: at each step, and once a second where there are none."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._new = ""
        self._steps: deque[str] = deque(maxlen=_MOST_STEPS)
        self._step = asyncio.Event()
        self._begin = time.monotonic()

    def printed(self, text: str) -> None:
        """Take output as it comes. Only its end is told."""
        self._new = (self._new + text)[-_MOST_TEXT:]

    def step(self, text: str) -> None:
        """Tell at once that something has begun."""
        self._steps.append(text)
        self._step.set()

    async def _tell(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_EVERY_SECONDS):
                    await self._step.wait()
            except TimeoutError:
                text, self._new = self._new.strip(), ""
                await self._notify(self._seconds, encodable(text) or f"running for {self._seconds:.0f} s")
            await self._tell_steps()

    async def _tell_steps(self) -> None:
        self._step.clear()
        while self._steps:
            await self._notify(self._seconds, encodable(self._steps.popleft()))

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._begin


@asynccontextmanager
async def telling(notify: Notify | None) -> AsyncIterator[Progress]:
    """Tell while the body runs; nobody, without `notify`."""
    if notify is None:
        yield Progress(_to_nobody)
        return
    progress = Progress(notify)
    task = asyncio.get_running_loop().create_task(progress._tell())
    try:
        yield progress
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    await progress._tell_steps()


async def _to_nobody(_seconds: float, _text: str) -> None:
    """Nobody asked."""
