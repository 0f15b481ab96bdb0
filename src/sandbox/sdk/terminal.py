"""`sandbox.terminal()`: a program on a pseudo-terminal inside, for what has to be sat in front of."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sandbox.options import checked_env
from sandbox.protocol import messages as m
from sandbox.sdk import checks
from sandbox.sdk.transport import OneFlavour

if TYPE_CHECKING:
    from sandbox.sdk.connection import Connection

_SHELL = ("/bin/sh", "-c", "command -v bash >/dev/null && exec bash || exec sh")


class Terminal(OneFlavour):
    """A pseudo-terminal with a program. Use it with `async with`, or await it, or call `start` and `close`.

    What the program prints waits, and the program with it, until it is read.

    Attributes:
        exit_code: Of the program, minus the number of the signal that ended it, None while that is not known.
    """

    def __init__(self, connection: Connection, request: m.StartTerminal) -> None:
        self._connection, self._request = connection, request
        self._number = 0
        self._closed = False
        self.exit_code: int | None = None

    @classmethod
    def of(
        cls,
        connection: Connection,
        program: str | Sequence[str] | None,
        args: Sequence[str],
        cols: int,
        rows: int,
        cwd: str | os.PathLike[str] | None,
        env: Mapping[str, str] | None,
    ) -> Self:
        """Check what was asked for, see `Sandbox.terminal`."""
        argv = _SHELL if program is None else checks.argv(program, args)
        where = None if cwd is None else checks.inside("cwd", cwd)
        size = checks.whole("cols", cols, 1), checks.whole("rows", rows, 1)
        return cls(connection, m.StartTerminal(connection.session, argv, *size, where, checked_env(env or {})))

    async def start(self) -> Self:
        """Start the program. Raises UsageError if there is none of that name."""
        if not self._number:
            self._number = (await self._connection.ask(self._request, m.TerminalStarted)).command
        return self

    async def read(self) -> bytes:
        """Wait for what the program prints, and return it, at most 64 KB; nothing once it has ended.

        What comes is hostile: to show it on a terminal of yours lets it do all that your terminal can be told to do.
        """
        if self.exit_code is not None or self._closed:
            return b""
        request = m.ReadTerminal(self._connection.session, self._number)
        answer = await self._connection.ask(request, m.TerminalRead)
        self.exit_code = answer.exit_code
        return answer.data

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        """What it prints, until it ends."""
        while data := await self.read():
            yield data

    async def write(self, data: str | bytes) -> None:
        r"""Type. `"\x03"` is Ctrl-C, `"\x04"` Ctrl-D, `"\x1a"` Ctrl-Z. Waits while the program takes nothing.

        Raises SandboxError once it has ended.
        """
        content = checks.content("data", data)
        for start in range(0, len(content), m.MAX_CHUNK):
            piece = bytes(content[start : start + m.MAX_CHUNK])
            await self._connection.ask(m.WriteStdin(self._connection.session, self._number, piece), m.Done)

    async def resize(self, cols: int, rows: int) -> None:
        """Give it another size; the program hears of it. Raises SandboxError once it has ended."""
        size = checks.whole("cols", cols, 1), checks.whole("rows", rows, 1)
        await self._connection.ask(m.ResizeTerminal(self._connection.session, self._number, *size), m.Done)

    async def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the program a signal."""
        request = m.SignalCommand(self._connection.session, self._number, checks.whole("number", number, 1))
        await self._connection.ask(request, m.Done)

    async def close(self) -> int | None:
        """Hang up, and return the program's exit code. Does nothing a second time."""
        if self._number and not self._closed:
            self._closed = True
            request = m.CloseTerminal(self._connection.session, self._number)
            self.exit_code = (await self._connection.ask(request, m.TerminalRead)).exit_code
        return self.exit_code

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # async only
    def __await__(self) -> Generator[Any, None, Self]:
        return self.start().__await__()

    # end of async only
