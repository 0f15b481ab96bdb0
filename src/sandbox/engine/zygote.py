"""The engine's handle on a zygote and its keeper: starts them, asks for forks, hears what ended."""

from __future__ import annotations

import array
import asyncio
import base64
import contextlib
import itertools
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from sandbox.engine import view
from sandbox.engine.filters import compiled
from sandbox.engine.ids import Ids
from sandbox.engine.interpreters import Interpreter
from sandbox.engine.keeper import KeeperProcess, seqpacket
from sandbox.engine.paths import RunDirectory
from sandbox.engine.web.inner_socket import NotInside, the_socket
from sandbox.errors import SandboxConnectionError, SandboxStartError
from sandbox.inside.contain.policy import NAMESPACES, NONE, WORKER, WORKSPACE, ZYGOTE

_MAX_MESSAGE = 128 * 1024
_MAX_DESCRIPTORS = 16
_START_SECONDS = 30.0
_MOST_AT_ONCE = 64
_Number = Annotated[int, Meta(ge=0, le=1 << 53)]


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


class Forked(Struct, eq=False):
    """A new process: `pidfd` to signal it, `ended` to await its exit code (negative for a signal)."""

    number: int
    pidfd: int
    ended: asyncio.Future[int]


class _Waiting(Struct, eq=False):
    """A fork that was asked for and has not been answered."""

    answer: asyncio.Future[Forked]
    ended: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def give_up(self) -> None:
        """Whoever waits was cancelled, perhaps when the answer had just come. Closing its socket ends the fork."""
        if self.answer.done() and not self.answer.cancelled() and self.answer.exception() is None:
            os.close(self.answer.result().pidfd)


class Zygote:
    """One zygote with its keeper. Everything runs in the engine's event loop.

    `place` holds the workspaces of its sessions: those of other zygotes are out of its packages' sight.
    """

    def __init__(self, spec: ZygoteSpec, run: RunDirectory, place: Path, ids: Ids) -> None:
        self.spec = spec
        self.place = place
        self.warmed: list[str] = []
        self.warm_errors: dict[str, str] = {}
        # Who has no packages to warm wants no import to be in the way of a fork.
        self._warm = ("asyncio", *spec.interpreter.warm) if spec.interpreter.warm else ()
        self.warm_left = len(self._warm)
        self.on_warm: Callable[[Zygote], None] = lambda _zygote: None
        self.lost: asyncio.Future[str] | None = None
        self._run = run
        self._ids = ids
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._running: dict[int, asyncio.Future[int]] = {}
        self._sockets: dict[int, asyncio.Future[socket.socket]] = {}
        self._send_turn = asyncio.Lock()
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
            "view": view.view(interpreter, str(self.place)),
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
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._keeper)
        loop.remove_reader(self._zygote)
        with contextlib.suppress(OSError):
            self._keeper.sendmsg([b'{"goodbye": true}'])
        await self._close_sockets()
        self._fail_all("the engine was closed")

    def forget(self) -> None:
        """In a process that was forked from the engine's: let go, so that the keeper notices the engine's end."""
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

    # --- forks ---

    async def fork_worker(
        self, plan: dict[str, Any], fds: dict[str, int | list[int]], program: list[str] | None = None
    ) -> Forked:
        """Fork a worker; with `program`, the arguments of one, it becomes that once it is confined.

        The caller keeps its own copies of the descriptors. Raises SandboxConnectionError, OSError.
        """
        return await self._fork({"do": "fork_worker", "plan": plan, "program": program}, fds)

    async def fork_command(self, plan: dict[str, Any], fds: dict[str, int | list[int]]) -> Forked:
        """Fork a command that joins the namespaces of the worker behind `fds["worker"]`, its pidfd.

        It waits on its control socket to be told its program: the zygote's memory is in every later worker, and
        arguments and environment may hold secrets.
        """
        return await self._fork({"do": "fork_command", "plan": plan}, fds)

    async def signal_group(self, number: int, signal_number: int) -> None:
        await self._send({"do": "signal_group", "id": number, "signal": signal_number}, [])

    async def make_socket(self, worker: int) -> socket.socket:
        """Return a TCP socket, not connected, in the network of the worker behind a pidfd.

        Raises OSError if the worker has ended, SandboxConnectionError.
        """
        number = next(self._numbers)
        made: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        self._sockets[number] = made
        try:
            await self._send({"do": "make_socket", "id": number}, [worker])
            return await made
        except asyncio.CancelledError:
            if made.done() and not made.cancelled() and made.exception() is None:
                made.result().close()
            raise
        finally:
            self._sockets.pop(number, None)

    async def _fork(self, message: dict[str, Any], named: dict[str, int | list[int]]) -> Forked:
        names, fds = _positions(named)
        number = next(self._numbers)
        waiting = self._waiting[number] = _Waiting(asyncio.get_running_loop().create_future())
        try:
            await self._send({**message, "id": number, "fds": names}, fds)
            return await waiting.answer
        except asyncio.CancelledError:
            waiting.give_up()
            raise
        finally:
            self._waiting.pop(number, None)

    async def _send(self, message: dict[str, Any], fds: list[int]) -> None:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        data = [json.dumps(message).encode()]
        async with self._send_turn:
            while True:
                try:
                    self._zygote.sendmsg(data, ancillary)
                    return
                except BlockingIOError:
                    await _writable(self._zygote)
                except OSError as error:
                    raise SandboxConnectionError(f"the zygote is gone: {error}") from error

    def _on_zygote(self) -> None:
        """Take the messages that are there, and not more than a few before others have their turn."""
        try:
            for _ in range(_MOST_AT_ONCE):
                data, fds = _receive_raw(self._zygote)
                if not data:
                    self._on_lost("it closed its socket")
                    return
                self._on_message(_from_zygote.decode(data), fds)
        except BlockingIOError:
            return
        except (msgspec.MsgspecError, NotInside, _Lie) as error:
            # The code of packages runs in there too.
            self._on_lost(f"it broke the protocol: {error}")

    def _on_message(self, message: _Said, fds: list[int]) -> None:
        match message:
            case _Said(forked=int(number)):
                self._on_forked(number, _the_pidfd(fds))
            case _Said(ended=int(number), code=code):
                ended = self._running.pop(number, None)
                if ended is not None and not ended.done():
                    ended.set_result(code)
            case _Said(made=int(number)):
                self._on_made(number, the_socket(fds))
            case _Said(fork_failed=int(number), errno=errno, message=text):
                self._on_failed(number, OSError(errno, text))
            case _Said(warmed=str()):
                self._on_warmed(message)

    def _on_forked(self, number: int, pidfd: int) -> None:
        waiting = self._waiting.get(number)
        if waiting is None or waiting.answer.done():
            os.close(pidfd)  # the caller was cancelled; closing the control socket ends the worker
            return
        self._running[number] = waiting.ended
        waiting.answer.set_result(Forked(number, pidfd, waiting.ended))

    def _on_made(self, number: int, made: socket.socket) -> None:
        wanted = self._sockets.get(number)
        if wanted is None or wanted.done():
            made.close()  # whoever asked was cancelled
        else:
            wanted.set_result(made)

    def _on_failed(self, number: int, error: OSError) -> None:
        waiting = self._waiting.get(number)
        wanted = self._sockets.get(number) if waiting is None else waiting.answer
        if wanted is not None and not wanted.done():
            wanted.set_exception(error)

    def _on_warmed(self, report: _Said) -> None:
        if report.warmed not in self._warm or self.warm_left == 0:
            raise _Lie("an import that nobody asked for")
        self.warm_left -= 1
        if report.error:
            self.warm_errors[report.warmed] = report.error
        else:
            self.warmed.append(report.warmed)
        self.on_warm(self)

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
        """Every worker is gone with it. `lost` tells the launcher, which closes what is left of it."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._zygote)
        loop.remove_reader(self._keeper)
        text = f"the zygote is gone: {why}"
        if self.lost is not None and not self.lost.done():
            self.lost.set_result(text)
        self._fail_all(text)

    def _fail_all(self, text: str) -> None:
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(SandboxConnectionError(text))
        for wanted in self._sockets.values():
            if not wanted.done():
                wanted.set_exception(SandboxConnectionError(text))
        if self._cloned is not None and not self._cloned.done():
            self._cloned.set_exception(SandboxConnectionError(text))
        for ended in self._running.values():
            if not ended.done():
                ended.set_result(-9)
        self._running.clear()


async def _let_go(answer: asyncio.Future[tuple[dict[str, Any], list[int]]]) -> None:
    """Wait for an answer that nobody wants, however often that is cancelled, and close its descriptors."""
    while not answer.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([answer])
    if answer.exception() is None:
        for fd in answer.result()[1]:
            os.close(fd)


def _positions(named: dict[str, int | list[int]]) -> tuple[dict[str, int | list[int]], list[int]]:
    """Turn names with descriptors into names with positions, and the list that the positions are in."""
    fds: list[int] = []
    names: dict[str, int | list[int]] = {}
    for name, value in named.items():
        if isinstance(value, list):
            names[name] = list(range(len(fds), len(fds) + len(value)))
            fds.extend(value)
        else:
            names[name] = len(fds)
            fds.append(value)
    return names, fds


class _Said(Struct, forbid_unknown_fields=True):
    """What a zygote may say: that a fork or socket was made or failed, a process has ended, an import was done."""

    forked: _Number | None = None
    made: _Number | None = None
    ended: _Number | None = None
    code: Annotated[int, Meta(ge=-255, le=255)] = -9
    fork_failed: _Number | None = None
    errno: Annotated[int, Meta(ge=0, le=4096)] = 0
    message: Annotated[str, Meta(max_length=4096)] = ""
    warmed: Annotated[str, Meta(max_length=1024)] | None = None
    error: Annotated[str, Meta(max_length=4096)] | None = None
    seconds: float = 0.0
    threads: int = 0
    left: int = 0


_from_zygote = msgspec.json.Decoder(_Said)


class _Lie(Exception):
    """A zygote said what cannot be."""


def _the_pidfd(fds: list[int]) -> int:
    """The one descriptor of a message. Raises _Lie if it stands for no process."""
    try:
        (pidfd,) = fds
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            signal.pidfd_send_signal(pidfd, 0)
    except (ValueError, OSError) as error:
        for fd in fds:
            os.close(fd)
        raise _Lie("a fork without its process") from error
    return pidfd


def _receive(sock: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Receive one message of the keeper, or None when it is gone. Raises BlockingIOError when there is nothing."""
    data, fds = _receive_raw(sock)
    return json.loads(data) if data else None, fds


def _receive_raw(sock: socket.socket) -> tuple[bytes, list[int]]:
    """Receive one message, empty when the other side is gone. Raises BlockingIOError when there is nothing."""
    try:
        data, ancillary, _, _ = sock.recvmsg(
            _MAX_MESSAGE, socket.CMSG_SPACE(_MAX_DESCRIPTORS * 4), socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError:
        return b"", []
    fds: list[int] = []
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.extend(array.array("i", payload[: len(payload) // 4 * 4]))
    return data, fds


def settle(future: asyncio.Future[None]) -> None:
    """Finish a future that may have been cancelled: for callbacks of the loop."""
    if not future.done():
        future.set_result(None)


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(sock, settle, ready)
    with contextlib.ExitStack() as stack:
        stack.callback(loop.remove_writer, sock)
        await ready
