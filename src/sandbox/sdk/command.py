"""`sandbox.command`: programs beside the session's cells, in the same sandbox."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from sandbox.errors import ProtocolError, SandboxCommandError, SandboxTimeoutError
from sandbox.protocol import messages as m
from sandbox.sdk.connection import Connection
from sandbox.sdk.execution import CommandExecution
from sandbox.sdk.transport import notify

Callback = Callable[[str], Any]


class Command:
    """Runs programs. `run("ls", ["-la"])` and `run(["ls", "-la"])` are the same; `shell("ls | wc -l")` asks a shell."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def run(  # noqa: PLR0913
        self,
        program: str | Sequence[str],
        args: Sequence[str] = (),
        *,
        cwd: str | None = None,
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
        async with aclosing(handle.stream()) as outputs:
            async for output in outputs:
                await notify(on_stdout if output.stream == "stdout" else on_stderr, output.text)
        return _checked(handle.execution, timeout, check=check)

    async def shell(
        self,
        script: str,
        *,
        cwd: str | None = None,
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
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        timeout: float | None = None,
        stdin: bool = True,
    ) -> CommandHandle:
        """Start a program and return a handle on it. It ends with the session's worker at the latest."""
        argv = (program, *args) if isinstance(program, str) else (*program, *args)
        request = m.StartCommand(self._connection.session, argv, cwd, env or {}, timeout, stdin)
        handle = CommandHandle(self._connection, request)
        await handle.begin()
        return handle


class CommandHandle:
    """A program that runs in the background."""

    def __init__(self, connection: Connection, request: m.StartCommand) -> None:
        self._connection = connection
        self._events = connection.stream(request)
        self.execution = CommandExecution(argv=request.argv)
        self._timeout = request.timeout
        self.command = 0

    async def begin(self) -> None:
        """Wait until it runs; called by `start`."""
        async for event in self._events:
            if isinstance(event, m.CommandStarted):
                self.command = event.command
                return
        raise ProtocolError("a command's answer began without its start")

    async def stream(self) -> AsyncGenerator[m.Output]:
        """Yield what it prints until it ends."""
        async for event in self._events:
            self.execution.add(event)
            if isinstance(event, m.Output):
                yield event

    async def wait(self, *, check: bool = False) -> CommandExecution:
        """Wait for its end. Raises as `Command.run`."""
        async for event in self._events:
            self.execution.add(event)
        return _checked(self.execution, self._timeout, check=check)

    async def write(self, data: bytes | str) -> None:
        """Write to its standard input."""
        content = data.encode() if isinstance(data, str) else data
        await self._stdin(content, close=False)

    async def close_stdin(self) -> None:
        """End its standard input."""
        await self._stdin(b"", close=True)

    async def terminate(self) -> None:
        """Ask it to end, with SIGTERM to its process group."""
        await self.signal(signal.SIGTERM)

    async def kill(self) -> None:
        """End it, with SIGKILL to its process group."""
        await self.signal(signal.SIGKILL)

    async def signal(self, number: int) -> None:
        """Send a signal to its process group. Raises UsageError if it has ended."""
        await self._connection.ask(m.SignalCommand(self._connection.session, self.command, int(number)), m.Done)

    async def _stdin(self, data: bytes, *, close: bool) -> None:
        await self._connection.ask(m.WriteStdin(self._connection.session, self.command, data, close), m.Done)


def _checked(execution: CommandExecution, timeout: float | None, *, check: bool) -> CommandExecution:
    if execution.cause == "timeout":
        error = SandboxTimeoutError(f"{execution.argv[0]} did not end in {timeout:g} s", {"timeout": timeout})
        error.execution = execution  # type: ignore[assignment]
        raise error
    if check and execution.exit_code != 0:
        text = f"{execution.argv[0]} ended with {execution.exit_code}: {execution.stderr.strip()[-1000:]}"
        failure = SandboxCommandError(text, {"exit_code": execution.exit_code})
        failure.execution = execution
        raise failure
    return execution
