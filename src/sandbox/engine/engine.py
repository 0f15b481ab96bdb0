"""The engine: takes requests, one message each, and answers with events. Runs in one event loop."""

from __future__ import annotations

import asyncio
import errno
import traceback
from collections.abc import Coroutine
from typing import Any

import msgspec

from sandbox.engine import isolation
from sandbox.engine.answers import Answer, Encoded, Sink
from sandbox.engine.handlers import all_handlers
from sandbox.engine.keeper import KeeperProcess
from sandbox.engine.pool import SIZE
from sandbox.engine.sessions import Sessions
from sandbox.errors import SandboxClosedError, SandboxError, UsageError
from sandbox.protocol import messages as m
from sandbox.store.total import total_wanted

_LACKING = {
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO,
}  # fmt: skip


class Engine:
    """Owns the sessions of one process. Use it through `sandbox.engine.thread.EngineThread`, or in a loop of yours.

    `parked`: how many workers it keeps in advance; `most`: how many sessions may have one at once.
    """

    def __init__(self, parked: int = SIZE, keeper: KeeperProcess | None = None, most: int | None = None) -> None:
        isolation.require_linux()
        isolation.require_open_files()
        total_wanted()  # before anybody runs anything
        self._tasks: set[asyncio.Task[Any]] = set()
        self.sessions = Sessions(self._spawn, lambda: len(self._tasks) == 1, parked, keeper, most)
        self._handlers = all_handlers()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def busy(self) -> bool:
        """Whether something is under way, including what nobody waits for."""
        return bool(self._tasks) or self.sessions.launcher.warming

    # --- requests ---

    def start(self, request: bytes, sink: Sink) -> asyncio.Task[None]:
        """Begin to answer: `sink` gets each encoded event, and whether it is the last one.

        Cancelling the task cancels the request; the last event is then a failure.
        """
        return self._spawn(self._answer(request, Encoded(sink)))

    def carry_out(self, request: m.Request, answer: Answer) -> asyncio.Task[None]:
        """As `start`, for a request that was decoded and checked already, and in the loop's own thread."""
        return self._spawn(self._answer(request, answer))

    async def _answer(self, wanted: bytes | m.Request, answer: Answer) -> None:
        last: m.LastEvent = m.Failed("error", "the engine failed; its log says how")
        try:
            request = m.decode_request(wanted) if isinstance(wanted, bytes) else wanted
            last = await self._handlers[type(request)](self.sessions, request, answer)
        except SandboxError as error:
            last = m.Failed(error.code, error.message, error.details)
        except msgspec.MsgspecError as error:
            last = m.Failed(UsageError.code, f"not a valid request: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, its caller must still get an answer
            last = _failed(error)
        except asyncio.CancelledError:
            last = m.Failed(SandboxClosedError.code, "the request was cancelled")
            raise
        finally:
            answer.end(last)

    def prepare(self, options: m.SessionOptions) -> asyncio.Task[None]:
        """Begin to get workers ready for sessions with these options."""
        return self._spawn(self.sessions.prepare(options))

    # --- the end ---

    def forget(self) -> None:
        """In a process that was forked from this one: see `Launcher.forget`."""
        self.sessions.launcher.forget()

    async def close(self) -> None:
        """End everything: requests, workers, zygotes, directories."""
        self.sessions.stop()
        current = asyncio.current_task()
        others = [task for task in self._tasks if task is not current]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.sessions.close_all()


def _failed(error: Exception) -> m.Failed:
    """What is neither the caller's fault nor the code's: the machine lacks something, or we made a mistake."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number in _LACKING:
        said = error.strerror if isinstance(error, OSError) else "Out of memory"
        text = f"the engine could not go on: {said}. This process, or the machine, has no more of it; try again then"
        return m.Failed("error", text, {"errno": number})
    text = f"the engine made a mistake:\n{''.join(traceback.format_exception(error, limit=-5))}"
    return m.Failed("error", text, {"mistake": True})
