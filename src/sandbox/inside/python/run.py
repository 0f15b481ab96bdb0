"""Runs one cell: statements, top-level await, the last expression's value, interrupts."""

import _thread
import types
from typing import TYPE_CHECKING, Any

from .cells import Cell, Cells
from .display import Display
from .failures import describe
from .past import Past
from .reserve import Reserve
from .streams import WRITING, Streams

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

# What may hold so many frames that to let go of them at once ends the interpreter, whose stack is too short.
_DEEP = (MemoryError, RecursionError, SystemError)
_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect


class Runner:
    """Runs cells in the dict of `main`. What they leave in asyncio's loop runs on in later ones and in between."""

    def __init__(
        self, main: types.ModuleType, display: Display, streams: Streams, reserve: Reserve, past: Past
    ) -> None:
        self.main = main
        self.cells = Cells()
        self._display = display
        self._streams = streams
        self._reserve = reserve
        self._past = past
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._interruptible = False

    def run(self, code: str, number: int, key: "str | None") -> dict[str, Any]:
        """Run a cell and return its last event. Only what user code raised is in it; our own errors propagate."""
        self._display.begin(number)
        error, hit = None, False
        self._reserve.shut()
        try:
            cell, hit = self.cells.get(code, f"<cell {number}>", key)
            self._interruptible = True
            value = self._execute(cell)
            self._display.end(value, shown=cell.value is not None)
        except BaseException as raised:  # noqa: BLE001 - whatever user code raises is the cell's result
            error = raised
        finally:
            self._interruptible = False
            self._reserve.open()
        end = self._end(error, hit)
        try:
            self._interruptible = True  # objects that are let go may run code of the user's
            # It came through this frame, which has it: a cycle that would keep all variables of what has failed.
            error = error if isinstance(error, _DEEP) else None
            self._past.leave()
        except KeyboardInterrupt:
            pass
        finally:
            self._interruptible = False
        self._streams.settle()
        return end

    def end_interrupted(self, error: KeyboardInterrupt) -> dict[str, Any]:
        """The last event of a cell whose end was itself interrupted."""
        self._interruptible = False
        end = self._end(error, hit=False)
        self._streams.settle()
        return end

    def warm_up(self) -> None:
        """Do what an execution does, while nobody waits: the memory that it touches first is copied now."""
        runner = Runner(types.ModuleType("warm_up"), self._display, self._streams, self._reserve, self._past)
        runner.run("import sys\nfor _ in (1,): x = [_]\nNone", 0, None)

    def _end(self, error: "BaseException | None", hit: bool) -> dict[str, Any]:
        description = None
        if error is not None:
            self._show_what_is_left(error)
            if not _is_plain_exit(error):
                description = describe(error)
        return {
            "event": "end",
            "error": description,
            "interrupted": isinstance(error, KeyboardInterrupt),
            "cache_hit": hit,
            "compiled": len(self.cells),
        }

    def _show_what_is_left(self, error: BaseException) -> None:
        """Show what a failed cell left open, but not after an interrupt; one that comes meanwhile ends it."""
        stopped = isinstance(error, KeyboardInterrupt)
        try:
            self._interruptible = not stopped
            self._display.end(None, shown=False, stopped=stopped)
        except KeyboardInterrupt:
            self._display.end(None, shown=False, stopped=True)
        finally:
            self._interruptible = False

    def _execute(self, cell: Cell) -> object:
        """Run both parts. If there is an await in either, both run in the event loop."""
        namespace = self.main.__dict__
        if any(code is not None and code.co_flags & _CO_COROUTINE for code in cell):
            return self._await(_both(cell, namespace))
        if cell.body is not None:
            exec(cell.body, namespace)  # noqa: S102 - running the user's code is what a worker is for
        return None if cell.value is None else eval(cell.value, namespace)  # noqa: S307

    def _await(self, coroutine: "Coroutine[Any, Any, object]") -> object:
        import asyncio  # noqa: PLC0415 - 40 ms that a zygote's start and a session without await do without

        loop = self._loop = self._loop or asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            if self._task.cancelling():
                raise KeyboardInterrupt from None
            raise
        finally:
            task, self._task = self._task, None
            if not task.done():
                task.cancel()
                loop.run_until_complete(asyncio.wait([task]))

    def on_interrupt(self, _number: int, frame: "types.FrameType | None") -> None:
        """SIGINT: raise in the running cell. While its task waits, cancel the task instead, which asyncio expects."""
        if not self._interruptible:
            return
        if frame is not None and frame.f_code is WRITING:
            _thread.interrupt_main()  # right after it
            return
        if self._task is not None and self._loop is not None and self._between_tasks(self._loop):
            self._task.cancel()
            self._loop.call_soon_threadsafe(lambda: None)
            return
        raise KeyboardInterrupt

    @staticmethod
    def _between_tasks(loop: "asyncio.AbstractEventLoop") -> bool:
        import asyncio  # noqa: PLC0415

        return loop.is_running() and asyncio.current_task(loop) is None

    def run_tasks_until(self, fd: int) -> None:
        """Run the event loop until `fd` is readable, if a cell left a task behind; else return at once."""
        loop = self._loop
        if loop is None:
            return
        import asyncio  # noqa: PLC0415

        if not asyncio.all_tasks(loop):
            return
        arrived = loop.create_future()

        def arrive() -> None:
            if not arrived.done():
                arrived.set_result(None)

        loop.add_reader(fd, arrive)
        self._reserve.shut()
        try:
            loop.run_until_complete(arrived)
        finally:
            self._reserve.open()
            loop.remove_reader(fd)


async def _both(cell: Cell, namespace: dict[str, Any]) -> object:
    result = None
    for code in cell:
        if code is not None:
            result = eval(code, namespace)  # noqa: S307
            if code.co_flags & _CO_COROUTINE:
                result = await result
    return result if cell.value is not None else None


def _is_plain_exit(error: BaseException) -> bool:
    """Whether it is sys.exit() or sys.exit(0). Anything may be its code, what has no hash or no equality included."""
    if not isinstance(error, SystemExit):
        return False
    return error.code is None or (isinstance(error.code, int) and error.code == 0)
