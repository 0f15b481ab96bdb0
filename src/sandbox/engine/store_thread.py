"""The store blocks, so it has a thread of its own; and so has what waits for a worker that may be slow."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from sandbox.errors import StoreError

if TYPE_CHECKING:
    from sandbox.store.store import Store

_T = TypeVar("_T")
_SOON_SECONDS, _IDLE_SECONDS = 0.005, 0.3


class StoreThread:
    """Owns the store, and opens it when it is first needed. A daemon of its own: executors end before atexit does."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._store: Store | None = None
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, action: Callable[[Store], _T]) -> _T:
        """Run `action` in the store's thread. Raises StoreError and what `action` raises."""
        answer, call = _answering(lambda: action(self._opened()))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="sandbox-store", daemon=True)
            self._thread.start()
        self._calls.put(call)
        return await answer

    def _serve(self) -> None:
        pause: float | None = None  # how long nobody must want anything until it is time to tend the store
        first = True
        while True:
            try:
                call = self._calls.get(timeout=pause)
            except Empty:
                self._tend()
                pause, first = None, False
                continue
            if call is None:
                return
            call()
            pause = _SOON_SECONDS if first else _IDLE_SECONDS

    def _tend(self) -> None:
        """While nobody waits: what makes the commits that come faster."""
        if self._store is not None:
            with contextlib.suppress(StoreError):  # whoever needs the store meets the same error, and can report it
                self._store.tend()

    def _opened(self) -> Store:
        if self._store is None:
            from sandbox.store.store import Store  # noqa: PLC0415 - only who keeps something pays for it

            self._store = Store(self._directory)
        return self._store

    async def close(self) -> None:
        """Give up every session and close the database."""
        if self._thread is None:
            return
        if self._store is not None:
            await self.call(lambda store: store.close())
        self._calls.put(None)
        self._thread.join()


def _answering(action: Callable[[], _T]) -> tuple[asyncio.Future[_T], Callable[[], None]]:
    """What to run in another thread, and the future that gets its outcome here."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        try:
            result = action()
        except BaseException as error:  # noqa: BLE001 - the caller's
            loop.call_soon_threadsafe(_fail, answer, error)
        else:
            loop.call_soon_threadsafe(_succeed, answer, result)

    return answer, run


def _succeed(answer: asyncio.Future[_T], result: _T) -> None:
    if not answer.done():  # else whoever waited was cancelled
        answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)


async def in_a_thread(action: Callable[[], _T]) -> _T:
    """Run what waits for a worker in a thread of its own: slow ones must not use up those that all others share."""
    answer, run = _answering(action)
    threading.Thread(target=run, name="sandbox-transfer", daemon=True).start()
    return await answer


async def uncancelled(work: Coroutine[Any, Any, _T]) -> _T:
    """Await work that has to come to its end: a cancellation of the caller waits until it has."""
    task = asyncio.get_running_loop().create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()
