"""How requests reach an engine. The boundary is one method that carries bytes; no live object crosses it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from sandbox.errors import UsageError

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType

    from sandbox.protocol.messages import AnyEvent


class Transport(Protocol):
    """Carries one encoded request; yields its encoded events until the answer ends."""

    def send(self, request: bytes) -> AsyncGenerator[bytes]:
        """Closing the iterator before its end cancels the request."""

    def post(self, request: bytes) -> None:
        """Carry a request whose answer nobody waits for."""


class Begun(Protocol):
    """A request under way."""

    def cancel(self) -> None:
        """Cancel it, from any thread; its sink still gets a last event."""


class Carrier(Protocol):
    """What takes requests from any thread: an engine with its thread, or a client of a server with its own."""

    def submit(self, request: bytes, sink: Callable[[bytes, bool], None]) -> Begun:
        """Begin a request; `sink` gets each encoded event, and whether it is the last, in the carrier's thread."""

    def in_loop(self, request: bytes) -> AsyncGenerator[bytes] | None:
        """What carries a request in the caller's own event loop; None where it takes the carrier's thread."""


class OneFlavour:
    """Says what to do where an asynchronous sandbox is used like a synchronous one."""

    def __enter__(self) -> NoReturn:
        name = type(self).__name__
        raise UsageError(f"this {name} is asynchronous: use `async with`, or sandbox.sync.{name} without async")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Never called; `with` looks for it first."""


class Carried:
    """Requests by a carrier: the process's engine, if none is given."""

    def __init__(self, engine: Carrier | None = None) -> None:
        self._engine = engine

    def _get(self) -> Carrier:
        if self._engine is None:
            from sandbox.engine.thread import default_engine  # noqa: PLC0415 - importing the SDK must not cost an engine

            return default_engine()
        return self._engine

    def post(self, request: bytes) -> None:
        """Carry a request whose answer is dropped."""
        self._get().submit(request, lambda _data, _last: None)

    def send(self, request: bytes) -> AsyncGenerator[bytes]:
        """Carry a request; its events come in the caller's loop."""
        carrier = self._get()
        return carrier.in_loop(request) or self._by_thread(carrier, request)

    @staticmethod
    async def _by_thread(carrier: Carrier, request: bytes) -> AsyncGenerator[bytes]:
        """To the carrier's thread, and back."""
        import asyncio  # noqa: PLC0415 - 40 ms that importing the package does without

        loop = asyncio.get_running_loop()
        arrived: deque[tuple[bytes, bool]] = deque()
        waiting: asyncio.Future[None] | None = None

        def wake() -> None:
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

        def sink(data: bytes, last: bool) -> None:
            # In the engine's thread. One wake-up serves all events that come before the caller looks.
            empty = not arrived
            arrived.append((data, last))
            if empty and not loop.is_closed():
                loop.call_soon_threadsafe(wake)

        call = carrier.submit(request, sink)
        last = False
        try:
            while not last:
                waiting = loop.create_future()
                if not arrived:
                    await waiting
                while arrived:
                    data, last = arrived[0]
                    yield data
                    arrived.popleft()
        finally:
            if not last:
                call.cancel()


class Feed:
    """An answer, taken event by event. A reader that is cancelled loses nothing, and the request goes on."""

    def __init__(self, events: AsyncGenerator[AnyEvent]) -> None:
        self._events = events
        self._next: asyncio.Future[AnyEvent | None] | None = None
        self._reading: asyncio.Lock | None = None

    async def next(self, until: float | None = None) -> AnyEvent | None:
        """Return the next event, or None after the last one. Of several readers, one gets it.

        Raises TimeoutError when `time.monotonic` is past `until`; the event is then the next reader's.
        """
        import asyncio  # noqa: PLC0415 - 40 ms that importing the package does without

        self._reading = self._reading or asyncio.Lock()
        left = None if until is None else until - time.monotonic()
        async with asyncio.timeout(left), self._reading:
            if self._next is None:
                self._next = asyncio.ensure_future(anext(self._events, None))
            event = await asyncio.shield(self._next)
            self._next = None
            return event

    async def close(self) -> None:
        """Cancel the request, if it is not answered yet."""
        import asyncio  # noqa: PLC0415 - as above

        if self._next is not None:
            self._next.cancel()
            await asyncio.wait([self._next])
        await self._events.aclose()


async def notify(callback: Callable[[Any], Any] | None, value: object) -> None:
    """Call a user's callback, which may be a coroutine function."""
    if callback is not None:
        outcome = callback(value)
        if hasattr(outcome, "__await__"):
            await outcome
