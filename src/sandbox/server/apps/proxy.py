"""Requests to web apps: each goes to the app on a connection of its own, piece by piece in both directions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import h11

from sandbox.engine.web.visits import Full
from sandbox.server.apps import heads
from sandbox.server.apps.apps import NOT_THERE, VISITORS_HEADER, Apps
from sandbox.server.http import AnswerLost, Call

MOST_HEAD = 64 * 1024
_CHUNK = 64 * 1024
_TEXT = "text/plain; charset=utf-8"
_UNWELL = "The web app does not answer as a web server does.\n"


class Unwell(Exception):
    """An app that says what is not HTTP, or nothing."""


async def answer(call: Call, apps: Apps) -> None:
    """Answer a visitor of an app. Raises AnswerLost."""
    found = apps.find(call.header("host") or "", call.header(VISITORS_HEADER))
    if found is None:
        await call.respond(404, NOT_THERE.encode(), _TEXT)
        return
    try:
        async with found.open() as (reader, writer):
            await _Exchange(call, reader, writer).carry(_request(call, apps))
    except Full as error:
        await call.respond(503, f"{error}\n".encode(), _TEXT, [(b"retry-after", b"1")])
    except (Unwell, OSError) as error:
        if call.answered:
            raise AnswerLost(str(error)) from error
        await call.respond(502, _UNWELL.encode(), _TEXT)


def _request(call: Call, apps: Apps) -> h11.Request:
    scope = call.scope
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    headers = [*heads.asked(scope["headers"], apps.pattern), (b"connection", b"close")]
    if b"transfer-encoding" in call.headers:
        headers.append((b"transfer-encoding", b"chunked"))
    try:
        return h11.Request(method=scope["method"], target=target, headers=headers)
    except h11.LocalProtocolError as error:
        raise Unwell(str(error)) from error


class _Exchange:
    """One request and its answer."""

    def __init__(self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._call, self._reader, self._writer = call, reader, writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)

    async def carry(self, request: h11.Request) -> None:
        """Send the request and pass on what is answered, also while the request's body is still on its way."""
        self._writer.write(self._http.send(request) or b"")
        sending = asyncio.get_running_loop().create_task(self._send())
        try:
            await self._pass_on()
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            if not sending.cancelled() and (error := sending.exception()) is not None:
                raise error

    async def _send(self) -> None:
        """The body; then wait for the visitor's going, which ends everything."""
        try:
            async for piece in self._call.pieces():
                if piece:
                    self._writer.write(self._http.send(h11.Data(data=piece)) or b"")
                    await self._writer.drain()
            self._writer.write(self._http.send(h11.EndOfMessage()) or b"")
            await self._call.gone()
        except (OSError, h11.LocalProtocolError):
            return  # the app does not want the rest; it may have answered
        finally:
            if not self._call.complete:
                self._writer.transport.abort()

    async def _pass_on(self) -> None:
        async for event in self._events():
            match event:
                case h11.Response():
                    await self._call.head(event.status_code, heads.answered(event.headers))
                case h11.Data():
                    await self._call.piece(bytes(event.data))
                case h11.EndOfMessage():
                    self._call.complete = True
                    await self._call.piece(b"", more=False)

    async def _events(self) -> AsyncIterator[Any]:
        """What the app says, until its answer is whole. Raises Unwell, OSError."""
        event: Any = None
        while not isinstance(event, h11.EndOfMessage):
            try:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(_CHUNK))
                elif isinstance(event, h11.ConnectionClosed):
                    raise Unwell("the app has closed the connection")
                else:
                    yield event
            except h11.RemoteProtocolError as error:
                raise Unwell(f"the app does not speak HTTP: {error}") from error
