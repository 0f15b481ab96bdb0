"""One web app: a program inside that answers HTTP, the relay to it, and what becomes of both."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from sandbox.engine.artifacts import NoRoom
from sandbox.engine.commands import NUMBERS, Command
from sandbox.engine.waiting import uncancelled
from sandbox.engine.web import health, kinds, way
from sandbox.engine.web.kinds import Spec
from sandbox.engine.web.log import Log
from sandbox.engine.web.relay import LOOPBACK, Relay, listen
from sandbox.engine.web.visits import Visits
from sandbox.errors import SandboxClosedError, SandboxConnectionError, SandboxError, SandboxWebAppError, UsageError
from sandbox.protocol.messages import ArtifactInfo, CommandFinished, StartCommand, WebAppInfo

if TYPE_CHECKING:
    from sandbox.engine.launcher import Cell
    from sandbox.engine.session import Session
    from sandbox.engine.sessions import Sessions

STARTING, RUNNING, RESTARTING, ENDED = "starting", "running", "restarting", "ended"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25
_PORTS_TRIED = 100
_CHECK_SECONDS = 5.0
# The commands' limit of output ends with dropping what comes; of a log it is the end that matters.
_NO_LIMIT_MB = 1e9
_MOST_RETURNS, _RETURNS_SECONDS = 3, 60.0
_END_SECONDS = 2.0


class WebApp:
    """Methods run in the engine's loop. Who calls `begin` or `restart` holds `turn`."""

    def __init__(self, spec: Spec, sessions: Sessions, session: Session) -> None:
        self.spec = spec
        self.id, self.made_at = os.urandom(10).hex(), time.time()
        self.visits = Visits(self._connect)
        self.turn = asyncio.Lock()
        self.state = STARTING
        self.why = ""
        self.exit_code: int | None = None
        self.screenshot: ArtifactInfo | None = None
        self.notes: tuple[str, ...] = ()
        self._sessions = sessions
        self._session = session
        self._log = Log()
        self._log_artifact: ArtifactInfo | None = None
        self._relay: Relay | None = None
        self._cell: Cell | None = None
        self._command: Command | None = None
        self._run: asyncio.Task[None] | None = None
        self._finished: CommandFinished | SandboxError | None = None
        self._return: asyncio.Task[None] | None = None
        self._returns: deque[float] = deque(maxlen=_MOST_RETURNS)
        self._closing = False
        sessions.apps[self.id] = self
        self._inner_port = 0
        self._status = 0
        self._pid = 0
        self._began = time.time()

    # --- starting ---

    async def begin(self, cell: Cell, seconds: float) -> None:
        """Start its program and wait until it answers. Raises SandboxWebAppError, with nothing left running."""
        self.state, self.why, self.exit_code, self.notes = STARTING, "", None, ()
        self._cell, self._log, self._began, self._status = cell, Log(), time.time(), 0
        try:
            if self._relay is None:
                self._relay = self._listen(cell)
            self._inner_port = await self._free_port(cell, self._relay.port)
            self._run = self._start(cell, kinds.program(self.spec, self._python(cell), self._inner_port), self._log)
            await self._answered(cell, self._run, self._relay.port, seconds)
        except BaseException as error:
            await self._give_up(error)
            raise
        self.state = RUNNING
        self._keep_log()
        if self._run.done():  # in this very moment
            self._on_end(cell)

    def _listen(self, cell: Cell) -> Relay:
        # Without a network of its own, a command that insists on the port has to get it.
        shared = way.shares_the_hosts_network(cell)
        wanted = 0 if self.spec.anywhere else self.spec.port + (shared and self._insists)
        relay = Relay(listen(wanted), self._connect, self.spec.hosts)
        if wanted and relay.port != wanted:
            self.notes = (f"port {wanted} was not free, so it is at {relay.port}",)
        return relay

    async def _give_up(self, error: BaseException) -> None:
        """What it began has failed, or was cancelled: nothing of it is to run on."""
        try:
            await uncancelled(self._end_program(0.0))
        finally:
            self.state, self.why = ENDED, self.why or str(error) or "the request was cancelled"

    @property
    def _insists(self) -> bool:
        """Whether the app may listen on the port that was named and on no other."""
        return self.spec.kind == kinds.HTTP and self.spec.port > 0

    @staticmethod
    def _python(cell: Cell) -> str:
        return cell.zygote.spec.interpreter.executable

    async def _free_port(self, cell: Cell, outer: int) -> int:
        """The port inside: the same as outside where nobody listens there."""
        if self._insists:
            if await way.is_taken(cell, self.spec.port):
                raise UsageError(
                    f"something inside the sandbox listens on port {self.spec.port} already: stop it, or name another"
                )
            return self.spec.port
        for port in range(outer, min(outer + _PORTS_TRIED, 1 << 16)):
            if not await way.is_taken(cell, port):
                return port
        raise UsageError(f"the ports from {outer} on are all taken inside the sandbox: name another")

    def _start(self, cell: Cell, argv: tuple[str, ...], log: Log) -> asyncio.Task[None]:
        """Run the app's program, under the limits of the session's commands. Raises SandboxClosedError."""
        if self._closing:
            raise SandboxClosedError("the app was stopped while it began")
        env = kinds.variables(self.spec, self._inner_port)
        request = StartCommand(self._session.id, argv, self.spec.directory, env)
        options = msgspec.structs.replace(self._session.options, output=_NO_LIMIT_MB)
        self._command, self._finished = Command(next(NUMBERS), request, options, log.take), None
        return asyncio.get_running_loop().create_task(self._serve(cell, self._command))

    async def _serve(self, cell: Cell, command: Command) -> None:
        self._session.commands[command.number] = command
        try:
            self._finished = await command.run(cell, self._sessions.launcher)
        except SandboxError as error:
            self._finished = error
        finally:
            del self._session.commands[command.number]
            if self.state == RUNNING:
                self._on_end(cell)

    async def _answered(self, cell: Cell, run: asyncio.Task[None], port: int, seconds: float) -> None:
        """Wait for the first answer, and see whether it is a good one."""
        try:
            async with asyncio.timeout(seconds):
                await self._until_answer(run, port)
        except TimeoutError:
            raise self._failed("silent", f"did not answer within {seconds:g} s: {self._hint()}") from None
        assert self._command is not None
        self._pid = self._command.pid
        if not run.done():
            await self._check(cell)
        if run.done():
            raise self._ended_early()

    async def _until_answer(self, run: asyncio.Task[None], port: int) -> None:
        """Ask until it answers or ends: nothing tells of a port that somebody inside begins to listen on."""
        pause = _FIRST_PAUSE
        while not run.done() and not self._status:
            self._status = await health.status(LOOPBACK, port, kinds.health_path(self.spec))
            if not self._status:
                await asyncio.wait([run], timeout=pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def _check(self, cell: Cell) -> None:
        """Have the app's script run once, where its server answers whatever the script does."""
        argv = kinds.check(self.spec, self._python(cell), _CHECK_SECONDS)
        if not argv:
            return
        log = Log()
        env = kinds.variables(self.spec, 0)
        request = StartCommand(self._session.id, argv, self.spec.directory, env, timeout=6 * _CHECK_SECONDS)
        command = Command(next(NUMBERS), request, self._session.options, log.take)
        self._session.commands[command.number] = command
        try:
            done = await command.run(cell, self._sessions.launcher)
        finally:
            del self._session.commands[command.number]
        if done.exit_code == kinds.CHECK_FAILED:
            raise self._failed("failed", "answers, and its script raises an exception", log.end)
        if done.exit_code:
            self.note(f"its script could not be tried ahead of a visitor: {log.end.strip()[-500:]}")

    # --- failures ---

    def _hint(self) -> str:
        port = self._inner_port
        if self.spec.kind == kinds.HTTP:
            return f"it has to listen on 127.0.0.1 or 0.0.0.0, on port {port}, which it also finds in $PORT"
        return f"it was to listen on port {port} inside; app_type='http' runs servers that choose another way to serve"

    def _ended_early(self) -> SandboxError:
        if isinstance(self._finished, SandboxError):
            return self._finished
        if self._finished is None:
            return SandboxClosedError("the app was stopped while it began")
        self.exit_code = self._finished.exit_code
        if self.exit_code == kinds.MISSING and self.spec.kind in kinds.FRAMEWORKS:
            return self._failed(
                "missing", f"needs {self.spec.kind}, which is not installed: {kinds.missing(self.spec)}"
            )
        return self._failed("ended", f"ended before it answered, {self._end_in_words()}")

    def _end_in_words(self) -> str:
        if not isinstance(self._finished, CommandFinished):
            return str(self._finished)
        if self._finished.cause is not None:
            return f"because {self._finished.cause.message}; {self._finished.cause.remedy}"
        code = self._finished.exit_code
        return f"with signal {-code}" if code < 0 else f"with exit code {code}"

    def _failed(self, reason: str, what: str, said: str = "") -> SandboxWebAppError:
        self.why = what
        log = said or self._log.end
        text = f"the {self.spec.kind} app {self.spec.name!r} {what}"
        shown = f"; it printed:\n{log.strip()[-2000:]}" if log.strip() else "; it printed nothing"
        details = {"reason": reason, "exit_code": self.exit_code, "log": log, "name": self.spec.name}
        return SandboxWebAppError(text + shown, details)

    # --- while it runs ---

    async def _connect(self) -> socket.socket:
        if self._cell is None or self.state == ENDED:
            raise ConnectionRefusedError
        return await way.connect(self._cell, self._inner_port)

    def _on_end(self, cell: Cell) -> None:
        """It has ended without being asked to: by itself, by a limit, or with the session's worker."""
        self.state, self._pid = ENDED, 0
        self.why = f"it ended {self._end_in_words()}"
        self.exit_code = self._finished.exit_code if isinstance(self._finished, CommandFinished) else None
        if self.spec.restore:
            self._return = self._sessions.spawn(self._come_back(cell))

    async def _come_back(self, cell: Cell) -> None:
        """Start again beside the session's next worker, if it was the worker that ended."""
        # The kernel ends what runs beside a worker before the worker itself is gone.
        await asyncio.wait([cell.worker.process.ended], timeout=_END_SECONDS)
        if self._session.cell is cell and cell.worker.alive:
            return
        now = time.monotonic()
        if len(self._returns) == _MOST_RETURNS and now - self._returns[0] < _RETURNS_SECONDS:
            self.why = f"the session's worker has ended {_MOST_RETURNS + 1} times in a minute"
            return
        self._returns.append(now)
        try:
            async with self.turn:
                if self._cell is not cell:
                    return  # somebody has started it again
                self.state, self.why = RESTARTING, "the session's worker has ended"
                async with self._session.turn:
                    cell = await self._sessions.cell(self._session)
                await self.begin(cell, _RETURNS_SECONDS)
        except (SandboxError, OSError) as error:
            self.state, self.why = ENDED, f"it could not be started again: {error}"

    async def picture(self, path: str, size: tuple[int, int]) -> ArtifactInfo:
        """Take a picture of a page, which becomes an artifact. Raises NoChromium, SandboxError."""
        from sandbox.engine.web import picture  # noqa: PLC0415 - few take one

        if self.state != RUNNING:
            raise UsageError(f"the app {self.spec.name!r} does not run: it is {self.state}")
        png = await picture.take(self._sessions.launcher, self.port, path, size)
        try:
            self.screenshot = self._session.artifacts.put(
                self._session.executions, f"{self.spec.name}.png", "image/png", png, None
            )
        except NoRoom as error:
            raise SandboxError(f"there is no room for the picture: {error}") from error
        return self.screenshot

    # --- the end ---

    async def _end_program(self, grace: float) -> None:
        run, command = self._run, self._command
        if run is None or command is None:
            return
        if not run.done() and command.begun:
            with contextlib.suppress(SandboxConnectionError):  # the zygote is gone, and all of its processes
                await command.terminate_then_kill(grace)
            await asyncio.wait([run], timeout=_END_SECONDS)
        run.cancel()
        await asyncio.wait([run])

    async def restart(self, cell: Cell, spec: Spec, seconds: float) -> None:
        """End it and begin again at the same port. The caller holds `turn`. Raises SandboxWebAppError."""
        self.state, self.why = RESTARTING, ""
        try:
            await self._end_program(_END_SECONDS)
            self.visits.end()
            if self._relay is not None:
                await self._relay.drop()
        except BaseException as error:
            await self._give_up(error)
            raise
        self.spec = spec
        await self.begin(cell, seconds)

    async def close(self, grace: float = 0.0) -> None:
        """End it for good: program, connections, port."""
        await uncancelled(self._close(grace))

    async def _close(self, grace: float) -> None:
        if self._return is not None:
            self._return.cancel()
            await asyncio.wait([self._return])
        self._closing = True
        self._sessions.apps.pop(self.id, None)
        if self.state != ENDED:
            self.state, self.why = ENDED, "it was stopped"
        await self._end_program(grace)  # also one that is only beginning: whoever waits for it hears of its end
        async with self.turn:
            await self._end_program(grace)
            self._pid = 0
            self.visits.end()
            if self._relay is not None:
                await self._relay.close()

    # --- what is known of it ---

    @property
    def alive(self) -> bool:
        """Whether it runs, or is about to."""
        return self.state != ENDED

    @property
    def port(self) -> int:
        """On the host; 0 before it begins."""
        return self._relay.port if self._relay is not None else 0

    def info(self, *, whole_log: bool = False) -> WebAppInfo:
        """Describe it as it is now; its log becomes an artifact."""
        self._keep_log()
        relayed = self._relay.connections if self._relay is not None else 0
        return WebAppInfo(
            id=self.id, name=self.spec.name, app_type=self.spec.kind, url=f"http://{LOOPBACK}:{self.port}",
            port=self.port, inner_port=self._inner_port, pid=self._pid, state=self.state, status=self._status,
            exit_code=self.exit_code, why=self.why, path=self.spec.path, restore=self.spec.restore,
            started_at=self._began, connections=relayed + self.visits.count,
            log=self._log.text if whole_log else self._log.end, log_artifact=self._log_artifact,
            screenshot=self.screenshot, notes=self.notes,
        )  # fmt: skip

    def _keep_log(self) -> None:
        content = self._log.text.encode()
        try:
            self._log_artifact = self._session.artifacts.put(
                self._session.executions, f"{self.spec.name}.log", "text/plain", content, self._log_artifact
            )
        except NoRoom as error:
            self.note(f"its log was not kept as an artifact: {error}")

    def note(self, text: str) -> None:
        """Have something told with what is known of it, until it is started again."""
        if text not in self.notes:
            self.notes = (*self.notes, text)
