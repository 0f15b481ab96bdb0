"""What can be called, with what, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from msgspec import Struct

from sandbox.errors import SessionNotFound, UsageError
from sandbox.protocol import messages as m
from sandbox.server.gate import Gate
from sandbox.server.http import HEARTBEAT_SECONDS, AnswerLost, Call, failure
from sandbox.server.recordings import Recording

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,25}", re.ASCII)
_DEFAULT = "default"
_LANGUAGES = {
    "python": "python", "python3": "python", "javascript": "javascript", "js": "javascript", "node": "javascript",
    "nodejs": "javascript", "typescript": "typescript", "ts": "typescript",
}  # fmt: skip
_MB = 1 << 20
_TIMED_OUT = 124
_Event = TypeVar("_Event", bound=m.LastEvent)


class Asking:
    """A caller, and how its requests are carried out."""

    def __init__(self, call: Call, gate: Gate) -> None:
        self.call, self.gate = call, gate
        self.owner = call.caller.key.owner

    async def all(self, request: m.Request) -> list[m.AnyEvent]:
        """Every event of a request, which is cancelled when its client goes. Raises SandboxError."""
        recording = self.gate.begin(self.call.caller, request)
        try:
            await self._end_of(recording)
        finally:
            recording.cancel()
        events = [m.decode_event(one) for one in recording.take(0)]
        error = failure(events[-1])
        if error is not None:
            raise error
        return events

    async def _end_of(self, recording: Recording) -> None:
        async with self.call.watched(recording) as gone:
            while not recording.ended:
                await recording.more(recording.count(), HEARTBEAT_SECONDS, gone.done)
                if gone.done() and not recording.ended:
                    raise AnswerLost("the client has gone")

    async def last(self, request: m.Request, answer: type[_Event]) -> _Event:
        """The last event of a request. Raises SandboxError."""
        last = (await self.all(request))[-1]
        assert isinstance(last, answer)
        return last


class Named(Struct):
    """Which sandbox."""

    sandbox: str
    namespace: str = _DEFAULT

    @property
    def id(self) -> str:
        """What it is called here. Raises UsageError."""
        if not _NAME.fullmatch(self.sandbox):
            raise UsageError("a sandbox's name has 1 to 63 letters, digits, - and _, and begins with none of these two")
        if not _NAMESPACE.fullmatch(self.namespace):
            raise UsageError("a namespace has 1 to 26 letters, digits, - and _, and begins with none of these two")
        return self.sandbox if self.namespace == _DEFAULT else f"{self.namespace}.{self.sandbox}"


class Config(Struct):
    """What a sandbox is to have. Clients send None for what they leave open."""

    image: str | None = None
    memory: int | None = None
    cpus: int | None = None
    envs: list[str] | None = None
    volumes: list[Any] | None = None
    ports: list[Any] | None = None
    depends_on: list[Any] | None = None
    workdir: str | None = None
    shell: str | None = None
    scripts: dict[str, Any] | None = None
    exec: str | None = None


class Start(Named):
    """A sandbox to start."""

    config: Config | None = None


class ReplRun(Named, kw_only=True):
    """Code to run."""

    code: str
    language: str = "python"
    timeout: float | None = None


class CommandRun(Named, kw_only=True):
    """A command to run."""

    command: str
    args: list[str] | None = None
    timeout: float | None = None
    working_directory: str | None = None


class Metrics(Struct):
    """Which sandboxes; all of the caller's if none is named."""

    sandbox: str | None = None
    namespace: str | None = None


async def start(asking: Asking, said: Start) -> str:
    """Start a sandbox: a new one, or the one of this name as it was left."""
    entry = asking.gate.registry.get(asking.owner, said.id)
    options = entry.options if entry is not None else _options(said)
    await asking.last(m.OpenSession(options, said.id), m.SessionOpened)
    return f"Sandbox {said.sandbox} started successfully"


def _options(said: Start) -> m.SessionOptions:
    config = said.config or Config()
    image = config.image or ""
    without = ("volumes", "ports", "depends_on", "workdir", "shell", "scripts", "exec")
    if asked := [name for name in without if getattr(config, name)]:
        raise UsageError(f"{', '.join(asked)} cannot be set for a sandbox: see docs/compatibility.md of this server")
    default = m.SessionOptions()
    return m.SessionOptions(
        name=said.sandbox, memory=config.memory or default.memory, cpus=config.cpus or default.cpus,
        env=dict(_variables(config.envs or ())), language="javascript" if "node" in image.rpartition("/")[2] else None,
    )  # fmt: skip


def _variables(given: Any) -> Iterator[tuple[str, str]]:
    for one in given:
        name, equals, value = str(one).partition("=")
        if not equals:
            raise UsageError(f"envs has {str(one)[:100]!r}, which is not NAME=VALUE")
        yield name, value


async def stop(asking: Asking, said: Named) -> str:
    """Stop a sandbox. Its variables and files stay for the next start."""
    await asking.last(m.CloseSession(said.id), m.Done)
    return f"Sandbox {said.sandbox} stopped successfully"


async def repl_run(asking: Asking, said: ReplRun) -> dict[str, Any]:
    """Run code; what the last expression is comes out too, as in any interactive interpreter."""
    language = _LANGUAGES.get(said.language)
    if language is None:
        raise UsageError(f"language={said.language[:50]!r} is not one of {', '.join(_LANGUAGES)}")
    timeout = -1.0 if said.timeout is None else said.timeout
    events = await asking.all(m.Run(said.id, said.code, timeout, language=language))
    last = events[-1]
    assert isinstance(last, m.ExecutionFinished)
    lines = list(_lines(events))
    if last.error is not None:
        lines += _split("stderr", last.error.traceback)
    elif last.status != "ok" and last.cause is not None:
        lines += _split("stderr", f"{last.cause.message} {last.cause.remedy}".strip())
    return {"status": "success" if last.status == "ok" else "error", "language": said.language, "output": lines}


async def command_run(asking: Asking, said: CommandRun) -> dict[str, Any]:
    """Run a command. Both shapes that clients read are in the answer."""
    args = said.args or []
    request = m.StartCommand(
        said.id, (said.command, *args), said.working_directory, timeout=said.timeout, stdin=False
    )  # fmt: skip
    events = await asking.all(request)
    last = events[-1]
    assert isinstance(last, m.CommandFinished)
    late = last.cause is not None and last.cause.kind == "timeout"
    code = _TIMED_OUT if late else last.exit_code
    texts = {name: "".join(e.text for e in events if isinstance(e, m.Output) and e.stream == name) for name in _STREAMS}
    return {
        "command": said.command, "args": args, "exit_code": code, "success": code == 0, "timeout": late,
        "output": list(_lines(events)), **texts,
    }  # fmt: skip


_STREAMS = ("stdout", "stderr")


def _lines(events: list[m.AnyEvent]) -> Iterator[dict[str, str]]:
    """Lines in the order in which they came, each whole."""
    open_line = ("", "")
    for event in events:
        match event:
            case m.Output():
                stream, text = event.stream, event.text
            case m.ResultShown() if "text/plain" in event.data:
                stream, text = "stdout", f"{event.data['text/plain']}\n"
            case _:
                continue
        if open_line[0] == stream:
            text = open_line[1] + text
        elif open_line[1]:
            yield {"stream": open_line[0], "text": open_line[1]}
        *whole, rest = text.split("\n")
        for line in whole:
            yield {"stream": stream, "text": line}
        open_line = stream, rest
    if open_line[1]:
        yield {"stream": open_line[0], "text": open_line[1]}


def _split(stream: str, text: str) -> list[dict[str, str]]:
    return [{"stream": stream, "text": line} for line in text.splitlines()]


async def metrics(asking: Asking, said: Metrics) -> dict[str, Any]:
    """Figures of one sandbox or of all. What has no worker now has none."""
    if said.sandbox is not None:
        names = [Named(said.sandbox, said.namespace or _DEFAULT).id]
        if asking.gate.registry.get(asking.owner, names[0]) is None:
            raise SessionNotFound(f"there is no sandbox {said.sandbox[:100]!r}")
    else:
        names = [one.id for one in asking.gate.registry.of(asking.owner)]
    return {"sandboxes": [await _measured(asking, name) for name in names]}


async def _measured(asking: Asking, name: str) -> dict[str, Any]:
    entry = asking.gate.registry.get(asking.owner, name)
    namespace, _, sandbox = name.rpartition(".")
    found: dict[str, Any] = {"name": sandbox, "namespace": namespace or _DEFAULT, "running": False}
    if entry is None or asking.gate.state_of(entry) in {"stopped", "parked"}:
        running = entry is not None and entry.open
        return {**found, "running": running, "cpu_usage": None, "memory_usage": None, "disk_usage": None}
    values = (await asking.last(m.GetMetrics(name), m.MetricsMeasured)).values
    return {
        **found, "running": True, "cpu_usage": values["cpu_usage"], "memory_usage": int(values["memory_usage"]),
        "disk_usage": int(values["disk_usage"] * _MB),
    }  # fmt: skip


METHODS: dict[str, tuple[type[Any], Callable[[Asking, Any], Awaitable[object]]]] = {
    "sandbox.start": (Start, start),
    "sandbox.stop": (Named, stop),
    "sandbox.repl.run": (ReplRun, repl_run),
    "sandbox.command.run": (CommandRun, command_run),
    "sandbox.metrics.get": (Metrics, metrics),
}
