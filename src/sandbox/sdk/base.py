"""What every sandbox can do, wherever it is."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from sandbox.errors import (
    SandboxClosedError,
    UsageError,
)
from sandbox.ids import checked_session_id
from sandbox.network.policy import NetworkPolicy
from sandbox.options import SandboxOptions
from sandbox.protocol import messages as m
from sandbox.results import Artifact
from sandbox.sdk import checks
from sandbox.sdk.animations import Animations
from sandbox.sdk.checks import SESSION_TIMEOUT
from sandbox.sdk.command import Command
from sandbox.sdk.connection import DELETED, STOPPED, Connection
from sandbox.sdk.convert import session_options, with_network
from sandbox.sdk.execution import Execution, failure
from sandbox.sdk.files import Files
from sandbox.sdk.metrics import Metrics
from sandbox.sdk.network import Network
from sandbox.sdk.terminal import Terminal
from sandbox.sdk.transport import OneFlavour, Transport, notify
from sandbox.sdk.web import Web


class Sandbox(OneFlavour):
    """Options plus one session. Use it with `async with`, or await it, or call `start` and `stop`."""

    def __init__(self, transport: Transport | None = None, session_id: str | None = None, **options: Any) -> None:
        if transport is None or not hasattr(transport, "send"):
            name = type(self).__name__
            kind = name if hasattr(type(self), "create_local") else "PythonSandbox"
            raise UsageError(f"{name}() has no engine: use {kind}.create_local(...) or create_remote(...)")
        self.options = _options(options)
        self._connection = Connection(transport)
        self._wanted_session = None if session_id is None else checked_session_id(session_id)
        self._opened: m.SessionOpened | None = None  # while it is started
        self._last: m.SessionOpened | None = None  # also after `stop`
        self._changed: str | NetworkPolicy | None = None  # what `network.set` has set, which the options need not allow
        self.files = Files(self._connection)
        self.command = Command(self._connection)
        self.metrics = Metrics(self._connection)
        self.web = Web(self._connection, self._artifact)
        self.animations = Animations(self._connection, self._artifact)
        self.network = Network(self._connection, self._learn_network)

    # --- life ---

    async def start(self) -> Self:
        """Open the session: a worker is confined and waiting when this returns.

        Raises SandboxStartError, and SandboxClosedError after `delete`.
        """
        if self._connection.closed == DELETED:
            raise SandboxClosedError(DELETED)
        if self._opened is None:
            await self._open(self._wanted_session or os.urandom(8).hex())
        return self

    async def _open(self, session: str) -> None:
        try:
            fresh = self._wanted_session is None
            options = with_network(session_options(self.options), self._changed)
            request = m.OpenSession(options, session, fresh=fresh)
            self._opened = self._last = await self._connection.ask(request, m.SessionOpened)
        except BaseException:
            if self._wanted_session is None:
                # Cancelled, perhaps after it was made: nobody will ever know its id.
                self._connection.transport.post(m.encode(m.DeleteSession(session)))
            raise
        self._connection.session = session

    async def stop(self) -> None:
        """End the worker and keep the session; `start` goes on with it. Does nothing when not started.

        What the session was can still be looked at, such as its id, history and artifacts, and it can be deleted.
        """
        if self._opened is not None:
            session = self._wanted_session = self._opened.session
            self._opened, self._connection.closed = None, STOPPED
            await self._connection.ask(m.CloseSession(session), m.Done)

    async def delete(self) -> None:
        """Delete the session, started or stopped: worker, workspace, artifacts and history. It cannot be started again.

        Raises SandboxClosedError if it was never started, or is deleted already.
        """
        await self._connection.ask(m.DeleteSession(self._deleted()), m.Done)

    def _deleted(self) -> str:
        """Forget the session, and return its id."""
        session = self._known.session
        self._opened, self._last, self._connection.closed = None, None, DELETED
        return session

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # async only
    def __await__(self) -> Generator[Any, None, Self]:
        return self.start().__await__()

    # end of async only

    def _learn_network(self, network: str | NetworkPolicy) -> None:
        """It was changed: `start` after a `stop` goes on with that.

        The options stay what they were: those of a sandbox with secrets could not have a network that is closed.
        """
        self._changed = network

    def terminal(
        self,
        program: str | Sequence[str] | None = None,
        args: Sequence[str] = (),
        *,
        cols: int = 80,
        rows: int = 24,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Terminal:
        """Return a terminal with a program, a shell if none is named, for `async with` or `await`.

        It has the size that is given, and ends with the session's worker at the latest.
        """
        return Terminal.of(self._connection, program, args, cols, rows, cwd, env)

    def _artifact(self, info: m.ArtifactInfo) -> Artifact:
        return Artifact.of(info)

    @property
    def _started(self) -> m.SessionOpened:
        if self._opened is None:
            raise SandboxClosedError(self._connection.closed)
        return self._opened

    @property
    def _known(self) -> m.SessionOpened:
        if self._last is None:
            raise SandboxClosedError(self._connection.closed)
        return self._last

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        session = "" if self._last is None else f" of session {self._last.session}"
        state = "started" if self._opened is not None else "not started" if self._last is None else "stopped"
        return f"<{type(self).__name__}{name}{session}, {'deleted' if self._connection.closed == DELETED else state}>"

    @property
    def name(self) -> str | None:
        """The label from the options."""
        return self.options.name

    @property
    def session_id(self) -> str:
        """The session's identity, also after `stop`."""
        return self._known.session

    @property
    def isolation(self) -> str:
        """The level of isolation in force."""
        return self._started.isolation

    @property
    def enforced(self) -> tuple[str, ...]:
        """The names of the restrictions in force."""
        return self._started.enforced

    # --- running code ---

    async def run(  # noqa: PLR0913
        self,
        code: str,
        *,
        timeout: float | None = SESSION_TIMEOUT,
        check: bool = True,
        on_stdout: Callable[[str], Any] | None = None,
        on_stderr: Callable[[str], Any] | None = None,
        on_result: Callable[[Any], Any] | None = None,
        cache_key: str | None = None,
        dry_run: bool = False,
        language: str | None = None,
    ) -> Execution:
        """Run code in the session and return its execution.

        Args:
            code: Source text; top-level await is fine, and the last expression's value becomes a result.
            timeout: Seconds; the sandbox's option if left out, None for no limit.
            check: Raise if the code fails. With False the failure is in the execution's `exception`.
            on_stdout: Called with text while the code runs.
            on_stderr: Called with text while the code runs.
            on_result: Called with each `Result` while the code runs.
            cache_key: A name for the compiled code; the code itself if left out.
            dry_run: Run it in a fork of the session that is deleted afterwards, so that variables, files and history
                stay as they are. The execution's `changes` are what it would have done to variables and files.
            language: "javascript" or "typescript" in a sandbox of the other one; the sandbox's if left out.

        Raises SandboxExecutionError if the code fails, SandboxTimeoutError if it takes too long, and
        SandboxConnectionError if there is no engine. Being cancelled interrupts the code and keeps the variables.
        """
        act = self._dry_run if dry_run else self._execute
        execution = await act(code, timeout, cache_key, language, on_stdout, on_stderr, on_result)
        if check and execution.exception is not None:
            raise failure(execution)
        return execution

    async def _execute(
        self,
        code: str,
        timeout: float | None,
        cache_key: str | None,
        language: str | None,
        on_stdout: Callable[[str], Any] | None,
        on_stderr: Callable[[str], Any] | None,
        on_result: Callable[[Any], Any] | None,
    ) -> Execution:
        execution = Execution(code=code, _artifact_of=self._artifact)
        async with aclosing(self._run(code, timeout, cache_key, language)) as events:
            async for event in events:
                execution.add(event)
                if isinstance(event, m.Output):
                    await notify(on_stdout if event.stream == "stdout" else on_stderr, event.text)
                elif isinstance(event, m.ResultShown):
                    await notify(on_result, execution.results[-1])
        return execution

    async def _dry_run(self, code: str, *how: Any) -> Execution:
        """Execute code in a fork that is deleted afterwards, and note what that has changed."""
        raise UsageError("dry_run=True: this sandbox has no checkpoints to go back to")

    async def stream(
        self,
        code: str,
        *,
        timeout: float | None = SESSION_TIMEOUT,
        check: bool = False,
        cache_key: str | None = None,
        language: str | None = None,
    ) -> AsyncGenerator[m.Output | m.ResultShown | Execution]:
        """Run code and yield what it prints and shows as it happens, then its `Execution`.

        Ending the iteration early interrupts the code. With `check`, a failure of the code is raised after that.
        """
        execution = Execution(code=code, _artifact_of=self._artifact)
        async with aclosing(self._run(code, timeout, cache_key, language)) as events:
            async for event in events:
                execution.add(event)
                if isinstance(event, (m.Output, m.ResultShown)):
                    yield event
        yield execution
        if check and execution.exception is not None:
            raise failure(execution)

    async def interrupt(self) -> None:
        """Interrupt what runs: the code sees KeyboardInterrupt, and the variables stay."""
        await self._connection.ask(m.Interrupt(self._started.session), m.Done)

    async def complete(self, code: str, cursor: int | None = None) -> list[str]:
        """Return what could stand at `cursor` in `code`, from the live session; nothing while it runs code."""
        at = len(checks.text("code", code)) if cursor is None else checks.whole("cursor", cursor)
        answer = await self._connection.ask(m.Complete(self._started.session, code, at), m.Completions)
        return list(answer.matches)

    def _run(
        self, code: str, timeout: float | None, cache_key: str | None, language: str | None
    ) -> AsyncGenerator[m.AnyEvent]:
        key = None if cache_key is None else checks.text("cache_key", cache_key)
        session, text = self._started.session, checks.text("code", code)
        request = m.Run(session, text, checks.run_timeout(timeout), key, language)
        return self._connection.stream(request)


def _options(values: dict[str, Any]) -> SandboxOptions:
    unknown = values.keys() - SandboxOptions.__dataclass_fields__
    if unknown:
        known = ", ".join(SandboxOptions.__dataclass_fields__)
        raise UsageError(f"there is no option {', '.join(map(repr, sorted(unknown)))}; there are: {known}")
    return SandboxOptions(**values)
