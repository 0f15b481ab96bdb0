"""Every exception that this package raises on purpose.

    SandboxError                        code             the session afterwards
    |-- UsageError (ValueError)         usage            unchanged: nothing was sent
    |-- SandboxStartError               start            there is none: no isolation, environment or interpreter
    |-- SandboxConnectionError          connection       unknown: the engine or server cannot be reached
    |   |-- SandboxClosedError          closed           closed by its user, or deleted
    |   `-- SandboxAccessError          access           unchanged: the server does not accept the key for this
    |-- SandboxQuotaError               quota            unchanged: nothing was done; see `retry_after`
    |-- SandboxExecutionError           execution        usable: the code raised
    |   |-- SandboxInterruptedError     interrupted      usable
    |   |-- SandboxLimitError           limit            usable; `execution.state` says what became of the variables
    |   `-- SandboxCrashedError         crashed          usable; `execution.state` says what became of the variables
    |-- SandboxTimeoutError             timeout          usable; `execution.state` says what became of the variables
    |-- SandboxCommandError             command          usable: a command ended with a non-zero code and check=True
    |-- SandboxWebAppError              web_app          usable: a web app ended, or did not answer; `log` says why
    |-- SandboxFileError (OSError)      file             usable
    |   |-- SandboxFileNotFoundError    file_not_found   usable
    |   `-- SandboxFileExistsError      file_exists      usable
    |-- StoreError                      store            unchanged: what is stored cannot be reached or written
    |   |-- StoreDamaged                store_damaged    what is whole can be gone back to; `verify` says what
    |   |-- StoreFull                   store_full       usable, not saved: a quota or the disk has no room
    |   |-- SessionNotFound             session_not_found     there is none of this id
    |   |-- SessionExists               session_exists   unchanged: the id is taken
    |   |-- SessionBusy                 session_busy     unchanged: another process holds it
    |   |-- SessionTaken                session_taken    another process has taken it over; nothing more is written
    |   `-- CheckpointNotFound          checkpoint_not_found  unchanged
    `-- ProtocolError                   protocol         closed: the other side broke the protocol

The codes are the wire form and never change; messages do. A message says what happened, to what, the value seen
against the limit, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from sandbox.results import CommandData, ExecutionData


class SandboxError(Exception):
    """Base of all. `details` holds plain values about the failure, such as the limit that was hit."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})

    def __str__(self) -> str:
        return self.message


class UsageError(SandboxError, ValueError):
    """The caller asked for something that cannot be; nothing was sent."""

    code = "usage"


class SandboxStartError(SandboxError):
    """No sandbox could be started: the message names what is missing and what mends it."""

    code = "start"


class SandboxConnectionError(SandboxError):
    """The engine or server could not be reached, or went away."""

    code = "connection"


class SandboxClosedError(SandboxConnectionError):
    """The sandbox was stopped or its session was deleted."""

    code = "closed"


class SandboxAccessError(SandboxConnectionError):
    """The server does not accept the key, or the key does not allow what was asked for."""

    code = "access"


class SandboxQuotaError(SandboxError):
    """A quota of the key, or the server's own limit, has no room for this. Nothing was done."""

    code = "quota"

    @property
    def retry_after(self) -> float | None:
        """Seconds after which it may be tried again; None if waiting alone does not help."""
        seconds = self.details.get("retry_after")
        return None if seconds is None else float(seconds)


class ProtocolError(SandboxError):
    """The other side sent something that the protocol does not allow."""

    code = "protocol"


class _WithExecution(SandboxError):
    """Carries the whole execution so far. Only the SDK sets it; on the wire the events are the execution."""

    execution: ExecutionData

    @property
    def error_type(self) -> str:
        """The name of the exception class that the code raised, such as "ZeroDivisionError"."""
        return str(self.details.get("error_type", type(self).__name__))

    @property
    def traceback(self) -> str:
        """The traceback as Python prints it; empty when the worker could not send one."""
        return str(self.details.get("traceback", ""))


class SandboxExecutionError(_WithExecution):
    """The code failed. `error_type`, `traceback` and `execution` say how."""

    code = "execution"


class SandboxInterruptedError(SandboxExecutionError):
    """`interrupt()` or a cancelled call stopped the code."""

    code = "interrupted"


class SandboxLimitError(SandboxExecutionError):
    """A limit ended the code: `execution.cause` is one of memory, processes, disk, output."""

    code = "limit"


class SandboxCrashedError(SandboxExecutionError):
    """The worker died: a crash in native code, os._exit, a signal, or a violation of the protocol."""

    code = "crashed"


class SandboxTimeoutError(_WithExecution):
    """The code or command did not end in `timeout` seconds."""

    code = "timeout"

    @property
    def timeout(self) -> float:
        return float(self.details.get("timeout", 0.0))


class SandboxCommandError(SandboxError):
    """A command ended with a code other than 0, and `check=True` asked for this error."""

    code = "command"
    execution: CommandData


class SandboxWebAppError(SandboxError):
    """A web app does not run."""

    code = "web_app"

    @property
    def reason(self) -> str:
        """Why: ended, failed (its page raises), silent (no answer in time), missing (its framework)."""
        return str(self.details.get("reason", ""))

    @property
    def exit_code(self) -> int | None:
        """What the app ended with, negative for a signal; None if it did not end by itself."""
        return self.details.get("exit_code")

    @property
    def log(self) -> str:
        """The end of what it printed."""
        return str(self.details.get("log", ""))


class SandboxFileError(SandboxError, OSError):
    """A file operation failed. `errno` is set as for any OSError."""

    code = "file"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, details)
        self.errno = self.details.get("errno")
        self.filename = self.details.get("path")


class SandboxFileNotFoundError(SandboxFileError, FileNotFoundError):
    """There is no such file or directory."""

    code = "file_not_found"


class SandboxFileExistsError(SandboxFileError, FileExistsError):
    """There is such a file already."""

    code = "file_exists"


class StoreError(SandboxError):
    """The store cannot do what was asked: it is read-only, of a newer version, or not a store."""

    code = "store"


class StoreDamaged(StoreError):
    """Something in the store is not what was written. `details` names the pack, checkpoint or key."""

    code = "store_damaged"


class StoreFull(StoreError):
    """A quota or the disk has no room for this. Nothing of it was kept."""

    code = "store_full"


class SessionNotFound(StoreError):
    """There is no session of this id, or it belongs to another owner."""

    code = "session_not_found"


class SessionExists(StoreError):
    """There is a session of this id already."""

    code = "session_exists"


class SessionBusy(StoreError):
    """The session is open elsewhere. `details["holder"]` says where."""

    code = "session_busy"


class SessionTaken(StoreError):
    """The session was taken over from this process, or deleted: what it wanted to write is refused."""

    code = "session_taken"


class CheckpointNotFound(StoreError):
    """The session has no such checkpoint, or it was dropped."""

    code = "checkpoint_not_found"


def _all(base: type[SandboxError]) -> list[type[SandboxError]]:
    return [base, *(cls for child in base.__subclasses__() for cls in _all(child))]


BY_CODE: dict[str, type[SandboxError]] = {
    cls.code: cls for cls in _all(SandboxError) if not cls.__name__.startswith("_") and "code" in vars(cls)
}


def from_wire(code: str, message: str, details: Mapping[str, Any]) -> SandboxError:
    """Rebuild an error sent by a peer. An unknown code never names a class to import."""
    cls = BY_CODE.get(code)
    if cls is None:
        return SandboxError(message, {**details, "unknown_code": code})
    return cls(message, details)
