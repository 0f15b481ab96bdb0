"""One end of a connection, as the proxy reads and writes it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Protocol

CHUNK = 64 * 1024
_SEND_SECONDS = 900.0


class Link(Protocol):
    """Bytes in both directions. `receive` gives nothing at the end."""

    async def receive(self) -> bytes: ...
    async def send(self, data: bytes) -> None: ...
    async def end(self) -> None:
        """Say that nothing more is sent."""

    def close(self) -> None: ...


class SocketLink:
    """A connected socket. All raise OSError, `send` TimeoutError too where the other side takes nothing."""

    def __init__(self, made: socket.socket) -> None:
        self._socket = made
        self._loop = asyncio.get_running_loop()

    async def receive(self) -> bytes:
        data = await self._loop.sock_recv(self._socket, CHUNK)
        # What is there at once does not make the loop go round: who has much to say would keep all others waiting.
        await asyncio.sleep(0)
        return data

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(_SEND_SECONDS):
            await self._loop.sock_sendall(self._socket, data)

    async def end(self) -> None:
        with contextlib.suppress(OSError):  # the other side is gone
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()


class Pushed:
    """A link of which some bytes were read already."""

    def __init__(self, link: Link, data: bytes) -> None:
        self._link, self._data = link, data
        self.send, self.end, self.close = link.send, link.end, link.close

    async def receive(self) -> bytes:
        data, self._data = self._data, b""
        return data or await self._link.receive()
