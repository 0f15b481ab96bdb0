"""Programs that run beside the session's code."""

from __future__ import annotations

from msgspec import field

from sandbox.protocol.base import Event, LastEvent, Request
from sandbox.protocol.executions import CauseInfo
from sandbox.protocol.files import FileChanges


class StartCommand(Request, frozen=True, tag="start_command"):
    """Run a program. Answered by `CommandStarted`, `Output` events and `CommandFinished`."""

    session: str
    argv: tuple[str, ...]
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    timeout: float | None = None
    stdin: bool = False


class WriteStdin(Request, frozen=True, tag="write_stdin"):
    """Write to a command's standard input; `close` ends it."""

    session: str
    command: int
    data: bytes = b""
    close: bool = False


class SignalCommand(Request, frozen=True, tag="signal_command"):
    """Send a signal to a command's process group."""

    session: str
    command: int
    signal: int


class CommandStarted(Event, frozen=True, tag="command_started"):
    """A command runs; `command` names it in later requests."""

    command: int


class CommandFinished(LastEvent, frozen=True, tag="command_finished"):
    """A command ended. `exit_code` is negative for a signal, as in Python's subprocess."""

    exit_code: int
    execution_time: float
    cause: CauseInfo | None = None
    truncated: tuple[str, ...] = ()
    files: FileChanges = FileChanges()
