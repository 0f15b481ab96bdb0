"""Waiting for what threads do, and for what must come to its end whoever is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def answering(action: Callable[[], _T]) -> tuple[asyncio.Future[_T], Callable[[], None]]:
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


def started(thread: threading.Thread) -> threading.Thread:
    """Start a thread. Raises OSError where the machine has none left, which Python says in another way."""
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    return thread


async def in_a_thread(action: Callable[[], _T]) -> _T:
    """Run what waits for a worker in a thread of its own: slow ones must not use up those that all others share."""
    answer, run = answering(action)
    started(threading.Thread(target=run, name="sandbox-transfer", daemon=True))
    return await answer


async def uncancelled(work: Coroutine[Any, Any, _T]) -> _T:
    """Await work that has to come to its end: a cancellation of the caller waits until it has."""
    task = asyncio.get_running_loop().create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()
