"""The engine's handle on a zygote and its keeper: starts them, asks for forks, hears what ended."""

from __future__ import annotations

import array
import asyncio
import base64
import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any

from msgspec import Struct

from sandbox.engine import view
from sandbox.engine.filters import compiled
from sandbox.engine.forker import Forker, Offspring, receive, settle
from sandbox.engine.ids import Ids
from sandbox.engine.interpreters import Interpreter
from sandbox.engine.keeper import KeeperProcess, seqpacket
from sandbox.engine.paths import RunDirectory
from sandbox.errors import SandboxConnectionError, SandboxStartError
from sandbox.inside.contain.policy import NAMESPACES, NONE, WORKER, WORKSPACE, ZYGOTE

_START_SECONDS = 30.0


class ZygoteSpec(Struct, frozen=True):
    """What tells one zygote from another: sessions with the same spec share one."""

    interpreter: Interpreter
    level: str
    without: frozenset[str]
    landlock_abi: int
    cgroups: bool = True
    network: str = "none"


class IsolationUnavailable(SandboxStartError):
    """A restriction could not be put in force; `details` has its name as `restriction` and the errno."""


class Zygote(Forker):
    """One zygote with its keeper. Everything runs in the engine's event loop.

    `place` holds the workspaces of its sessions: those of other zygotes are out of its packages' sight. One that
    imports no packages, since its workers become Node, shows them all, so that a worker can work in any.
    """

    def __init__(self, spec: ZygoteSpec, run: RunDirectory, place: Path, ids: Ids) -> None:
        # Who has no packages to warm wants no import to be in the way of a fork.
        super().__init__(("asyncio", *spec.interpreter.warm) if spec.interpreter.warm else ())
        self.spec = spec
        self.place = place
        self._shown = place if spec.interpreter.node is None else run.workspaces
        self.offspring: set[Offspring] = set()
        self._run = run
        self._ids = ids
        self._clone_turn = asyncio.Lock()
        self._cloned: asyncio.Future[tuple[dict[str, Any], list[int]]] | None = None

    # --- life ---

    def spawn(self, remove: dict[str, list[str]], keeper: KeeperProcess) -> None:
        """Tell a keeper what to start, and what to `remove` when this process dies. Does not wait."""
        self._started = keeper
        self._process, self._keeper = keeper.process, keeper.socket
        self._zygote, zygote_end = seqpacket()
        with zygote_end:
            message = json.dumps({**self._boot(), "remove": remove}).encode()
            fds = array.array("i", [zygote_end.fileno(), self._run.log])
            self._keeper.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])

    def _boot(self) -> dict[str, Any]:
        spec = self.spec
        interpreter = spec.interpreter
        home, scratch = WORKSPACE, "/tmp"  # noqa: S108 - what every worker has, and the zygote too, in its own view
        if spec.level != NAMESPACES:
            home = scratch = str(self._run.path / "zygote")
            os.makedirs(scratch, mode=0o711, exist_ok=True)
        return {
            "level": spec.level,
            "own_ids": self._ids.range,
            "view": view.view(interpreter, str(self._shown)),
            "paths": interpreter.site_dirs,
            "prefix": interpreter.prefix,
            "warm": self._warm,
            "variables": view.variables(interpreter, home, scratch),
            "without": sorted(spec.without),
            "network": spec.network,
            "zygote_filter": self._filter(ZYGOTE),
            "worker_filter": self._filter(WORKER),
            "readable": view.readable(interpreter),
        }

    def shows(self, path: Path) -> bool:
        """Whether a workspace is where its workers can be given it."""
        return path.is_relative_to(self._shown)

    def staged(self, path: Path) -> str:
        """Where the zygote itself sees a workspace."""
        return f"/.workspaces/{path.relative_to(self._shown)}" if self.spec.level == NAMESPACES else str(path)

    def _filter(self, stage: str) -> str:
        spec = self.spec
        if spec.level == NONE:
            return ""
        program = compiled(spec.level, stage, spec.without, spec.landlock_abi, cgroups=spec.cgroups)
        return base64.b64encode(program).decode()

    async def started(self) -> None:
        """Wait until the zygote serves. Raises IsolationUnavailable or SandboxStartError."""
        loop = asyncio.get_running_loop()
        self.lost = loop.create_future()
        first: asyncio.Future[dict[str, Any] | None] = loop.create_future()

        def on_first() -> None:
            loop.remove_reader(self._keeper)
            message, _ = _receive(self._keeper)
            first.set_result(message)

        loop.add_reader(self._keeper, on_first)
        try:
            async with asyncio.timeout(_START_SECONDS):
                message = await first
        except TimeoutError:
            message = None
            loop.remove_reader(self._keeper)
        if message is None or "failed" in message:
            self._process.kill()
            await self._close_sockets()
            raise self._start_error(message)
        loop.add_reader(self._keeper, self._on_keeper)
        loop.add_reader(self._zygote, self._on_zygote)

    def _start_error(self, message: dict[str, Any] | None) -> SandboxStartError:
        if message is None:
            return SandboxStartError(
                f"the sandbox's keeper process ended at its start; its log says:\n"
                f"{self._started.said()}{self._run.log_tail()}"
            )
        failed = message["failed"]
        details = {"restriction": failed["step"], "errno": failed["errno"], "level": self.spec.level}
        return IsolationUnavailable(f"{failed['step']} is not available here: {failed['message']}", details)

    async def close(self) -> None:
        """End the zygote with all its workers, and wait for the keeper to have cleaned up."""
        for one in list(self.offspring):
            await self.end_offspring(one)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._keeper)
        loop.remove_reader(self._zygote)
        with contextlib.suppress(OSError):
            self._keeper.sendmsg([b'{"goodbye": true}'])
        await self._close_sockets()
        self._fail_all("the engine was closed")

    def forget(self) -> None:
        """In a process that was forked from the engine's: let go, so that the keeper notices the engine's end."""
        for one in self.offspring:
            one.forget()
        self._keeper.close()
        self._zygote.close()

    async def _close_sockets(self) -> None:
        """Close both and wait for the keeper's end, without a thread: at the interpreter's exit there are none left."""
        self._keeper.close()
        self._zygote.close()
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        pidfd = os.pidfd_open(self._process.pid)
        loop.add_reader(pidfd, settle, ended)
        try:
            await ended
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
        self._started.close()

    # --- forks with more imports ---

    async def fork_zygote(self, warm: tuple[str, ...]) -> Offspring:
        """Fork a process that imports these modules and forks commands. Raises SandboxConnectionError, OSError."""
        ours, theirs = seqpacket()
        try:
            with theirs:
                process = await self._fork({"do": "fork_zygote", "warm": list(warm)}, {"engine": theirs.fileno()})
        except BaseException:
            ours.close()
            raise
        one = Offspring(process, ours, warm)
        self.offspring.add(one)
        return one

    async def end_offspring(self, one: Offspring) -> None:
        """End such a process and what it has forked."""
        if one in self.offspring:
            self.offspring.remove(one)
            await one.close()

    # --- mounts ---

    async def clone(self, wanted: list[dict[str, Any]]) -> list[int]:
        """Have the keeper clone host paths; return detached mounts. Raises SandboxStartError."""
        async with self._clone_turn:
            self._cloned = asyncio.get_running_loop().create_future()
            self._keeper.sendmsg([json.dumps({"clone": wanted}).encode()])
            try:
                message, trees = await asyncio.shield(self._cloned)
            except asyncio.CancelledError:
                await _let_go(self._cloned)  # else it would be taken for the answer to the next one
                raise
        if "refused" in message:
            raise SandboxStartError(
                f"a directory cannot be mounted: {message['refused']['message']}", message["refused"]
            )
        return trees

    def _on_keeper(self) -> None:
        message, fds = _receive(self._keeper)
        if message is None or "zygote_ended" in message:
            self._on_lost("it ended" if message is None else f"its exit code is {message['zygote_ended']}")
        elif self._cloned is not None and not self._cloned.done():
            self._cloned.set_result((message, fds))

    # --- losing it ---

    def _on_lost(self, why: str) -> None:
        asyncio.get_running_loop().remove_reader(self._keeper)
        super()._on_lost(why)

    def _fail_all(self, text: str) -> None:
        super()._fail_all(text)
        if self._cloned is not None and not self._cloned.done():
            self._cloned.set_exception(SandboxConnectionError(text))


async def _let_go(answer: asyncio.Future[tuple[dict[str, Any], list[int]]]) -> None:
    """Wait for an answer that nobody wants, however often that is cancelled, and close its descriptors."""
    while not answer.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([answer])
    if answer.exception() is None:
        for fd in answer.result()[1]:
            os.close(fd)


def _receive(sock: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Receive one message of the keeper, or None when it is gone. Raises BlockingIOError when there is nothing."""
    data, fds = receive(sock)
    return json.loads(data) if data else None, fds
