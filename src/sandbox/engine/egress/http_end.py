"""HTTP/1.1 on a link: h11 with the reading and writing, within times and sizes."""

from __future__ import annotations

import asyncio
from typing import Any

import h11

from sandbox.engine.egress.link import Link

MOST_HEAD = 64 * 1024
_MOST_REASON = 400
_EVENTS_AT_ONCE = 32

Headers = list[tuple[bytes, bytes]]


class HttpEnd:
    """One end of a connection that speaks HTTP. `receive` raises h11.RemoteProtocolError, OSError, TimeoutError."""

    def __init__(self, link: Link, role: type[h11.CLIENT | h11.SERVER]) -> None:
        self.link = link
        self.state = h11.Connection(role, max_incomplete_event_size=MOST_HEAD)
        self._events = 0

    async def receive(self, seconds: float) -> Any:
        """The next event, which must come within that many seconds as a whole."""
        self._events += 1
        if self._events % _EVENTS_AT_ONCE == 0:
            await asyncio.sleep(0)  # others of the engine's loop have their turn too
        async with asyncio.timeout(seconds):
            while (event := self.state.next_event()) is h11.NEED_DATA:
                if self.state.they_are_waiting_for_100_continue:
                    await self.send(h11.InformationalResponse(status_code=100, headers=[]))
                self.state.receive_data(await self.link.receive())
            return event

    async def send(self, *events: Any) -> None:
        """Write events."""
        for event in events:
            data = self.state.send(event)
            if data:
                await self.link.send(data)

    async def answer(self, status: int, reason: str, text: str) -> None:
        """Answer with a page of text, after which the connection ends."""
        if self.state.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return  # it has begun to answer already
        body = f"{text}\n".encode()
        headers: Headers = [
            (b"Content-Type", b"text/plain; charset=utf-8"), (b"Content-Length", str(len(body)).encode()),
            (b"Connection", b"close"), (b"Proxy-Connection", b"close"),
        ]  # fmt: skip
        await self.send(
            h11.Response(status_code=status, headers=headers, reason=_line(reason)),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )


def _line(text: str) -> bytes:
    """A text as it can stand in the first line of an answer."""
    return " ".join(text.encode("ascii", "replace").decode().split())[:_MOST_REASON].encode()
