"""The engine's own thread with its event loop, shared by synchronous and asynchronous callers of the process."""

from __future__ import annotations

import asyncio
import atexit
import os
import resource
import threading
from concurrent.futures import Future

from sandbox.engine.answers import Sink
from sandbox.engine.engine import Engine
from sandbox.engine.keeper import KeeperProcess
from sandbox.engine.pool import SIZE
from sandbox.errors import SandboxConnectionError
from sandbox.protocol.messages import SessionOptions


class Call:
    """A request under way; `cancel` may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    def begin(self, engine: Engine, request: bytes, sink: Sink) -> None:
        """Runs in the engine's loop."""
        self._task = engine.start(request, sink)
        if self._cancelled:
            self._task.cancel()

    def cancel(self) -> None:
        """Cancel the request; the sink still gets a last event."""
        self._cancelled = True
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: self._task is not None and self._task.cancel())


class EngineThread:
    """Starts an engine in a thread of its own. `close` ends it; so does the end of the process.

    `parked`: how many workers it keeps in advance. `keeper`: one that was started before this module was imported.
    """

    def __init__(self, *, parked: int = SIZE, keeper: KeeperProcess | None = None) -> None:
        self._parked, self._keeper = parked, keeper
        self._pid = os.getpid()
        self._closed = False
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stop: asyncio.Event | None = None
        # A daemon: the keeper cleans up when the process ends without having closed the engine.
        self._thread = threading.Thread(target=self._main, name="sandbox-engine", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    @property
    def usable(self) -> bool:
        """False once closed, and in a process that was forked from the engine's: threads do not survive a fork."""
        return not self._closed and self._pid == os.getpid()

    def in_loop(self, request: bytes) -> None:
        """None: an engine has a loop of its own."""

    def submit(self, request: bytes, sink: Sink) -> Call:
        """Begin a request from any thread. `sink` is called in the engine's thread; see `Engine.start`."""
        if not self.usable:
            raise SandboxConnectionError("the engine is closed")
        call = Call(self._loop)
        self._loop.call_soon_threadsafe(call.begin, self._engine, request, sink)
        return call

    def prepare(self, options: SessionOptions) -> Future[None]:
        """Begin to get workers ready for sessions that somebody will open with these options.

        What is returned is done when that has begun, or fails with SandboxStartError.
        """

        async def prepare() -> None:
            await self._engine.prepare(options)

        return asyncio.run_coroutine_threadsafe(prepare(), self._loop)

    def busy(self) -> bool:
        """Whether requests or work in the background, such as filling the pool, are under way."""
        return self.usable and self._engine.busy

    def forget(self) -> None:
        """In a forked process: drop the copies of the engine's descriptors that matter to others."""
        self._engine.forget()

    def close(self) -> None:
        """End every session and wait until nothing is left."""
        if self.usable and self._stop is not None:
            self._closed = True
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            allow_many_descriptors()
            self._engine = Engine(self._parked, self._keeper)
        except BaseException as error:  # noqa: BLE001 - raised again where the engine was asked for
            self._failure = error
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        await self._engine.close()


def allow_many_descriptors() -> None:
    """A sandbox takes nine descriptors; the usual soft limit of 1024 would end at a hundred of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 1 << 16) if hard != resource.RLIM_INFINITY else 1 << 16
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _after_fork_in_child() -> None:
    """A fork copies descriptors, not threads: while the copy lived, the keeper would not see the engine's end."""
    if _default is not None:
        _default.forget()


os.register_at_fork(after_in_child=_after_fork_in_child)
_lock = threading.Lock()
_default: EngineThread | None = None


def default_engine() -> EngineThread:
    """Return the process's engine, starting it at first use and again after a fork. Raises SandboxStartError."""
    global _default  # noqa: PLW0603 - one engine for each process is the point
    engine = _default
    if engine is not None and engine.usable:
        return engine
    with _lock:
        if _default is None or not _default.usable:
            _default = EngineThread()
        return _default


@atexit.register
def close_default_engine() -> None:
    """Close the process's engine, if there is one."""
    if _default is not None:
        _default.close()
