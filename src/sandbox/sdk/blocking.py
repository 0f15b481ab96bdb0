"""Calls that wait in the calling thread, for the methods that are synchronous in every flavour of the SDK."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from sandbox.errors import ProtocolError, UsageError, from_wire
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from types import TracebackType

    from sandbox.sdk.transport import Carrier

Last = TypeVar("Last", bound=m.LastEvent)


class OneFlavour:
    """Says what to do where a synchronous sandbox is used like an asynchronous one."""

    async def __aenter__(self) -> NoReturn:
        self.__await__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Never called; `async with` looks for it first."""

    def __await__(self) -> NoReturn:
        name = type(self).__name__
        raise UsageError(f"this {name} is synchronous: use `with`, or sandbox.{name} for async")


class BlockingTransport:
    """A carrier in this process, for callers without an event loop: the process's engine, if none is given."""

    def __init__(self, engine: Carrier | None = None) -> None:
        self._engine = engine

    def send(self, request: bytes) -> Generator[bytes]:
        """Carry a request; yield its events. Closing the iterator early cancels the request."""
        arrived: queue.SimpleQueue[tuple[bytes, bool]] = queue.SimpleQueue()
        call = self._get().submit(request, lambda data, last: arrived.put((data, last)))
        last = False
        try:
            while not last:
                data, last = arrived.get()
                yield data
        finally:
            if not last:
                call.cancel()

    def post(self, request: bytes) -> None:
        """Carry a request; its answer is dropped."""
        self._get().submit(request, lambda _data, _last: None)

    def _get(self) -> Carrier:
        if self._engine is None:
            from sandbox.engine.thread import default_engine  # noqa: PLC0415 - importing the SDK must not cost an engine

            return default_engine()
        return self._engine


class Transport(Protocol):
    """Carries one encoded request; yields its encoded events until the answer ends."""

    def send(self, request: bytes) -> Generator[bytes]:
        """Closing the iterator before its end cancels the request."""

    def post(self, request: bytes) -> None:
        """Carry a request whose answer nobody waits for."""


class Feed:
    """An answer, taken event by event."""

    def __init__(self, events: Generator[m.AnyEvent]) -> None:
        self._events = events
        # From the first wait that is limited on, a thread reads: a generator cannot be left in the middle.
        self._read: queue.SimpleQueue[m.AnyEvent | BaseException | None] | None = None

    def next(self, until: float | None = None) -> m.AnyEvent | None:
        """Return the next event, or None after the last one.

        Raises TimeoutError when `time.monotonic` is past `until`; the event is then the next caller's.
        """
        if self._read is None:
            if until is None:
                return next(self._events, None)
            self._read = queue.SimpleQueue()
            threading.Thread(target=self._pump, args=(self._read,), name="sandbox-feed", daemon=True).start()
        left = None if until is None else max(0.0, until - time.monotonic())
        try:
            event = self._read.get(timeout=left)
        except queue.Empty:
            raise TimeoutError from None
        if event is None:
            self._read.put(None)  # for who asks again
        if isinstance(event, BaseException):
            self._read.put(None)
            raise event
        return event

    def _pump(self, read: queue.SimpleQueue[m.AnyEvent | BaseException | None]) -> None:
        try:
            for event in self._events:
                read.put(event)
        except BaseException as error:  # noqa: BLE001 - the reader's
            read.put(error)
        else:
            read.put(None)

    def close(self) -> None:
        """Cancel the request, if it is not answered yet and no thread reads it."""
        if self._read is None:
            self._events.close()


def notify(callback: Callable[[Any], Any] | None, value: object) -> None:
    """Call a user's callback."""
    if callback is not None:
        callback(value)


class Blocking:
    """The few requests that are synchronous everywhere."""

    def __init__(self, engine: Carrier | None = None) -> None:
        self.transport = BlockingTransport(engine)

    def stream(self, request: m.Request) -> Iterator[m.AnyEvent]:
        """Yield the events of an answer. Raises the SandboxError that the answer may be."""
        for data in self.transport.send(m.encode(request)):
            event = m.decode_event(data)
            if isinstance(event, m.Failed):
                raise from_wire(event.code, event.message, event.details)
            yield event

    def ask(self, request: m.Request, answer: type[Last]) -> Last:
        """Send a request whose answer is one event, and wait for it."""
        (*_, last) = self.stream(request)
        if not isinstance(last, answer):
            raise ProtocolError(f"{type(last).__name__} came where {answer.__name__} was expected")
        return last

    def artifacts(self, session: str) -> tuple[m.ArtifactInfo, ...]:
        """The session's artifacts, oldest first."""
        return self.ask(m.ListArtifacts(session), m.ArtifactsListed).artifacts

    def remove_artifacts(self, session: str, ids: tuple[str, ...]) -> tuple[m.ArtifactInfo, ...]:
        """Remove artifacts by id; those that were removed."""
        return self.ask(m.RemoveArtifacts(session, ids), m.ArtifactsListed).artifacts

    def stats(self, session: str) -> dict[str, Any]:
        """Counts and averages."""
        stats = self.ask(m.GetStats(session), m.StatsCounted)
        total = stats.total_executions
        return {
            "total_executions": total,
            "average_execution_time": stats.average_execution_time,
            "cache_hit_ratio": stats.cache_hits / total if total else 0.0,
            "cache_hits": stats.cache_hits,
            "cache_misses": stats.cache_misses,
            "cached_compilations": stats.cached_compilations,
            "session_id": session,
            "artifacts_count": stats.artifacts_count,
        }

    def history(self, session: str, limit: int) -> list[dict[str, Any]]:
        """The last executions, newest first."""
        return [_record(record) for record in self.ask(m.GetHistory(session, limit), m.HistoryListed).records]

    def clear_cache(self, session: str) -> None:
        """Forget compiled code."""
        self.ask(m.ClearCache(session), m.Done)

    def delete(self, session: str) -> None:
        """Delete the session."""
        self.ask(m.DeleteSession(session), m.Done)


def _record(record: m.HistoryRecord) -> dict[str, Any]:
    return {
        "number": record.number,
        "code": record.code,
        "success": record.status == "ok",
        "status": record.status,
        "timestamp": datetime.fromtimestamp(record.started_at, UTC).isoformat(),
        "execution_time": record.execution_time,
        "cache_hit": record.cache_hit,
        "error": record.error,
        "error_type": record.error_type,
        "cause": record.cause,
        "artifacts": list(record.artifacts),
        "request_id": record.request_id,
    }
