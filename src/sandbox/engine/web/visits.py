"""Connections to an app that do not come by its port on the loopback, but through a program with the engine in it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from sandbox.engine.web.relay import MOST_CONNECTIONS, Connect

_MOST_WAITING = 64 * 1024


class Full(ConnectionRefusedError):
    """The app has as many visitors as it may have."""


class Visits:
    """The open ones of one app, all of which `end` with it."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._open: set[asyncio.BaseTransport] = set()
        self._opening = 0

    @property
    def count(self) -> int:
        """How many there are at this moment."""
        return len(self._open) + self._opening

    @contextlib.asynccontextmanager
    async def visit(self) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection to the app. Raises Full, OSError while nobody listens inside."""
        if self.count >= MOST_CONNECTIONS:
            raise Full(f"the app has {MOST_CONNECTIONS} visitors at once, the most there may be")
        self._opening += 1
        try:
            reader, writer = await asyncio.open_connection(sock=await self._connect(), limit=_MOST_WAITING)
        finally:
            self._opening -= 1
        writer.transport.set_write_buffer_limits(_MOST_WAITING)
        self._open.add(writer.transport)
        try:
            yield reader, writer
        finally:
            self._open.discard(writer.transport)
            writer.transport.abort()

    def end(self) -> None:
        """End every one of them."""
        for transport in self._open:
            transport.abort()  # type: ignore[attr-defined]
