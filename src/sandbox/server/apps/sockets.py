"""WebSockets to web apps. Once the app has agreed, bytes are carried as they are, whatever the messages are like."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import h11

from sandbox.engine.web.visits import Full
from sandbox.server.apps import heads
from sandbox.server.apps.apps import VISITORS_HEADER, Apps, Visit
from sandbox.server.apps.proxy import MOST_HEAD, Unwell

_CHUNK = 64 * 1024
_AGREE_SECONDS = 60.0


class Tunnel(asyncio.StreamReaderProtocol):
    """A connection to an app that wants to be a WebSocket, as uvicorn hands it on: with the head of its request."""

    def __init__(self, apps: Apps, connections: set[Any], head: bytes) -> None:
        self._apps, self._connections, self._head = apps, connections, head
        self._reader = asyncio.StreamReader(limit=_CHUNK)
        super().__init__(self._reader)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        transport.set_write_buffer_limits(_CHUNK)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._connections.add(self)
        self._carrying = asyncio.get_running_loop().create_task(self._carry())

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._connections.discard(self)
        self._carrying.cancel()

    def shutdown(self) -> None:
        """The server is about to end."""
        self._wire.abort()

    async def _carry(self) -> None:
        outer = asyncio.StreamWriter(self._wire, self, self._reader, asyncio.get_running_loop())
        visitor = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        try:
            visitor.receive_data(self._head)
            request = visitor.next_event()
            if isinstance(request, h11.Request):
                outer.write(await self._visited(visitor, request, outer))
        except (OSError, h11.ProtocolError, TimeoutError):
            self._wire.abort()
        finally:
            self._wire.close()

    async def _visited(self, visitor: h11.Connection, request: h11.Request, outer: asyncio.StreamWriter) -> bytes:
        """Carry for as long as both sides want to; return what is to be said if it does not come to that."""
        headers = {name: value.decode("latin-1") for name, value in request.headers}
        found = self._apps.find(headers.get(b"host", ""), headers.get(VISITORS_HEADER.encode()))
        if found is None:
            return _refusal(visitor, 404)
        try:
            return await self._through(found, visitor, request, outer)
        except Full:
            return _refusal(visitor, 503)
        except (Unwell, ConnectionRefusedError):
            return _refusal(visitor, 502)

    async def _through(
        self, found: Visit, visitor: h11.Connection, request: h11.Request, outer: asyncio.StreamWriter
    ) -> bytes:
        async with asyncio.timeout(found.seconds), found.open() as (reader, writer):
            http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)
            upgrade = [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
            asked = heads.asked(request.headers.raw_items(), self._apps.pattern)
            without_body = [one for one in asked if one[0] != b"content-length"]
            ask = h11.Request(method=request.method, target=request.target, headers=[*without_body, *upgrade])
            writer.write(http.send(ask) or b"")
            async with asyncio.timeout(_AGREE_SECONDS):
                agreed = await _agreed(http, reader)
            if agreed.status_code != 101:
                return _refusal(visitor, agreed.status_code)
            headers = [*heads.answered(agreed.headers), *upgrade]
            outer.write(visitor.send(h11.InformationalResponse(status_code=101, headers=headers)) or b"")
            outer.write(http.trailing_data[0])
            await _join((self._reader, writer), (reader, outer))
        return b""


async def _agreed(http: h11.Connection, reader: asyncio.StreamReader) -> h11.InformationalResponse | h11.Response:
    """What the app answers to the wish for a WebSocket. Raises Unwell, OSError."""
    try:
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(_CHUNK))
            elif isinstance(event, h11.Response) or (
                isinstance(event, h11.InformationalResponse) and event.status_code == 101
            ):
                return event
            elif not isinstance(event, h11.InformationalResponse):
                raise Unwell("the app has closed the connection")
    except h11.RemoteProtocolError as error:
        raise Unwell(str(error)) from error


def _refusal(visitor: h11.Connection, status: int) -> bytes:
    response = h11.Response(status_code=status, headers=[(b"content-length", b"0"), (b"connection", b"close")])
    return (visitor.send(response) or b"") + (visitor.send(h11.EndOfMessage()) or b"")


async def _join(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Carry both ways until one side has nothing more to say: a WebSocket is over then."""
    tasks = [asyncio.ensure_future(_pump(reader, writer)) for reader, writer in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()


class Upgrades(asyncio.Protocol):
    """What uvicorn makes for a request to become a WebSocket: for an app the tunnel, else what uvicorn has itself."""

    def __init__(self, apps: Apps, otherwise: Any, made: dict[str, Any]) -> None:
        self._apps, self._otherwise, self._made = apps, otherwise, made
        self._to: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._to is not None:
            self._to.data_received(data)
            return
        if self._apps.is_meant(_host(data)):
            self._to = Tunnel(self._apps, self._made["server_state"].connections, data)
            self._to.connection_made(self._transport)
        else:
            self._to = self._otherwise(**self._made)
            self._to.connection_made(self._transport)
            self._to.data_received(data)

    def eof_received(self) -> bool | None:
        return self._to.eof_received() if self._to is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._to is not None:
            self._to.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._to is not None:
            self._to.pause_writing()

    def resume_writing(self) -> None:
        if self._to is not None:
            self._to.resume_writing()


def _host(head: bytes) -> str:
    """The Host header of a request's head, as uvicorn has put it together again."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"host":
            return value.strip().decode("latin-1")
    return ""
