"""Processes: the commands of a sandbox, by their numbers, which stand for process ids here."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

from msgspec import Struct

from sandbox.errors import UsageError
from sandbox.protocol import messages as m
from sandbox.server.e2b import connect, paths
from sandbox.server.e2b.ptys import Pty
from sandbox.server.e2b.running import SAYING, Config, Input, Running, RunningCommand, argv_of
from sandbox.server.e2b.visit import Visit, decoded

_SIGNALS = {"SIGNAL_SIGTERM": signal.SIGTERM, "SIGNAL_SIGKILL": signal.SIGKILL, 15: signal.SIGTERM, 9: signal.SIGKILL}


class _Size(Struct):
    cols: int
    rows: int


class _Terminal(Struct):
    size: _Size


class _Start(Struct):
    process: Config
    pty: _Terminal | None = None
    tag: str | None = None
    stdin: bool | None = None


class _Selector(Struct):
    pid: int | None = None
    tag: str | None = None


class _Selected(Struct):
    process: _Selector
    signal: str | int = 0


class _SendInput(Struct):
    process: _Selector
    input: Input


class _Update(Struct):
    process: _Selector
    pty: _Terminal


class _Chosen(Struct):
    process: _Selector


class _Piece(Struct):
    input: Input


class _StreamInput(Struct):
    start: _Chosen | None = None
    data: _Piece | None = None


class Processes:
    """The processes of all sandboxes that were started here and run."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], dict[int, Running]] = {}

    def of(self, visit: Visit) -> dict[int, Running]:
        """Those of one sandbox, by number."""
        return self._running.get((visit.box.owner, visit.box.id), {})

    async def close(self) -> None:
        """The server ends."""
        ptys = [one for there in self._running.values() for one in there.values() if isinstance(one, Pty)]
        for pty in ptys:
            await pty.close()

    def _add(self, visit: Visit, running: RunningCommand) -> None:
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

    def find(self, visit: Visit, wanted: _Selector) -> tuple[int, Running]:
        """The process that is meant. Raises UsageError."""
        for number, one in self.of(visit).items():
            if one.ended:
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
            await self._start_terminal(visit, said, said.pty.size)
            return
        config = said.process
        request = m.StartCommand(
            visit.id, argv_of(config, visit.box.isolation), _inward(config.cwd),
            config.envs, connect.timeout_of(visit.call), said.stdin is not False,
        )  # fmt: skip
        recording = visit.begin(request)
        running = RunningCommand(config, said.tag, recording)
        recording.when_it_begins(lambda _: self._add(visit, running))
        await connect.stream(visit.call, recording, 0, SAYING)

    async def _start_terminal(self, visit: Visit, said: _Start, size: _Size) -> None:
        config, name = said.process, (visit.box.owner, visit.box.id)
        request = m.StartTerminal(
            visit.id, argv_of(config, visit.box.isolation), size.cols, size.rows, _inward(config.cwd), config.envs
        )
        number = (await visit.ask(request, m.TerminalStarted)).command
        pty = Pty(visit, config, said.tag, number, connect.timeout_of(visit.call))
        pty.when_it_ends(lambda: self._remove(name, number))
        self._running.setdefault(name, {})[number] = pty
        await pty.say(visit.call, number)

    async def connect(self, visit: Visit) -> None:
        """What a process says from now on."""
        said = await connect.said(visit.call, _Selected)
        number, running = self.find(visit, said.process)
        await running.say(visit.call, number)

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
            await running.ends(1.0)  # so that it is not listed any more
        await visit.call.json({})

    async def send_input(self, visit: Visit) -> None:
        """Write to its standard input, or type at its terminal."""
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
        said = await connect.said(visit.call, _Update)
        number, _ = self.find(visit, said.process)
        await visit.ask(m.ResizeTerminal(visit.id, number, said.pty.size.cols, said.pty.size.rows), m.Done)
        await visit.call.json({})

    async def _write(self, visit: Visit, wanted: _Selector, given: Input) -> None:
        number, running = self.find(visit, wanted)
        data = running.taken(given)
        for at in range(0, len(data), m.MAX_CHUNK):
            await visit.ask(m.WriteStdin(visit.id, number, data[at : at + m.MAX_CHUNK]), m.Done)

    def calls(self) -> dict[str, Callable[[Visit], Awaitable[None]]]:
        """By the names that clients know."""
        return {
            "Start": self.start, "Connect": self.connect, "List": self.list, "SendSignal": self.send_signal,
            "SendInput": self.send_input, "CloseStdin": self.close_stdin, "StreamInput": self.stream_input,
            "Update": self.update,
        }  # fmt: skip


def _inward(cwd: str | None) -> str | None:
    return None if cwd is None else paths.inward(cwd)
