"""Processes: the commands of a sandbox, by their numbers, which stand for process ids here."""

from __future__ import annotations

import base64
import signal
from collections.abc import Awaitable, Callable, Iterator

from msgspec import Struct

from sandbox.errors import SandboxError, UsageError
from sandbox.protocol import messages as m
from sandbox.server.e2b import connect, paths
from sandbox.server.e2b.visit import Unsupported, Visit, decoded
from sandbox.server.http import failure
from sandbox.server.recordings import Recording

_SIGNALS = {"SIGNAL_SIGTERM": signal.SIGTERM, "SIGNAL_SIGKILL": signal.SIGKILL, 15: signal.SIGTERM, 9: signal.SIGKILL}
_NO_TERMINAL = "a terminal (PTY) is not to be had over this API"


class Config(Struct):
    """What to run."""

    cmd: str
    args: tuple[str, ...] = ()
    envs: dict[str, str] = {}
    cwd: str | None = None


class _Start(Struct):
    process: Config
    pty: object = None
    tag: str | None = None
    stdin: bool | None = None


class _Selector(Struct):
    pid: int | None = None
    tag: str | None = None


class _Selected(Struct):
    process: _Selector
    signal: str | int = 0


class _Input(Struct):
    stdin: bytes | None = None
    pty: bytes | None = None


class _SendInput(Struct):
    process: _Selector
    input: _Input


class _Chosen(Struct):
    process: _Selector


class _Piece(Struct):
    input: _Input


class _StreamInput(Struct):
    start: _Chosen | None = None
    data: _Piece | None = None


class _Running(Struct):
    """A process whose end has not been seen yet."""

    config: Config
    tag: str | None
    recording: Recording


class Processes:
    """The processes of all sandboxes that were started here and run."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], dict[int, _Running]] = {}

    def of(self, visit: Visit) -> dict[int, _Running]:
        """Those of one sandbox, by number."""
        return self._running.get((visit.box.owner, visit.box.id), {})

    def _add(self, visit: Visit, running: _Running) -> None:
        """It has begun."""
        name, recording = (visit.box.owner, visit.box.id), running.recording
        assert recording.task is not None
        assert recording.command is not None
        self._running.setdefault(name, {})[recording.command] = running
        recording.task.add_done_callback(lambda _: self._remove(name, recording.command))

    def _remove(self, name: tuple[str, str], number: int | None) -> None:
        """It has ended."""
        there = self._running.get(name, {})
        there.pop(number or 0, None)
        if not there:
            self._running.pop(name, None)

    def find(self, visit: Visit, wanted: _Selector) -> tuple[int, _Running]:
        """The process that is meant. Raises UsageError."""
        for number, one in self.of(visit).items():
            if one.recording.ended:
                continue
            if number == wanted.pid or (wanted.tag is not None and one.tag == wanted.tag):
                return number, one
        named = wanted.pid if wanted.pid is not None else repr((wanted.tag or "")[:100])
        raise UsageError(f"process with pid {named} not found: it has ended, or there was none", {"status": 404})

    # --- calls ---

    async def start(self, visit: Visit) -> None:
        """Run a program. It goes on when its client has gone, until its time is over."""
        said = await connect.said(visit.call, _Start)
        if said.pty is not None:
            raise Unsupported(_NO_TERMINAL)
        config = said.process
        request = m.StartCommand(
            visit.id, _argv(config, visit.box.isolation), None if config.cwd is None else paths.inward(config.cwd),
            config.envs, connect.timeout_of(visit.call), said.stdin is not False,
        )  # fmt: skip
        recording = visit.begin(request)
        running = _Running(config, said.tag, recording)
        recording.when_it_begins(lambda _: self._add(visit, running))
        await connect.stream(visit.call, recording, 0, _SAYING)

    async def connect(self, visit: Visit) -> None:
        """What a process says from now on."""
        said = await connect.said(visit.call, _Selected)
        number, running = self.find(visit, said.process)
        recording = running.recording
        first = [{"event": {"start": {"pid": number}}}]
        await connect.stream(visit.call, recording, recording.count(), _SAYING, first)

    async def list(self, visit: Visit) -> None:
        """Every process."""
        await connect.said(visit.call, dict[str, object])
        found = [
            {"config": one.config, "pid": number, **({} if one.tag is None else {"tag": one.tag})}
            for number, one in self.of(visit).items()
        ]
        await visit.call.json({"processes": found})

    async def send_signal(self, visit: Visit) -> None:
        """Send SIGTERM or SIGKILL."""
        said = await connect.said(visit.call, _Selected)
        number, running = self.find(visit, said.process)
        if said.signal not in _SIGNALS:
            raise UsageError(f"signal={str(said.signal)[:50]!r} is neither SIGNAL_SIGTERM nor SIGNAL_SIGKILL")
        await visit.ask(m.SignalCommand(visit.id, number, _SIGNALS[said.signal]), m.Done)
        if _SIGNALS[said.signal] == signal.SIGKILL:
            await running.recording.ends(1.0)  # so that it is not listed any more
        await visit.call.json({})

    async def send_input(self, visit: Visit) -> None:
        """Write to its standard input."""
        said = await connect.said(visit.call, _SendInput)
        await self._write(visit, said.process, said.input)
        await visit.call.json({})

    async def close_stdin(self, visit: Visit) -> None:
        """End its standard input."""
        said = await connect.said(visit.call, _Selected)
        number, _ = self.find(visit, said.process)
        await visit.ask(m.WriteStdin(visit.id, number, b"", close=True), m.Done)
        await visit.call.json({})

    async def stream_input(self, visit: Visit) -> None:
        """Write what comes, as it comes."""
        wanted: _Selector | None = None
        async for data in connect.all_said(visit.call):
            said = decoded(data, _StreamInput)
            wanted = said.start.process if said.start is not None else wanted
            if said.data is not None:
                if wanted is None:
                    raise UsageError("the first message has to name a process")
                await self._write(visit, wanted, said.data.input)
        await visit.call.respond(200, connect.frame({}) + connect.end(), connect.STREAM)

    async def update(self, visit: Visit) -> None:
        """Resize a terminal."""
        raise Unsupported(_NO_TERMINAL)

    async def _write(self, visit: Visit, wanted: _Selector, given: _Input) -> None:
        number, _ = self.find(visit, wanted)
        if given.stdin is None:
            raise Unsupported(_NO_TERMINAL)
        for at in range(0, len(given.stdin), m.MAX_CHUNK):
            await visit.ask(m.WriteStdin(visit.id, number, given.stdin[at : at + m.MAX_CHUNK]), m.Done)

    def calls(self) -> dict[str, Callable[[Visit], Awaitable[None]]]:
        """By the names that clients know."""
        return {
            "Start": self.start, "Connect": self.connect, "List": self.list, "SendSignal": self.send_signal,
            "SendInput": self.send_input, "CloseStdin": self.close_stdin, "StreamInput": self.stream_input,
            "Update": self.update,
        }  # fmt: skip


def _argv(config: Config, isolation: str) -> tuple[str, ...]:
    """The program as it is started. Clients have each command run by a login shell.

    At level `landlock` the host's /etc/profile is there to be seen and not to be read, of which bash would complain.
    """
    login = config.cmd == "/bin/bash" and config.args[:1] == ("-l",) and isolation == "landlock"
    return (config.cmd, *(("--noprofile",) if login else ()), *config.args)


def _messages(event: m.AnyEvent) -> Iterator[object]:
    match event:
        case m.CommandStarted():
            yield {"event": {"start": {"pid": event.command}}}
        case m.Output():
            data = base64.b64encode(event.text.encode("utf-8", "replace")).decode()
            yield {"event": {"data": {event.stream: data}}}
        case m.CommandFinished() if _fault(event) is None:
            yield {"event": {"end": _ended(event.exit_code)}}


def _ended(code: int) -> dict[str, object]:
    if code < 0:
        status = f"signal: {signal.strsignal(-code) or -code}".lower()
        return {"exitCode": -1, "exited": False, "status": status, "error": status}
    status = f"exit status {code}"
    return {"exitCode": code, "exited": True, "status": status, **({"error": status} if code else {})}


def _fault(last: m.AnyEvent) -> SandboxError | None:
    if isinstance(last, m.CommandFinished) and last.cause is not None and last.cause.kind == "timeout":
        return _TooLate(last.cause.message)
    return failure(last)


_SAYING = connect.Saying(_messages, {"event": {"keepalive": {}}}, _fault)


class _TooLate(SandboxError):
    """A command took longer than its client allowed."""

    code = "timeout"
