"""Requests and answers of one session, over any transport."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from sandbox.errors import ProtocolError, SandboxClosedError, from_wire
from sandbox.protocol import messages as m
from sandbox.protocol.turns import Turn
from sandbox.sdk.transport import Transport

Last = TypeVar("Last", bound=m.LastEvent)
NOT_STARTED = "the sandbox is not started: use it with `async with`, or call start() first"
STOPPED = "the sandbox is stopped: start() goes on with its session"
DELETED = "the sandbox's session was deleted: make another sandbox"


class Connection:
    """Sends messages and checks what comes back."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.closed = NOT_STARTED
        self._session = ""

    @property
    def session(self) -> str:
        """The session that is open. Raises SandboxClosedError."""
        if self.closed:
            raise SandboxClosedError(self.closed)
        return self._session

    @session.setter
    def session(self, session: str) -> None:
        self._session, self.closed = session, ""

    async def stream(self, request: m.Request) -> AsyncGenerator[m.AnyEvent]:
        """Yield the events of the answer. Raises the SandboxError that the answer may be."""
        turn = Turn()
        async with aclosing(self.transport.send(m.encode(request))) as answer:
            async for data in answer:
                event = turn.accept(m.decode_event(data))
                if isinstance(event, m.Failed):
                    raise from_wire(event.code, event.message, event.details)
                yield event
        turn.finish()

    async def ask(self, request: m.Request, answer: type[Last]) -> Last:
        """Send a request whose answer is one event."""
        last: m.AnyEvent | None = None
        async with aclosing(self.stream(request)) as events:
            async for event in events:
                last = event
        if not isinstance(last, answer):
            raise ProtocolError(f"{type(last).__name__} came where {answer.__name__} was expected")
        return last
