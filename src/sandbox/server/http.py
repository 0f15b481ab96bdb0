"""One HTTP request: its body, bounded; its answer, whole or as it comes; errors as statuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from sandbox.errors import SandboxAccessError, SandboxConnectionError, SandboxError, UsageError, from_wire
from sandbox.protocol import messages as m
from sandbox.server.audit import Caller
from sandbox.server.recordings import Recording

MOST_BODY = 20 * 1024 * 1024
HEARTBEAT_SECONDS = 15.0
_SILENCE_SECONDS = 60.0  # of a client that is sending its request
_LOOK_SECONDS = 1.0  # whether its key is still in force
_STUCK_SECONDS = 120.0  # of a client that does not take its answer
# What is printed comes a moment before the end: the two are one piece if they can be.
_TOGETHER_SECONDS = 0.003
_STATUSES = {
    "usage": 400, "file": 400, "file_not_found": 404, "file_exists": 409, "session_not_found": 404,
    "checkpoint_not_found": 404, "closed": 409, "session_exists": 409, "session_busy": 409, "session_taken": 409,
    "access": 403, "quota": 429, "start": 503, "store_full": 507, "connection": 503,
}  # fmt: skip
Headers = list[tuple[bytes, bytes]]
Form = Callable[[list[bytes], bool], list[bytes]]


class Written(NamedTuple):
    """How events are written. `form` is told whether the last of them ends the answer.

    `silence` is what says that all is well where nothing happens. `head` is sent at once, before anything has happened.
    """

    kind: str
    form: Form
    silence: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    head: bytes | None = None


class TooLarge(UsageError):
    """The body of a request is larger than any that is taken."""


class AnswerLost(SandboxConnectionError):
    """The client has gone, does not take its answer, or has to be told by a broken answer that it is not whole."""


class Call:
    """One request of one caller. `may` tells whether the caller's key is still in force."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.caller: Caller
        self.may: Callable[[], bool] = _always
        self.request_id = ""
        self.answered = False
        self.complete = False  # set by whoever passes on an answer that is not its own

    def header(self, name: str) -> str | None:
        """A header of the request."""
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    # --- the request ---

    async def body(self) -> bytes:
        """All of it. Raises UsageError for more than `MOST_BODY`."""
        found, size = [], 0
        async for piece in self.pieces():
            found.append(piece)
            size += len(piece)
            if size > MOST_BODY:
                raise TooLarge(f"the request has more than {MOST_BODY >> 20} MB", {"status": 413})
        return b"".join(found)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises SandboxConnectionError if it stops to, SandboxAccessError once the key is not in force, AnswerLost.
        """
        more = True
        while more:
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise AnswerLost("the client has gone")
            more = message.get("more_body", False)
            yield message.get("body", b"")

    async def _next(self) -> dict[str, Any]:
        until = time.monotonic() + _SILENCE_SECONDS
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    message: dict[str, Any] = await self._receive()
            except TimeoutError:
                message = {}
            if not self.may():
                raise SandboxAccessError("the key has expired or was revoked", {"status": 401})
            if message:
                return message
            if time.monotonic() > until:
                raise SandboxConnectionError("the request did not arrive in time", {"status": 408})

    # --- the answer ---

    async def respond(self, status: int, body: bytes, kind: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Send a whole answer."""
        await self.begin(status, kind, [(b"content-length", b"%d" % len(body)), *headers])
        await self._send({"type": "http.response.body", "body": b"" if self.scope["method"] == "HEAD" else body})

    async def json(self, value: object, status: int = 200) -> None:
        """Send a whole answer as JSON."""
        await self.respond(status, msgspec.json.encode(value), "application/json")

    async def begin(self, status: int, kind: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Begin an answer."""
        own = [(b"content-type", kind.encode()), (b"x-request-id", self.request_id.encode("latin-1"))]
        await self.head(status, [*own, *headers])

    async def head(self, status: int, headers: Headers) -> None:
        """Begin an answer with these headers alone."""
        self.answered = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def piece(self, data: bytes, *, more: bool = True) -> None:
        """Send a piece of it. Raises AnswerLost if the client does not take it, or its key is not in force any more."""
        if not self.may():
            raise AnswerLost("the key has expired or was revoked")
        try:
            async with asyncio.timeout(_STUCK_SECONDS):
                await self._send({"type": "http.response.body", "body": data, "more_body": more})
        except TimeoutError:
            raise AnswerLost("the client does not take its answer") from None

    async def failed(self, error: SandboxError) -> None:
        """Answer with an error. Raises AnswerLost where another answer has begun."""
        details = {name: value for name, value in error.details.items() if name != "status"}
        said = {"code": error.code, "message": error.message, "details": details, "request_id": self.request_id}
        body = {"error": said}
        await self.refused(error, status_of(error), msgspec.json.encode(body))

    async def refused(self, error: SandboxError, status: int, body: bytes, kind: str = "application/json") -> None:
        """Answer with an error in a form of the caller's. Raises AnswerLost where another answer has begun."""
        if self.answered:
            raise AnswerLost(error.message)
        headers: Headers = []
        seconds = error.details.get("retry_after")
        if isinstance(seconds, (int, float)):
            headers.append((b"retry-after", b"%d" % max(1, -int(-seconds // 1))))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await self.respond(status, body, kind, headers)

    async def stream(self, recording: Recording, after: int, written: Written, *, cancels: bool = False) -> None:
        """Send events from number `after` on. `cancels`: the client's going cancels."""
        at = after
        if written.head is None:
            await recording.more(at, HEARTBEAT_SECONDS)
            if await recording.ends(_TOGETHER_SECONDS):
                body = b"".join(written.form(recording.take(at), True))
                await self.respond(200, body, written.kind, written.headers)
                return
        try:
            await self.begin(200, written.kind, written.headers)
            if written.head:
                await self.piece(written.head)
            async with self.watched(recording) as gone:
                await self._follow(recording, at, written.form, written.silence, gone)
        finally:
            if cancels:
                recording.cancel()

    async def _follow(
        self, recording: Recording, at: int, form: Form, silence: bytes,
        gone: asyncio.Future[None],
    ) -> None:  # fmt: skip
        while not gone.done():
            ended = recording.ended
            if some := recording.take(at):
                at += len(some)
                for piece in form(some, ended):
                    await self.piece(piece)
                if ended:
                    await self.piece(b"", more=False)
                    return
            elif ended:
                await self.piece(b"", more=False)
                return
            elif not await recording.more(at, HEARTBEAT_SECONDS, gone.done):
                await self.piece(silence)

    async def gone(self) -> None:
        """Wait until the client has gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    @asynccontextmanager
    async def watched(self, recording: Recording) -> AsyncGenerator[asyncio.Future[None]]:
        """A future that is done when the client has gone; whoever waits for the recording looks again then."""
        gone = asyncio.ensure_future(self.gone())
        gone.add_done_callback(lambda _: recording.wake())
        try:
            yield gone
        finally:
            gone.cancel()


def _always() -> bool:
    """Of a caller that needs no key."""
    return True


def status_of(error: SandboxError) -> int:
    """The HTTP status that says what an error says."""
    return int(error.details.get("status") or _STATUSES.get(error.code, 500))


def failure(last: m.AnyEvent | None) -> SandboxError | None:
    """The error that a last event is, if it is one; with the code that it has."""
    if not isinstance(last, m.Failed):
        return None
    return from_wire(last.code, last.message, last.details)


async def last_of(recording: Recording) -> m.AnyEvent:
    """The last event. Raises the SandboxError that it may be."""
    while not await recording.ends(HEARTBEAT_SECONDS):
        pass
    last = m.decode_event(recording.take(max(0, recording.count() - 1))[-1])
    error = failure(last)
    if error is not None:
        raise error
    return last
