"""A process that clients know, while it runs; and what is said of it, a command or a terminal."""

from __future__ import annotations

import base64
import signal
from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from sandbox.errors import SandboxError, UsageError
from sandbox.protocol import messages as m
from sandbox.server.e2b import connect
from sandbox.server.http import Call, failure
from sandbox.server.recordings import Recording


class Config(Struct):
    """What to run."""

    cmd: str
    args: tuple[str, ...] = ()
    envs: dict[str, str] = {}
    cwd: str | None = None


class Input(Struct):
    """What is written to a command's standard input, or typed at a terminal."""

    stdin: bytes | None = None
    pty: bytes | None = None


class Running(Protocol):
    """A process whose end has not been seen yet."""

    config: Config
    tag: str | None

    @property
    def ended(self) -> bool:
        """Whether it has ended."""

    async def ends(self, seconds: float) -> bool:
        """Wait for its end, at most some seconds; tell whether it has come."""

    async def say(self, call: Call, number: int) -> None:
        """Answer with what it says from now on, to its end."""

    def taken(self, given: Input) -> bytes:
        """What of an input is for it. Raises UsageError."""


class RunningCommand(Struct):
    """A command."""

    config: Config
    tag: str | None
    recording: Recording

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.recording.ended

    async def ends(self, seconds: float) -> bool:
        """Wait for its end."""
        return await self.recording.ends(seconds)

    async def say(self, call: Call, number: int) -> None:
        """Answer with what it says from now on."""
        await connect.stream(call, self.recording, self.recording.count(), SAYING, [started(number)])

    def taken(self, given: Input) -> bytes:
        """Its standard input."""
        if given.stdin is None:
            raise UsageError("the process has no terminal: write to its standard input")
        return given.stdin


def started(number: int) -> object:
    """That it runs."""
    return {"event": {"start": {"pid": number}}}


def argv_of(config: Config, isolation: str) -> tuple[str, ...]:
    """The program as it is started. Clients have each command run by a login shell.

    At level `landlock` the host's /etc/profile is there to be seen and not to be read, of which bash would complain.
    """
    login = config.cmd == "/bin/bash" and "-l" in config.args[:2] and isolation == "landlock"
    return (config.cmd, *(("--noprofile",) if login else ()), *config.args)


def _messages(event: m.AnyEvent) -> Iterator[object]:
    match event:
        case m.CommandStarted():
            yield started(event.command)
        case m.Data():
            yield {"event": {"data": {"pty": base64.b64encode(event.data).decode()}}}
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


SAYING = connect.Saying(_messages, {"event": {"keepalive": {}}}, _fault)


class _TooLate(SandboxError):
    """A command took longer than its client allowed."""

    code = "timeout"
