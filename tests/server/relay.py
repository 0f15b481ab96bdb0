"""A relay between client and server that cuts connections, as networks do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit


class Relay:
    """Listens on a port of its own. `cut_after`: bytes of answers that a connection carries before it is cut."""

    def __init__(self, url: str) -> None:
        self._port = int(urlsplit(url).port or 0)
        self.url = ""
        self.cut_after: list[int] = []
        self.cuts = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there_reader, there = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, there}
        try:
            up = asyncio.ensure_future(self._copy(reader, there, None))
            await self._copy(there_reader, writer, self)
            up.cancel()
            await asyncio.wait([up])
        finally:
            for one in (writer, there):
                self._writers.discard(one)
                one.transport.abort()
            self._tasks.discard(task)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: Relay | None) -> None:
        sent = 0
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if limit is not None and self.cut_after and sent + len(data) >= self.cut_after[0]:
                    writer.write(data[: self.cut_after.pop(0) - sent])
                    await writer.drain()
                    self.cuts += 1
                    return
                sent += len(data)
                writer.write(data)
                await writer.drain()

    def cut(self) -> None:
        """Cut every connection now."""
        self.cuts += 1
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        """End every connection, and wait for that."""
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=20)


@contextlib.asynccontextmanager
async def relay(url: str) -> AsyncIterator[Relay]:
    """A relay to a server."""
    made = Relay(url)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await made.close()
