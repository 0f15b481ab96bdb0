"""Progress notifications of work that takes a while: how long it runs, and what it has printed since the last one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sandbox.mcp.reply import encodable

Notify = Callable[[float, str], Awaitable[None]]
"""Sends one notification: seconds so far, and a text."""

_EVERY_SECONDS = 1.0
_MOST_TEXT = 1000


class Progress:
    """Tells a client, once a second, that its request is being worked on."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._new = ""

    def printed(self, text: str) -> None:
        """Take output as it comes. Only its end is told."""
        self._new = (self._new + text)[-_MOST_TEXT:]

    async def _tell(self) -> None:
        begin = time.monotonic()
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            seconds = time.monotonic() - begin
            text, self._new = self._new.strip(), ""
            await self._notify(seconds, encodable(text) or f"running for {seconds:.0f} s")


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


async def _to_nobody(_seconds: float, _text: str) -> None:
    """Nobody asked."""
