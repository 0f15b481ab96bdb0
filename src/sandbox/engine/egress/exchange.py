"""One request and its answer, from one end to the other. Both are written anew: nothing goes on as it was spelled."""

from __future__ import annotations

import asyncio
from typing import Protocol

import h11

from sandbox.engine.egress.http_end import HttpEnd
from sandbox.engine.egress.targets import Headers, Target, passed_on

_ANSWER_SECONDS = 900.0
_PIECE_SECONDS = 900.0


class Changes(Protocol):
    """What is put in for secrets, on the way out; and taken out, on the way back."""

    def request(self, path: bytes, headers: Headers) -> tuple[bytes, Headers]: ...
    def response(self, headers: Headers) -> Headers: ...
    def body(self, data: bytes, *, last: bool) -> bytes: ...
    def taken_out(self, data: bytes) -> bytes: ...


async def exchange(
    client: HttpEnd, server: HttpEnd, request: h11.Request, target: Target, changes: Changes | None = None
) -> None:
    """Carry out a request. Raises h11.ProtocolError, OSError, TimeoutError, OverLimit."""
    path, headers = target.path, [one for one in passed_on(request) if one[0].lower() != b"host"]
    if changes is not None:
        path, headers = changes.request(path, headers)
    head = [(b"Host", target.authority), *headers, (b"Connection", b"close")]
    await server.send(h11.Request(method=request.method, target=path, headers=head))
    sending = asyncio.ensure_future(_body(client, server))
    answering = asyncio.ensure_future(_answer(server, client, changes))
    try:
        await asyncio.wait([sending, answering], return_when=asyncio.FIRST_COMPLETED)
        if not answering.done() and sending.exception() is None:
            await asyncio.wait([answering])
    finally:
        both = [sending, answering]
        unfinished = [one for one in both if not one.done()]
        for one in unfinished:
            one.cancel()
        await asyncio.wait(both)
    for one in (answering, sending):
        if one not in unfinished:
            one.result()


async def _body(client: HttpEnd, server: HttpEnd) -> None:
    while isinstance(event := await client.receive(_PIECE_SECONDS), h11.Data):
        if not await _taken(server, h11.Data(data=bytes(event.data))):
            return
    if not isinstance(event, h11.EndOfMessage):
        raise ConnectionResetError("it ended within its request")
    await _taken(server, h11.EndOfMessage())


async def _taken(server: HttpEnd, event: h11.Data | h11.EndOfMessage) -> bool:
    """Send on; whether it was taken. A server that wants no more may have answered why."""
    try:
        await server.send(event)
    except ConnectionError:
        return False
    return True


async def _answer(server: HttpEnd, client: HttpEnd, changes: Changes | None) -> None:
    while not isinstance(event := await server.receive(_ANSWER_SECONDS), h11.Response):
        if isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("it ended without an answer")
    headers, reason = passed_on(event), bytes(event.reason)
    if changes is not None:
        headers, reason = changes.response(headers), changes.taken_out(reason)
    await client.send(h11.Response(status_code=event.status_code, headers=headers, reason=reason))
    while isinstance(event := await server.receive(_PIECE_SECONDS), h11.Data):
        data = bytes(event.data) if changes is None else changes.body(bytes(event.data), last=False)
        if data:
            await client.send(h11.Data(data=data))
    rest = b"" if changes is None else changes.body(b"", last=True)
    if rest:
        await client.send(h11.Data(data=rest))
    await client.send(h11.EndOfMessage())
