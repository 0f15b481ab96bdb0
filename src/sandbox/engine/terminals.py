"""Programs on pseudo-terminals. The terminal is one of the host's; only its inner end is given to the program.

Its outer end never is inside: code there could set it to block, and hold up the engine. Nothing is read from it before
somebody asks, so that what a program prints waits in the kernel, and the program when that is full.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import struct
import termios

from sandbox.engine.commands import forked, plan_of, program, told
from sandbox.engine.forker import Forked, settle
from sandbox.engine.launcher import Cell, Launcher
from sandbox.engine.waiting import uncancelled
from sandbox.errors import SandboxConnectionError, SandboxError, SandboxStartError, UsageError
from sandbox.protocol.messages import CauseInfo, SessionOptions, StartTerminal, TerminalRead

MOST_AT_ONCE = 64 * 1024
_MOST_LEFT = 1024 * 1024
_END_SECONDS = 2.0
_VARIABLES = {"TERM": "xterm-256color"}


class Terminal:
    """One terminal with its program. Methods run in the engine's loop."""

    def __init__(self, number: int, request: StartTerminal, options: SessionOptions) -> None:
        self.number = number
        self._request, self._options = request, options
        self._outer = -1
        self._left = b""  # of its output, once it has ended
        self._code: int | None = None
        self._process: Forked | None = None
        self._cell: Cell | None = None
        self._reading, self._writing = asyncio.Lock(), asyncio.Lock()
        self._waiting: set[asyncio.Future[None]] = set()
        self._unread: asyncio.TimerHandle | None = None

    @property
    def exit_code(self) -> int | None:
        """Of its program, or minus the signal that ended it; None while it runs."""
        return self._code

    # --- its life ---

    async def start(self, cell: Cell, launcher: Launcher) -> None:
        """Start the program. Raises SandboxStartError, UsageError for one that there is not."""
        try:
            self._outer, inner = os.openpty()
        except OSError as error:
            raise SandboxStartError(f"this machine has no terminal to give: {error.strerror}") from error
        control, theirs = socket.socketpair()
        try:
            os.set_blocking(self._outer, False)
            self.resize(self._request.cols, self._request.rows)
            launcher.ids.give((inner,), cell.workspace.uid)
            with theirs:
                self._process = await forked(
                    cell.zygote, plan_of(cell, self._options), cell, theirs, (inner, inner, inner)
                )
            self._cell = cell
            cell.commands.add(self._process.pidfd)
            what = {**program(cell, launcher, self._request), "terminal": True}
            what["env"] = {**_VARIABLES, **what["env"]}  # type: ignore[dict-item]
            await told(control, what, self._request)
        except BaseException:
            control.close()
            await uncancelled(self.close())
            raise
        finally:
            os.close(inner)
        self._ask_to_be_read()

    async def ended(self) -> None:
        """Wait for its end, and take what it has left behind."""
        assert self._process is not None
        await asyncio.wait([self._process.ended])
        self._finish()

    def _finish(self) -> None:
        if self._process is None or self._code is not None:
            return
        self._code = self._process.ended.result()
        while len(self._left) < _MOST_LEFT and (data := self._read_now()):
            self._left += data
        if self._cell is not None:
            self._cell.commands.discard(self._process.pidfd)
        os.close(self._process.pidfd)
        self._let_go()

    def _let_go(self) -> None:
        """Close the outer end, which hangs up what still uses the other, and let everybody look again."""
        if self._unread is not None:
            self._unread.cancel()
        if self._outer >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._outer)
            loop.remove_writer(self._outer)
            os.close(self._outer)
            self._outer = -1
        for one in self._waiting:
            settle(one)

    async def close(self) -> None:
        """Hang up, and kill the program if it does not end of that."""
        process = self._process
        if process is None:
            self._let_go()
        elif self._code is None:
            for number in (signal.SIGHUP, signal.SIGCONT, signal.SIGKILL):
                with contextlib.suppress(SandboxConnectionError):  # the zygote is gone, and all of its processes
                    await self.signal(number)
                if number != signal.SIGHUP:
                    await asyncio.wait([process.ended], timeout=_END_SECONDS)
            if process.ended.done():
                self._finish()
            else:  # the zygote is busy or silent: whoever waits for the end finishes it then
                self._let_go()

    # --- what commands have too ---

    async def signal(self, number: int) -> None:
        """Signal the program's process group."""
        if self._cell is not None and self._process is not None:
            await self._cell.zygote.signal_group(self._process.number, number)

    async def end(self) -> None:
        """Kill it, if it runs: its session's worker ends."""
        with contextlib.suppress(SandboxConnectionError):
            await self.signal(signal.SIGKILL)

    def stop_for(self, _cause: CauseInfo, *, at_once: bool = False) -> None:
        """A limit of the sandbox was hit."""
        self._ending = asyncio.get_running_loop().create_task(self.end() if at_once else self.close())

    # --- using it ---

    def resize(self, cols: int, rows: int) -> None:
        """Raises SandboxError once it has ended."""
        if self._outer < 0:
            raise SandboxError(f"terminal {self.number} has ended")
        fcntl.ioctl(self._outer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    async def read(self) -> TerminalRead:
        """The next bytes, as soon as there are some; how the program has ended when there are no more."""
        async with self._reading:
            self._ask_to_be_read()
            while self._outer >= 0:
                if data := self._read_now():
                    return TerminalRead(data)
                await self._until(writable=False)
        data, self._left = self._left[:MOST_AT_ONCE], self._left[MOST_AT_ONCE:]
        return TerminalRead(data, None if data else self._code)

    def _read_now(self) -> bytes:
        """What is there. No program has the other end any more: EIO; the end of ours tells of that."""
        try:
            return os.read(self._outer, MOST_AT_ONCE)
        except OSError:
            return b""

    async def write(self, data: bytes, *, close: bool) -> None:
        """Type, waiting while the program takes nothing. Raises SandboxError once it has ended."""
        if close:
            raise UsageError("a terminal has no end of its input: type Ctrl-D, or close it")
        async with self._writing:
            view = memoryview(data)
            while view:
                if self._outer < 0:
                    raise SandboxError(f"terminal {self.number} has ended")
                try:
                    view = view[os.write(self._outer, view) :]
                except BlockingIOError:
                    await self._until(writable=True)
                except OSError as error:
                    raise SandboxError(f"terminal {self.number} has ended: {error.strerror}") from error

    async def _until(self, *, writable: bool) -> None:
        """Wait until it can be written to or read, or has ended."""
        loop, fd = asyncio.get_running_loop(), self._outer
        waiting = loop.create_future()
        self._waiting.add(waiting)
        (loop.add_writer if writable else loop.add_reader)(fd, settle, waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)
            if self._outer == fd:
                (loop.remove_writer if writable else loop.remove_reader)(fd)

    def _ask_to_be_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
        if self._request.unread is not None and self._code is None:
            self._unread = asyncio.get_running_loop().call_later(self._request.unread, self._on_unread)

    def _on_unread(self) -> None:
        if self._reading.locked():
            self._ask_to_be_read()
        else:
            self._ending = asyncio.get_running_loop().create_task(self.close())
