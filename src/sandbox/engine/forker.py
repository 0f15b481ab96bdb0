"""The engine's end of a process that forks workers and commands: asks for forks, hears what ended."""

from __future__ import annotations

import array
import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
from collections.abc import Callable, Collection
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from sandbox.engine.web.inner_socket import NotInside, the_socket
from sandbox.errors import SandboxConnectionError

_MAX_MESSAGE = 128 * 1024
_MAX_DESCRIPTORS = 16
_MOST_AT_ONCE = 64
_END_SECONDS = 2.0
_Number = Annotated[int, Meta(ge=0, le=1 << 53)]


class Forked(Struct, eq=False):
    """A new process: `pidfd` to signal it, `ended` to await its exit code (negative for a signal).

    `cold`: how many of the zygote's imports it was forked before. `cpu_seconds`: once it has ended, what it has used
    with its children.
    """

    number: int
    pidfd: int
    ended: asyncio.Future[int]
    cold: int = 0
    cpu_seconds: float = 0.0


class _Waiting(Struct, eq=False):
    """A fork that was asked for and has not been answered."""

    answer: asyncio.Future[Forked]
    ended: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def give_up(self) -> None:
        """Whoever waits was cancelled, perhaps when the answer had just come. Closing its socket ends the fork."""
        if self.answer.done() and not self.answer.cancelled() and self.answer.exception() is None:
            os.close(self.answer.result().pidfd)


class Forker:
    """A process that forks, and imports the modules `warm` meanwhile. Everything runs in the engine's event loop."""

    def __init__(self, warm: tuple[str, ...]) -> None:
        self.warmed: list[str] = []
        self.warm_errors: dict[str, str] = {}
        self.warm_left = len(warm)
        self.on_warm: Callable[[Any], None] = lambda _forker: None
        self.lost: asyncio.Future[str] | None = None
        self._changed = asyncio.Event()  # in what is imported; set for a moment
        self._warm = warm
        self._zygote: socket.socket  # set by whoever has started it
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._running: dict[int, Forked] = {}
        self._sockets: dict[int, asyncio.Future[socket.socket]] = {}
        self._send_turn = asyncio.Lock()

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

    def lacks(self, left: int) -> tuple[str, ...]:
        """The packages of the last `left` imports."""
        return tuple(name.partition(".")[0] for name in self._warm[len(self._warm) - left :])

    async def has(self, packages: Collection[str]) -> None:
        """Wait until these packages were imported, or could not be, or the zygote is gone."""
        while not set(packages).isdisjoint(self.lacks(self.warm_left)) and not (self.lost and self.lost.done()):
            await self._changed.wait()

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
                data, fds = receive(self._zygote)
                if not data:
                    self._on_lost("it closed its socket")
                    return
                self._on_message(_checked(data, fds), fds)
        except BlockingIOError:
            return
        except (msgspec.MsgspecError, NotInside, Lie) as error:
            # The code of packages runs in there too.
            self._on_lost(f"it broke the protocol: {error}")

    def _on_message(self, message: _Said, fds: list[int]) -> None:
        match message:
            case _Said(forked=int(number)):
                self._on_forked(number, _the_pidfd(fds))
            case _Said(ended=int(number), code=code, cpu=cpu):
                process = self._running.pop(number, None)
                if process is not None and not process.ended.done():
                    process.cpu_seconds = cpu
                    process.ended.set_result(code)
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
        process = self._running[number] = Forked(number, pidfd, waiting.ended, self.warm_left)
        waiting.answer.set_result(process)

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
            raise Lie("an import that nobody asked for")
        self.warm_left -= 1
        if report.error:
            self.warm_errors[report.warmed] = report.error
        else:
            self.warmed.append(report.warmed)
        self._tell()
        self.on_warm(self)

    def _tell(self) -> None:
        self._changed.set()
        self._changed.clear()

    # --- losing it ---

    def _on_lost(self, why: str) -> None:
        """Every worker is gone with it. `lost` tells the launcher, which closes what is left of it."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._zygote)
        text = f"the zygote is gone: {why}"
        if self.lost is not None and not self.lost.done():
            self.lost.set_result(text)
        self._tell()
        self._fail_all(text)

    def _fail_all(self, text: str) -> None:
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(SandboxConnectionError(text))
        for wanted in self._sockets.values():
            if not wanted.done():
                wanted.set_exception(SandboxConnectionError(text))
        for process in self._running.values():
            if not process.ended.done():
                process.ended.set_result(-9)
        self._running.clear()


class Offspring(Forker):
    """A zygote's fork that forks in its turn: `warm` are imports that only its own forks have.

    `process` is what it is to the zygote, with which it ends.
    """

    def __init__(self, process: Forked, ours: socket.socket, warm: tuple[str, ...]) -> None:
        super().__init__(warm)
        self._process, self._zygote = process, ours
        loop = asyncio.get_running_loop()
        self.lost = loop.create_future()
        loop.add_reader(ours, self._on_zygote)

    async def close(self) -> None:
        """End it and wait for that. What it has forked ends with it."""
        asyncio.get_running_loop().remove_reader(self._zygote)
        self._zygote.close()
        await asyncio.wait([self._process.ended], timeout=_END_SECONDS)
        # While it imports it does not notice; and that it has ended is the zygote's word, which may never come.
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._process.pidfd, signal.SIGKILL)
        await asyncio.wait([self._process.ended], timeout=_END_SECONDS)
        os.close(self._process.pidfd)
        self._fail_all("the zygote was ended")

    def forget(self) -> None:
        """In a process that was forked from the engine's: let go."""
        self._zygote.close()


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
    cpu: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    fork_failed: _Number | None = None
    errno: Annotated[int, Meta(ge=0, le=4096)] = 0
    message: Annotated[str, Meta(max_length=4096)] = ""
    warmed: Annotated[str, Meta(max_length=1024)] | None = None
    error: Annotated[str, Meta(max_length=4096)] | None = None
    seconds: float = 0.0
    threads: int = 0
    left: int = 0


_from_zygote = msgspec.json.Decoder(_Said)


def said_by_zygote(data: bytes) -> _Said:
    """Decode a message of a zygote. Raises `msgspec.DecodeError`."""
    try:
        return _from_zygote.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"{type(error).__name__}: {error}") from error


class Lie(Exception):
    """A zygote said what cannot be."""


def _checked(data: bytes, fds: list[int]) -> _Said:
    """Decode a message that came with descriptors. Raises `msgspec.DecodeError`, Lie, with these closed."""
    wrong: Exception = Lie("descriptors that belong to nothing")
    try:
        message = said_by_zygote(data)
        if not fds or message.forked is not None or message.made is not None:
            return message
    except msgspec.DecodeError as error:
        wrong = error
    for fd in fds:
        os.close(fd)
    raise wrong


def _the_pidfd(fds: list[int]) -> int:
    """The one descriptor of a message. Raises Lie if it stands for no process."""
    try:
        (pidfd,) = fds
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            signal.pidfd_send_signal(pidfd, 0)
    except (ValueError, OSError) as error:
        for fd in fds:
            os.close(fd)
        raise Lie("a fork without its process") from error
    return pidfd


def receive(sock: socket.socket) -> tuple[bytes, list[int]]:
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
