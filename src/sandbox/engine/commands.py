"""Programs that run beside a session's cells, in the same namespaces and under the same limits."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import time
from collections.abc import Callable

import msgspec

from sandbox.engine import causes, ends
from sandbox.engine.forker import Forked, Forker, settle
from sandbox.engine.launcher import Cell, Launcher
from sandbox.engine.metrics import inner_pid
from sandbox.engine.output import TextStream
from sandbox.engine.pipes import Pipe
from sandbox.engine.waiting import uncancelled
from sandbox.engine.worker_events import NotStarted, Refused, decoder
from sandbox.errors import SandboxConnectionError, SandboxError, SandboxStartError, UsageError
from sandbox.inside.wire import frames
from sandbox.protocol.messages import (
    CauseInfo,
    CommandFinished,
    CommandStarted,
    Event,
    Output,
    SessionOptions,
    StartCommand,
    StartTerminal,
)

NUMBERS = itertools.count(1)
"""The engine's names for commands."""

_GRACE_SECONDS = 2.0
_LINGER_SECONDS = 0.2
_MOST_REPORT = 4096


class Command:
    """One program. `number` is the engine's name for it."""

    def __init__(
        self, number: int, request: StartCommand, options: SessionOptions, emit: Callable[[Event], None]
    ) -> None:
        self.number = number
        self._request = request
        self._options = options
        self._emit = emit
        self._limit = int(options.output * 1e6)
        self._streams = {"stdout": TextStream(self._limit), "stderr": TextStream(self._limit)}
        self._open = 2
        self._all_read: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stdin = -1
        self._writing = asyncio.Lock()
        self._writable: asyncio.Future[None] | None = None
        self._process: Forked | None = None
        self._cell: Cell | None = None
        self._limit_hit: CauseInfo | None = None

    async def run(self, cell: Cell, launcher: Launcher) -> CommandFinished:
        """Start the program, pass its output on, return its exit code. Being cancelled kills it."""
        begin = time.perf_counter()
        code = await self.until_its_end(cell, launcher)
        files, _ = await cell.workspace.changed()
        return CommandFinished(code, time.perf_counter() - begin, self.cause, self.cut, files)

    async def until_its_end(self, cell: Cell, launcher: Launcher) -> int:
        """As `run`, without a look at what it has done to files."""
        self._cell = cell
        pipes = await self._start(cell, launcher)
        if self._limit_hit is not None:  # before there was anything to end
            self._begin_ending(0.0)
        self._emit(CommandStarted(self.number))
        timer = None
        if self._request.timeout is not None:
            timer = asyncio.get_running_loop().call_later(self._request.timeout, self._on_timeout)
        try:
            code = await self._ended()
            # What the program left running may hold the pipes open: take what is there, then let go.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LINGER_SECONDS):
                    await asyncio.shield(self._all_read)
        finally:
            if timer is not None:
                timer.cancel()
            for pipe in pipes:
                pipe.drain()
                pipe.close()
            self._close_stdin()
            self._forget()
        return code

    async def _ended(self) -> int:
        assert self._process is not None
        try:
            return await asyncio.shield(self._process.ended)
        except asyncio.CancelledError:
            await uncancelled(self._kill())
            raise

    async def _kill(self) -> None:
        assert self._process is not None
        await self.end()
        await asyncio.wait([self._process.ended])

    # --- starting ---

    async def _start(self, cell: Cell, launcher: Launcher) -> list[Pipe]:
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            control, control_end = ends.sockets(ours, theirs)
            out, out_end = ends.pipe(ours, theirs)
            err, err_end = ends.pipe(ours, theirs)
            ours.callback(self._close_stdin)
            stdio = (self._stdin_pipe(theirs), out_end, err_end)
            launcher.ids.give((out_end, err_end), cell.workspace.uid)
            self._process = await forked(self._forker(cell), self._plan(cell, launcher), cell, control_end, stdio)
            theirs.close()  # so that the control socket ends with the process's
            cell.commands.add(self._process.pidfd)
            try:
                await self._started(control, self._program(cell, launcher))
            except BaseException:
                await uncancelled(self._kill())
                self._forget()
                raise
            ours.pop_all()
        return [Pipe(out, self._writer("stdout")), Pipe(err, self._writer("stderr"))]

    def _forker(self, cell: Cell) -> Forker:
        return cell.zygote

    def _plan(self, cell: Cell, launcher: Launcher) -> dict[str, object]:
        return plan_of(cell, self._options)

    def _program(self, cell: Cell, launcher: Launcher) -> dict[str, object]:
        return program(cell, launcher, self._request)

    def _stdin_pipe(self, theirs: contextlib.ExitStack) -> int:
        """Return the end for the process; `_close_stdin` closes ours."""
        if not self._request.stdin:
            return ends.null(theirs)
        end, self._stdin = ends.pipe(theirs, contextlib.ExitStack())
        os.set_blocking(self._stdin, False)
        return end

    async def _started(self, control: socket.socket, what: dict[str, object]) -> None:
        await told(control, what, self._request)

    def _forget(self) -> None:
        if self._process is not None and self._cell is not None:
            self._cell.commands.discard(self._process.pidfd)
            os.close(self._process.pidfd)

    # --- while it runs ---

    def _writer(self, name: str) -> Callable[[bytes], None]:
        def on_data(data: bytes) -> None:
            stream = self._streams[name]
            text = stream.take(data) if data else stream.rest()
            if text:
                self._emit(Output(name, text))
            if not data:
                self._open -= 1
                if self._open == 0 and not self._all_read.done():
                    self._all_read.set_result(None)

        return on_data

    @property
    def begun(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Its number inside; 0 once it has ended."""
        return 0 if self._process is None or self._process.ended.done() else inner_pid(self._process.pidfd)

    async def write(self, data: bytes, *, close: bool) -> None:
        """Write to its standard input, waiting while it does not read. Raises UsageError if that is closed."""
        if self._stdin < 0:
            if close and not data:
                return
            raise UsageError(f"the standard input of command {self.number} is closed")
        # One at a time: a descriptor has one place for who waits for it.
        async with self._writing:
            view = memoryview(data)
            while view:
                try:
                    view = view[self._write_some(view) :]
                except BlockingIOError:
                    await self._until_writable()
            if close:
                self._close_stdin()

    def _write_some(self, view: memoryview) -> int:
        try:
            if self._stdin >= 0:
                return os.write(self._stdin, view)
        except BrokenPipeError:
            self._close_stdin()
        raise SandboxError(f"command {self.number} does not read its standard input any more")

    async def _until_writable(self) -> None:
        loop = asyncio.get_running_loop()
        self._writable = loop.create_future()
        loop.add_writer(self._stdin, settle, self._writable)
        try:
            await self._writable
        finally:
            if self._stdin >= 0:
                loop.remove_writer(self._stdin)

    async def signal(self, number: int) -> None:
        """Signal its process group."""
        assert self._cell is not None
        assert self._process is not None
        await self._forker(self._cell).signal_group(self._process.number, number)

    async def end(self) -> None:
        """Kill it, if it runs: its session's worker ends."""
        if self._process is not None and self._cell is not None:
            with contextlib.suppress(SandboxConnectionError):  # the zygote is gone, and all of its processes
                await self.signal(signal.SIGKILL)

    def _on_timeout(self) -> None:
        self.stop_for(causes.timeout(self._request.timeout or 0.0))

    def stop_for(self, cause: CauseInfo, *, at_once: bool = False) -> None:
        """A limit was hit: terminate, and kill after the grace, or `at_once`."""
        if self._limit_hit is None:
            self._limit_hit = cause
            self._begin_ending(0.0 if at_once else _GRACE_SECONDS)

    def _begin_ending(self, grace: float) -> None:
        self._ending = asyncio.get_running_loop().create_task(self.terminate_then_kill(grace))

    async def terminate_then_kill(self, grace: float = _GRACE_SECONDS) -> None:
        """Ask it to end, and kill it after `grace` seconds. Does nothing before it runs."""
        if self._process is None:
            return
        await self.signal(signal.SIGTERM)
        await asyncio.wait([self._process.ended], timeout=grace)
        await self.signal(signal.SIGKILL)

    def _close_stdin(self) -> None:
        """Close it, and wake who waits to write. The loop must forget the number, which another file may get next."""
        if self._stdin >= 0:
            asyncio.get_running_loop().remove_writer(self._stdin)
            os.close(self._stdin)
            self._stdin = -1
            if self._writable is not None:
                settle(self._writable)

    # --- the end ---

    @property
    def cut(self) -> tuple[str, ...]:
        """The streams of which something was dropped."""
        return tuple(name for name, stream in self._streams.items() if stream.dropped)

    @property
    def limit_hit(self) -> CauseInfo | None:
        """The limit that it was stopped for."""
        return self._limit_hit

    @property
    def cause(self) -> CauseInfo | None:
        """The limit that ended it, or cut its output."""
        if self._limit_hit is not None:
            return self._limit_hit
        return causes.output(self._options, self.cut) if self.cut else None


def plan_of(cell: Cell, options: SessionOptions) -> dict[str, object]:
    """How a program beside a session's worker is confined."""
    return {**cell.plan, "data_bytes": options.memory << 20}


async def forked(
    forker: Forker, plan: dict[str, object], cell: Cell, control: socket.socket, stdio: tuple[int, int, int]
) -> Forked:
    """A process beside a session's worker that waits to be `told` what to run. Raises SandboxStartError.

    It belongs to that worker, which so cannot give way to another one any more.
    """
    cell.lacks = ()
    joins = cell.group.open() if cell.group is not None else []
    stdin, stdout, stderr = stdio
    named: dict[str, int | list[int]] = {
        "control": control.fileno(), "stdin": stdin, "stdout": stdout, "stderr": stderr, "cgroups": joins,
        "mounts": [], "worker": cell.worker.pidfd,
    }  # fmt: skip
    try:
        process = await forker.fork_command(plan, named)
    except OSError as error:
        raise SandboxStartError(f"the command could not be started: {error}") from error
    finally:
        for fd in joins:
            os.close(fd)
    cell.has(process)
    return process


def program(cell: Cell, launcher: Launcher, request: StartCommand | StartTerminal) -> dict[str, object]:
    """What a process is told to run."""
    here = cell.workspace.inside(cell.zygote.spec.level)
    cwd = os.path.normpath(os.path.join(here, request.cwd or "."))
    return {"argv": list(request.argv), "cwd": cwd, "env": {**launcher.variables(cell), **request.env}}


async def told(control: socket.socket, what: dict[str, object], request: StartCommand | StartTerminal) -> None:
    """Say what to run. The control socket closes at the exec; what comes before that is why there was none."""
    control.setblocking(False)
    loop = asyncio.get_running_loop()
    report = b""
    with control:
        with contextlib.suppress(ConnectionError):  # it has ended, and its report may still be there
            await loop.sock_sendall(control, frames.encode(what))
        with contextlib.suppress(ConnectionError):  # it was killed before it had read that: its exit code says so
            report = await loop.sock_recv(control, _MOST_REPORT)
    if report:
        raise _not_started(report, request)


def _not_started(report: bytes, request: StartCommand | StartTerminal) -> SandboxError:
    buffer = frames.FrameBuffer(_MOST_REPORT)
    try:
        event = decoder.decode(next(iter(buffer.feed(report))))
    except (msgspec.MsgspecError, frames.BadFrame, StopIteration):
        return SandboxStartError(f"{request.argv[0]!r} could not be started")
    if isinstance(event, NotStarted):
        return UsageError(
            f"{request.argv[0]!r} could not be started in {request.cwd or 'the workspace'}: {event.message}"
        )
    if isinstance(event, Refused):
        return SandboxStartError(f"{event.restriction} could not be put in force: {event.message}")
    return SandboxStartError(f"{request.argv[0]!r} could not be started")
