"""HTTP/1.1 on a link: h11 with the reading and writing, within times and sizes."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import h11

from sandbox.engine.egress.link import Link

MOST_HEAD = 64 * 1024
# Each takes h11 some 6 us, and nobody else has a turn meanwhile.
_MOST_LINES = 500
_MOST_REASON = 400
_EVENTS_AT_ONCE = 32
_LAST_CHUNK = re.compile(rb"[\r\n]*0+(?![0-9A-Fa-f])[^\n]*\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")

Headers = list[tuple[bytes, bytes]]


class HttpEnd:
    """One end of a connection that speaks HTTP. `receive` raises h11.RemoteProtocolError, OSError, TimeoutError."""

    def __init__(self, link: Link, role: type[h11.CLIENT | h11.SERVER]) -> None:
        self.link = link
        self.state = h11.Connection(role, max_incomplete_event_size=MOST_HEAD)
        self._events = 0
        self._between_chunks = self._after_chunks = False

    async def receive(self, seconds: float) -> Any:
        """The next event, which must come within that many seconds as a whole."""
        self._events += 1
        if self._events % _EVENTS_AT_ONCE == 0:
            await asyncio.sleep(0)  # others of the engine's loop have their turn too
        async with asyncio.timeout(seconds):
            while (event := self._next()) is h11.NEED_DATA:
                if self.state.they_are_waiting_for_100_continue:
                    await self.send(h11.InformationalResponse(status_code=100, headers=[]))
                self.state.receive_data(await self.link.receive())
            return event

    def _next(self) -> Any:
        self._check_lines()
        event = self.state.next_event()
        if isinstance(event, h11.Data):
            self._between_chunks = bool(event.chunk_end)
        elif event is not h11.NEED_DATA:
            headers = event.headers if isinstance(event, (h11.Request, h11.Response)) else ()
            self._between_chunks = any(name == b"transfer-encoding" for name, _ in headers)
            self._after_chunks = False
        return event

    def _check_lines(self) -> None:
        """Refuse a head, or what follows the last chunk of a body, of so many lines that others would be held up."""
        come = b""
        if self._between_chunks:
            come = self.state.trailing_data[0]
            self._after_chunks = self._after_chunks or _LAST_CHUNK.match(come) is not None
        if self._after_chunks or self.state.their_state in {h11.IDLE, h11.SEND_RESPONSE}:
            come = come or self.state.trailing_data[0]
            end = _BLANK_LINE.search(come)
            if come.count(b"\n", 0, end.end() if end else len(come)) > _MOST_LINES:
                raise h11.RemoteProtocolError(f"it has more than {_MOST_LINES} lines before or after its body")

    async def send(self, *events: Any) -> None:
        """Write events."""
        for event in events:
            data = self.state.send(event)
            if data:
                await self.link.send(data)

    @property
    def answered_early(self) -> bool:
        """Whether there was an answer before all of its request was read."""
        ours, theirs = self.state.our_state, self.state.their_state
        return ours in {h11.DONE, h11.MUST_CLOSE, h11.CLOSED} and theirs in {h11.SEND_BODY, h11.ERROR}

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
