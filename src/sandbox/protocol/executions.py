"""Executions of code, and what comes of them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from sandbox.protocol.animations import AnimationInfo
from sandbox.protocol.artifacts import ArtifactInfo
from sandbox.protocol.base import Event, LastEvent, Request
from sandbox.protocol.files import FileChanges


class Run(Request, frozen=True, tag="run"):
    """Run code. Answered by `Output` and `ResultShown` events and `ExecutionFinished`.

    `timeout` -1 takes the session's, None is none; `language` None takes the session's.
    """

    session: str
    code: str
    timeout: float | None = -1.0
    cache_key: str | None = None
    language: str | None = None


class Interrupt(Request, frozen=True, tag="interrupt"):
    """Interrupt the execution that is running, if there is one: the code sees KeyboardInterrupt."""

    session: str


class Complete(Request, frozen=True, tag="complete"):
    """Ask what could stand at `cursor` in `code`."""

    session: str
    code: str
    cursor: int


class ClearCache(Request, frozen=True, tag="clear_cache"):
    """Forget compiled code."""

    session: str


class Output(Event, frozen=True, tag="output"):
    """Text that was printed. `late`: by something that an earlier execution left running."""

    stream: str
    text: str
    late: bool = False


class ResultShown(Event, frozen=True, tag="result"):
    """A value that was displayed: its representations by MIME type, images as bytes, and a chart's data.

    `main`: the value of the last expression.
    """

    data: dict[str, Any]
    main: bool = False
    chart: dict[str, Any] | None = None


class ExecutionStarted(Event, frozen=True, tag="execution_started"):
    """An execution has its turn. Only servers send it: by its number a lost answer is asked for again."""

    number: int


class CodeError(Struct, frozen=True):
    """What user code raised: text, never a class."""

    type: str
    message: str
    traceback: str
    exit_code: int = 1


class CauseInfo(Struct, frozen=True):
    """Which limit or event ended an execution or cut its output."""

    kind: str
    message: str
    limit: float | None = None
    seen: float | None = None
    remedy: str = ""


class StateInfo(Struct, frozen=True):
    """What became of the session's variables."""

    kind: str = "kept"
    lost_names: tuple[str, ...] = ()
    restored_to: int | None = None


class UsageInfo(Struct, frozen=True):
    """What an execution took. `peak_memory` in bytes."""

    cpu_seconds: float = 0.0
    peak_memory: int = 0


class ExecutionFinished(LastEvent, frozen=True, tag="execution_finished"):
    """Everything about an execution but its output and results, which came before as events.

    `request_id` is what a server calls the request in its logs.
    """

    number: int
    status: str
    execution_time: float
    started_at: float
    cache_hit: bool
    isolation: str
    network: str
    enforced: tuple[str, ...]
    error: CodeError | None = None
    cause: CauseInfo | None = None
    state: StateInfo = StateInfo()
    artifacts: tuple[ArtifactInfo, ...] = ()
    files: FileChanges = FileChanges()
    truncated: tuple[str, ...] = ()
    usage: UsageInfo = UsageInfo()
    warnings: tuple[str, ...] = ()
    animations: tuple[AnimationInfo, ...] = ()
    request_id: str | None = None


class Completions(LastEvent, frozen=True, tag="completions"):
    """`matches` would replace the text from `start` to the cursor."""

    matches: tuple[str, ...]
    start: int
