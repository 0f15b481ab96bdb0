"""The store blocks, so it has a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from sandbox.engine.waiting import answering, started
from sandbox.errors import StoreError

if TYPE_CHECKING:
    from sandbox.store.store import Store

_T = TypeVar("_T")
_SOON_SECONDS, _IDLE_SECONDS = 0.005, 0.3
# So long the store may do without an idle moment: where many are busy there is none, and what nobody needs piles up.
_LONGEST_SECONDS = 10.0
_QUICK_SECONDS = 0.003


class StoreThread:
    """Owns the store, and opens it when it is first needed. A daemon of its own: executors end before atexit does.

    `alone` tells whether nobody but the caller waits for the engine's loop.
    """

    def __init__(self, directory: Path, alone: Callable[[], bool]) -> None:
        self._directory, self._alone = directory, alone
        self._store: Store | None = None
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._using = threading.Lock()
        self._upkeep = Upkeep()
        self._resting = True  # the thread waits without end: nothing was done since it tended the store
        self._seconds = 0.0  # that the last call took
        self._tended_at = time.monotonic()

    async def call(self, action: Callable[[Store], _T]) -> _T:
        """Run `action` in the store's thread. Raises StoreError and what `action` raises."""
        answer, call = answering(lambda: action(self._opened()))
        if self._thread is None:
            self._thread = started(threading.Thread(target=self._serve, name="sandbox-store", daemon=True))
        self._calls.put(call)
        return await answer

    @contextlib.contextmanager
    def claimed(self) -> Iterator[bool]:
        """Whether the caller may use the open store within, in the engine's loop, for a small commit.

        It may if nobody else waits for the loop: two changes of threads take as long as the commit itself.
        """
        if not self._free() or not self._using.acquire(blocking=False):
            yield False
            return
        begin = time.perf_counter()
        try:
            yield True
        finally:
            self._seconds = time.perf_counter() - begin
            self._using.release()
            if self._resting:
                self._resting = False
                self._calls.put(_nothing)

    def _free(self) -> bool:
        quick = self._seconds < _QUICK_SECONDS and not self._upkeep.busy
        return self._store is not None and self._calls.empty() and quick and self._alone()

    def _serve(self) -> None:
        pause: float | None = None  # how long nobody must want anything until it is time to tend the store
        first = True
        while True:
            try:
                call = self._calls.get(timeout=pause)
            except Empty:
                self._resting = True
                self._tend()
                # What is under way now may leave something to do, or have kept from beginning what there was.
                pause, first = _IDLE_SECONDS if self._upkeep.busy else None, False
                continue
            if call is None:
                return
            self._resting = False
            begin = time.perf_counter()
            with self._using:
                call()
            self._seconds = time.perf_counter() - begin
            if time.monotonic() - self._tended_at > _LONGEST_SECONDS:
                self._tend()
            pause = _SOON_SECONDS if first else _IDLE_SECONDS

    def _tend(self) -> None:
        """While nobody waits, or after long: what makes later commits faster, and keeps the store from growing."""
        if self._store is not None:
            # Whoever needs the store meets the same error, and can report it; without this thread nobody had an answer.
            with self._using, contextlib.suppress(StoreError, OSError):
                self._store.tend()
                if not self._upkeep.busy:
                    self._upkeep.begin(self._store.due(self._upkeep.stopped))
        self._tended_at = time.monotonic()

    def _opened(self) -> Store:
        if self._store is None:
            from sandbox.store.quota import limits_of  # noqa: PLC0415 - only who keeps something pays for it
            from sandbox.store.store import Store  # noqa: PLC0415

            self._store = Store(self._directory, limits_of(self._directory))
        return self._store

    async def close(self) -> None:
        """Give up every session and close the database."""
        if self._thread is None:
            return
        if self._store is not None:
            await self.call(self._close)
        self._calls.put(None)
        self._thread.join()

    def _close(self, store: Store) -> None:
        self._upkeep.end()
        store.close()


class Upkeep:
    """Does what takes long beside the store's thread: it copies, and needs the database for moments only."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._stop = False

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self._thread is not None and self._thread.is_alive()

    def stopped(self) -> bool:
        """Whether it is to end as soon as it can."""
        return self._stop

    def begin(self, jobs: Sequence[Callable[[], object]]) -> None:
        """Do these one after the other. Not while it is busy."""
        if jobs and not self._stop:
            self._thread = started(threading.Thread(target=self._run, args=(jobs,), name="sandbox-upkeep", daemon=True))

    def _run(self, jobs: Sequence[Callable[[], object]]) -> None:
        for job in jobs:
            if self._stop:
                return
            with contextlib.suppress(StoreError, OSError):  # as above; what it was to do stays as it was
                job()

    def end(self) -> None:
        """Wait until nothing is under way; nothing is begun after that."""
        self._stop = True
        if self._thread is not None:
            self._thread.join()


def _nothing() -> None:
    """A call that only makes the thread look at the clock again."""
