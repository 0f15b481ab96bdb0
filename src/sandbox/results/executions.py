"""What executions and commands have printed, shown and come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sandbox.protocol import messages as m
from sandbox.results.animations import Animation
from sandbox.results.files import Files
from sandbox.results.outcomes import Cause, CodeException, State, Usage
from sandbox.results.shown import brief, first
from sandbox.results.timeline import Difference
from sandbox.results.values import Artifact, Result


@dataclass
class OutputData:
    """Text in the order in which it was printed, on both streams."""

    outputs: list[m.Output] = field(default_factory=list, repr=False)

    @property
    def stdout(self) -> str:
        """What was printed to standard output."""
        return "".join(output.text for output in self.outputs if output.stream == "stdout")

    @property
    def stderr(self) -> str:
        """What was printed to standard error."""
        return "".join(output.text for output in self.outputs if output.stream == "stderr")

    @property
    def late_output(self) -> str:
        """What something that earlier executions left running printed before this one began."""
        return "".join(output.text for output in self.outputs if output.late)

    @property
    def combined(self) -> str:
        """Both streams, in order."""
        return "".join(output.text for output in self.outputs)


@dataclass(repr=False)
class ExecutionData(OutputData):
    """Everything about one execution. See `sandbox.Execution`."""

    code: str = ""
    number: int = 0
    status: str = "running"
    results: list[Result] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    exception: CodeException | None = None
    execution_time: float = 0.0
    started_at: datetime | None = None
    cache_hit: bool = False
    cause: Cause | None = None
    state: State = field(default_factory=lambda: State.of(m.StateInfo()))
    files: Files = field(default_factory=Files)
    changes: Difference | None = None
    truncated: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    isolation: str = ""
    network: str = ""
    enforced: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    request_id: str | None = None
    animations: list[Animation] = field(default_factory=list)
    _artifact_of: Callable[[m.ArtifactInfo], Artifact] = field(default=Artifact.of, repr=False, compare=False)

    def __repr__(self) -> str:
        """What one looks for first. Each part is short, whatever the code printed or showed."""
        parts = {
            "exception": None if self.exception is None else brief(str(self.exception)),
            "cause": self.cause,
            "stdout": self.stdout and brief(self.stdout),
            "stderr": self.stderr and brief(self.stderr),
            "results": first(map(repr, self.results)),
            "artifacts": first(artifact.name for artifact in self.artifacts),
            "state": self.state if self.state != "kept" else None,
        }
        shown = "".join(f", {name}={value}" for name, value in parts.items() if value)
        return f"{type(self).__name__}({self.number}, {self.status}, {self.execution_time:.3f} s{shown})"

    @property
    def ok(self) -> bool:
        """Whether the code ran to its end without raising."""
        return self.status == "ok"

    @property
    def text(self) -> str | None:
        """The plain text of the last expression's value."""
        return next((result.text for result in reversed(self.results) if result.main), None)

    @property
    def exit_code(self) -> int:
        """What Python's own exit code would be: 0, 1 after an exception, or what `sys.exit` was given."""
        return 0 if self.exception is None else self.exception.exit_code

    def add(self, event: m.AnyEvent) -> None:
        """Take the next event of the answer."""
        match event:
            case m.Output():
                self.outputs.append(event)
            case m.ExecutionStarted():
                self.number = event.number
            case m.ResultShown():
                self.results.append(Result(event.data, event.main, event.chart))
            case m.ExecutionFinished():
                self._finish(event)

    def _finish(self, end: m.ExecutionFinished) -> None:
        self.number, self.status, self.cache_hit = end.number, end.status, end.cache_hit
        self.execution_time = end.execution_time
        self.started_at = datetime.fromtimestamp(end.started_at, UTC)
        self.isolation, self.network, self.enforced = end.isolation, end.network, end.enforced
        self.cause, self.state, self.files = Cause.of(end.cause), State.of(end.state), Files.of(end.files)
        self.truncated, self.warnings, self.request_id = end.truncated, end.warnings, end.request_id
        self.usage = Usage(end.usage.cpu_seconds, end.usage.peak_memory)
        self.artifacts = [self._artifact_of(info) for info in end.artifacts]
        self.animations = [Animation.of(info, self._artifact_of) for info in end.animations]
        if end.error is not None:
            self.exception = CodeException(end.error.type, end.error.message, end.error.traceback, end.error.exit_code)


@dataclass
class CommandData(OutputData):
    """Everything about one command. See `sandbox.CommandExecution`."""

    argv: tuple[str, ...] = ()
    exit_code: int | None = None
    execution_time: float = 0.0
    cause: Cause | None = None
    truncated: tuple[str, ...] = ()
    files: Files = field(default_factory=Files)

    @property
    def ok(self) -> bool:
        """Whether it ended with code 0."""
        return self.exit_code == 0

    def add(self, event: m.AnyEvent) -> None:
        """Take the next event of the answer."""
        match event:
            case m.Output():
                self.outputs.append(event)
            case m.CommandFinished():
                self.exit_code, self.execution_time = event.exit_code, event.execution_time
                self.cause, self.truncated = Cause.of(event.cause), event.truncated
                self.files = Files.of(event.files)
