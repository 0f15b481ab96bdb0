"""Requests to servers: in the caller's event loop if there is one, else in a thread that all others share.

`Client.submit` is what `EngineThread.submit` is, so that nothing above knows which of them it has.
"""

from __future__ import annotations

import asyncio
import atexit
import io
import os
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import aiohttp

from sandbox.errors import SandboxConnectionError, SandboxError, SandboxQuotaError
from sandbox.protocol import messages as m
from sandbox.remote import loops
from sandbox.remote.answers import Frames, error_of, proxy_for

Sink = Callable[[bytes, bool], None]
_CHECK_SECONDS = 0.5  # for a server that has never answered
_PATIENCE_SECONDS = 15.0  # for one that has: it may be starting again
_MOST_WAITING_SECONDS = 10.0  # for a quota that lets more through in a moment
_MOST_ERROR = 1024 * 1024
_LONG = 256 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)


class RemoteCall:
    """A request under way; `cancel` may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    def begin(self, task: asyncio.Task[None]) -> None:
        """Runs in the loop."""
        self._task = task
        if self._cancelled:
            self._cancel()

    def cancel(self) -> None:
        """Cancel the request; the sink still gets a last event."""
        self._cancelled = True
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        """A task that is cancelled before it has begun says nothing: let it begin."""
        if self._task is not None:
            self._loop.call_soon(self._task.cancel)


class Client:
    """One server, with one key. `label` names it in messages."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._proxy = proxy_for(self.url)
        self._server = ""  # the number of the one that has answered last
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, request: bytes, sink: Sink) -> RemoteCall:
        """Begin a request from any thread. `sink` is called in the client's thread, for each event."""
        thread = _thread()
        call = RemoteCall(thread.loop)
        thread.loop.call_soon_threadsafe(lambda: call.begin(self._spawn(thread, self._carry(thread, request, sink))))
        return call

    def _spawn(self, thread: ClientThread, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = thread.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _carry(self, thread: ClientThread, request: bytes, sink: Sink) -> None:
        try:
            async with aclosing(self._events(thread.session, request)) as events:
                async for data, last in events:
                    sink(data, last)
        except asyncio.CancelledError:
            sink(m.encode(m.Failed("closed", "the request was cancelled")), True)

    async def in_loop(self, request: bytes) -> AsyncGenerator[bytes]:
        """Carry a request in the caller's event loop, over connections of that loop: no change of threads."""
        async with aclosing(self._events(await loops.session(), request)) as events:
            async for data, _last in events:
                yield data

    async def _events(self, session: aiohttp.ClientSession, request: bytes) -> AsyncGenerator[tuple[bytes, bool]]:
        """The answer to a request: its events, and which is the last. Closed before that, it is cancelled."""
        name, ended = secrets.token_hex(16), False
        try:
            async with aclosing(_Exchange(self, session, request, name).events()) as events:
                async for data, ended in events:
                    yield data, ended
        except SandboxError as error:
            ended = True
            yield m.encode(m.Failed(error.code, error.message, error.details)), True
        except aiohttp.ClientError as error:
            ended = True
            yield m.encode(m.Failed("connection", f"the server {self.url} cannot be used: {error}")), True
        finally:
            if not ended:
                self._tell_cancelled(name)

    async def start_sandbox(self, session: str) -> None:
        """Start a sandbox with the options that it has, in the caller's loop. Raises SandboxError."""
        target = f"{self.url}/v1/sandboxes/{session}/start"
        try:
            async with (await loops.session()).post(target, headers=self._headers, proxy=self._proxy) as response:
                body = await _short(response.content)
        except (aiohttp.ClientError, TimeoutError) as error:
            what = str(error) or type(error).__name__
            raise SandboxConnectionError(f"the server {self.url} cannot be used: {what}") from error
        if response.status != 200:
            raise error_of(response.status, body, self.url)

    def _tell_cancelled(self, name: str) -> None:
        """From the client's thread: the caller's loop may be about to end. If that thread itself is, nobody tells."""
        if _current is not None and _current.closed and threading.get_ident() == _current.ident:
            return
        thread = _thread()
        thread.loop.call_soon_threadsafe(lambda: self._spawn(thread, self._cancel(thread, name)))

    async def _cancel(self, thread: ClientThread, name: str) -> None:
        """Tell the server. If it cannot be told it will find nobody who takes the answer."""
        try:
            target = f"{self.url}/v1/messages/{name}"
            async with thread.session.delete(target, headers=self._headers, proxy=self._proxy):
                pass
        except (aiohttp.ClientError, TimeoutError):
            return

    @property
    def patience(self) -> float:
        """Seconds to go on trying."""
        return _PATIENCE_SECONDS if self._server else _CHECK_SECONDS


class _Exchange:
    """One request until its answer is whole: asked again for the rest as often as the connection is lost."""

    def __init__(self, client: Client, session: aiohttp.ClientSession, request: bytes, name: str) -> None:
        self._client, self._session, self._request = client, session, request
        self._headers = {**client._headers, "Idempotency-Key": name, "X-Request-Id": name}
        self._server = client._server  # that it is sent to first, as far as is known
        self._begun = time.time()
        self._sent = False
        self._count = 0  # events that have come
        self._ended = False
        self._trouble = 0.0  # when the last progress was followed by trouble
        self._pause = _FIRST_PAUSE
        self._refused = 0.0

    async def events(self) -> AsyncGenerator[tuple[bytes, bool]]:
        """Each event, and whether it is the last. Raises SandboxError."""
        while not self._ended:
            before = self._count
            try:
                async with aclosing(self._try()) as events:
                    async for event in events:
                        yield event
            except _LOST as error:
                await self._pause_after(error, progress=self._count > before)
            except SandboxQuotaError as error:
                await self._pause_as_told(error)

    async def _try(self) -> AsyncGenerator[tuple[bytes, bool]]:
        client, frames = self._client, Frames()
        target = f"{client.url}/v1/messages"
        async with self._session.post(
            target, data=self._body(), headers=self._headers, proxy=client._proxy
        ) as response:
            client._server = response.headers.get("Sandbox-Server", client._server)
            if response.status != 200:
                raise error_of(response.status, await _short(response.content), client.url)
            async for data in response.content.iter_any():
                for event, last in frames.feed(data):
                    self._count += 1
                    self._ended = last
                    yield event, last
        if not self._ended:
            raise aiohttp.ServerDisconnectedError

    def _body(self) -> bytes | io.BytesIO:
        """A long one as a file, so that it goes out piece by piece."""
        return self._request if len(self._request) < _LONG else io.BytesIO(self._request)

    async def _pause_after(self, error: BaseException, *, progress: bool) -> None:
        """Raises SandboxConnectionError once it has been tried for long enough."""
        now = asyncio.get_running_loop().time()
        self._sent = self._sent or not isinstance(error, aiohttp.ClientConnectorError)
        if self._sent:  # the server may have it, and must not take it for a new one
            age = str(int(time.time() - self._begun))
            self._headers |= {"Sandbox-After": str(self._count), "Sandbox-Server": self._server, "Sandbox-Age": age}
        if progress or not self._trouble:
            self._trouble, self._pause = now, _FIRST_PAUSE
        if now - self._trouble > self._client.patience:
            what = str(error) or type(error).__name__
            raise SandboxConnectionError(f"the server {self._client.url} cannot be reached: {what}") from error
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    async def _pause_as_told(self, error: SandboxQuotaError) -> None:
        """What was refused was not done: it is tried again, if that is soon enough."""
        seconds = error.retry_after
        if seconds is None or error.details.get("quota") == "attempts":
            raise error
        self._refused += seconds
        if self._refused > _MOST_WAITING_SECONDS:
            raise error
        await asyncio.sleep(seconds)


async def _short(content: aiohttp.StreamReader) -> bytes:
    """The body of an error."""
    found = bytearray()
    async for data in content.iter_any():
        found += data
        if len(found) > _MOST_ERROR:
            break
    return bytes(found)


class ClientThread:
    """The thread, its loop, and the connections to all servers."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.closed = False
        self._ready = threading.Event()
        self._running = threading.Thread(target=self._main, name="sandbox-client", daemon=True)
        self._running.start()
        self._ready.wait()

    @property
    def ident(self) -> int | None:
        """The thread's."""
        return self._running.ident

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with loops.new_session() as self.session:
            self._ready.set()
            await self._stop.wait()

    def close(self) -> None:
        """Close the connections, and end with them what is under way."""
        if not self.closed and self.pid == os.getpid():
            self.closed = True
            self.loop.call_soon_threadsafe(self._stop.set)
            self._running.join(_LONGEST_PAUSE)


_lock = threading.Lock()
_current: ClientThread | None = None


def _thread() -> ClientThread:
    """The process's thread; another one after a fork."""
    global _current  # noqa: PLW0603 - one for each process is the point
    with _lock:
        if _current is None or _current.closed or _current.pid != os.getpid():
            _current = ClientThread()
        return _current


@atexit.register
def close_connections() -> None:
    """Close the process's connections to servers. The next request opens new ones."""
    if _current is not None:
        _current.close()
