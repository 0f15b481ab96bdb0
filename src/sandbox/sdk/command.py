"""`sandbox.command`: programs beside the session's cells, in the same sandbox."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import Any

from sandbox.errors import (
    ProtocolError,
    SandboxClosedError,
    SandboxCommandError,
    SandboxError,
    SandboxTimeoutError,
    UsageError,
)
from sandbox.options import checked_env, checked_timeout
from sandbox.protocol import messages as m
from sandbox.sdk import checks
from sandbox.sdk.connection import Connection
from sandbox.sdk.execution import CommandExecution
from sandbox.sdk.transport import Feed, notify

Callback = Callable[[str], Any]


class Command:
    """Runs programs. `run("ls", ["-la"])` and `run(["ls", "-la"])` are the same; `shell("ls | wc -l")` asks a shell."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # A program runs on when nobody keeps its handle, and would be ended with its request.
        self._running: set[CommandHandle] = set()

    async def run(  # noqa: PLR0913
        self,
        program: str | Sequence[str],
        args: Sequence[str] = (),
        *,
        cwd: str | os.PathLike[str] | None = None,
        env: dict[str, str] | None = None,
        timeout: float | None = None,
        check: bool = False,
        on_stdout: Callback | None = None,
        on_stderr: Callback | None = None,
    ) -> CommandExecution:
        """Run a program to its end.

        Raises SandboxTimeoutError after `timeout` seconds, UsageError if there is no such program or directory,
        and SandboxCommandError for an exit code other than 0 if `check`.
        """
        handle = await self.start(program, args, cwd=cwd, env=env, timeout=timeout, stdin=False)
        try:
            while (event := await handle._next()) is not None:
                if isinstance(event, m.Output):
                    await notify(on_stdout if event.stream == "stdout" else on_stderr, event.text)
        except BaseException:
            await handle._abandon()
            raise
        return _checked(handle.execution, timeout, check=check)

    async def shell(
        self,
        script: str,
        *,
        cwd: str | os.PathLike[str] | None = None,
        env: dict[str, str] | None = None,
        timeout: float | None = None,
        check: bool = False,
        on_stdout: Callback | None = None,
        on_stderr: Callback | None = None,
    ) -> CommandExecution:
        """Run a line of shell, with /bin/sh. See `run`."""
        return await self.run(
            "/bin/sh",
            ["-c", script],
            cwd=cwd,
            env=env,
            timeout=timeout,
            check=check,
            on_stdout=on_stdout,
            on_stderr=on_stderr,
        )

    async def start(
        self,
        program: str | Sequence[str],
        args: Sequence[str] = (),
        *,
        cwd: str | os.PathLike[str] | None = None,
        env: dict[str, str] | None = None,
        timeout: float | None = None,
        stdin: bool = True,
    ) -> CommandHandle:
        """Start a program and return a handle on it. It ends with the session's worker at the latest."""
        argv, limit = checks.argv(program, args), checked_timeout(timeout)
        where = None if cwd is None else checks.inside("cwd", cwd)
        request = m.StartCommand(self._connection.session, argv, where, checked_env(env or {}), limit, bool(stdin))
        handle = CommandHandle(self._connection, request, self._running)
        await handle.begin()
        return handle


class CommandHandle:
    """A program that runs in the background. `execution` has what it has printed so far, and how it ended."""

    def __init__(self, connection: Connection, request: m.StartCommand, running: set[CommandHandle]) -> None:
        self._connection = connection
        self._feed = Feed(connection.stream(request))
        self._running = running
        self._timeout = request.timeout
        self.execution = CommandExecution(argv=request.argv)
        self.command = 0
        self._stdin_closed = "" if request.stdin else "start it with stdin=True"  # why it takes nothing

    async def begin(self) -> None:
        """Wait until it runs; called by `start`."""
        try:
            event = await self._feed.next()
        except BaseException:
            await self._abandon()
            raise
        if not isinstance(event, m.CommandStarted):
            await self._abandon()
            raise ProtocolError("a command's answer began without its start")
        self.command = event.command
        self._running.add(self)

    async def stream(self) -> AsyncGenerator[m.Output | CommandExecution]:
        """Yield what it prints until it ends, then its `CommandExecution`."""
        while (event := await self._next()) is not None:
            if isinstance(event, m.Output):
                yield event
        yield self.execution

    async def wait(self, timeout: float | None = None, *, check: bool = False) -> CommandExecution:
        """Wait for its end. Raises as `Command.run`. Being cancelled ends the wait and not the program.

        Raises SandboxTimeoutError after `timeout` seconds of waiting; the program runs on, and can be waited for again.
        """
        until = None if checked_timeout(timeout) is None else time.monotonic() + (timeout or 0)
        try:
            while await self._next(until) is not None:
                pass
        except TimeoutError:
            raise _timed_out(self.execution, f"{self.execution.argv[0]} runs on after", timeout) from None
        return _checked(self.execution, self._timeout, check=check)

    async def _next(self, until: float | None = None) -> m.AnyEvent | None:
        """The next event, or None at the end. Raises TimeoutError."""
        try:
            event = await self._feed.next(until)
        except SandboxError:
            self._running.discard(self)
            raise
        if event is None:
            self._running.discard(self)
        else:
            self.execution.add(event)
        return event

    async def _abandon(self) -> None:
        """End it, if it runs: nobody waits for it."""
        self._running.discard(self)
        await self._feed.close()

    async def write(self, data: bytes | str) -> None:
        """Write to its standard input. Raises UsageError if that is closed or the program has ended."""
        if self._stdin_closed:
            raise UsageError(f"the standard input of {self.execution.argv[0]} is closed: {self._stdin_closed}")
        await self._stdin(bytes(checks.content("data", data)), close=False)

    async def close_stdin(self) -> None:
        """End its standard input. Does nothing if that is closed, or the program has ended."""
        if not self._stdin_closed:
            self._stdin_closed = "close_stdin() was called"
            await self._stdin(b"", close=True)

    async def terminate(self) -> None:
        """Ask it to end, with SIGTERM to its process group. Does nothing if it has ended."""
        await self.signal(signal.SIGTERM)

    async def kill(self) -> None:
        """End it, with SIGKILL to its process group. Does nothing if it has ended."""
        await self.signal(signal.SIGKILL)

    async def signal(self, number: int | str) -> None:
        """Send a signal, by number or by a name such as "TERM", to its process group. Does nothing if it has ended."""
        wanted = checks.signal_number(number)
        if self.execution.exit_code is None:
            with suppress(SandboxClosedError):  # it has ended with its session
                request = m.SignalCommand(self._connection.session, self.command, wanted)
                await self._connection.ask(request, m.Done)

    async def _stdin(self, data: bytes, *, close: bool) -> None:
        await self._connection.ask(m.WriteStdin(self._connection.session, self.command, data, close), m.Done)


def _checked(execution: CommandExecution, timeout: float | None, *, check: bool) -> CommandExecution:
    if execution.cause == "timeout":
        raise _timed_out(execution, f"{execution.argv[0]} did not end in", timeout)
    if check and execution.exit_code != 0:
        said = execution.stderr.strip()[-1000:]
        text = f"{execution.argv[0]} ended with {_end(execution.exit_code)}{': ' if said else ''}{said}"
        if execution.cause is not None:
            text = f"{text} [{execution.cause}: {execution.cause.message}; {execution.cause.remedy}]"
        failure = SandboxCommandError(text, {"exit_code": execution.exit_code})
        failure.execution = execution
        raise failure
    return execution


def _end(code: int | None) -> str:
    """How a program ended, in words."""
    if code is not None and code < 0:
        return f"signal {-code}"
    return f"exit code {code}"


def _timed_out(execution: CommandExecution, what: str, timeout: float | None) -> SandboxTimeoutError:
    error = SandboxTimeoutError(f"{what} {timeout:g} s", {"timeout": timeout})
    error.execution = execution  # type: ignore[assignment]
    return error
