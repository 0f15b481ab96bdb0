"""What calls return: executions with their results, artifacts, causes and state."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sandbox.protocol import messages as m

# How much of a text, and how many of several things, a `repr` shows.
_LONG_TEXT, _MOST_SHOWN = 60, 3


class Cause(str):
    """Why an execution failed or was cut: timeout, memory, processes, disk, output, crashed or denied.

    Compares as that text. `message` says what happened, `limit` and `seen` the figures, `remedy` what to change.
    """

    __slots__ = ("limit", "message", "remedy", "seen")
    message: str
    limit: float | None
    seen: float | None
    remedy: str

    @classmethod
    def of(cls, info: m.CauseInfo | None) -> Cause | None:
        """Build one from the wire's form."""
        if info is None:
            return None
        cause = cls(info.kind)
        cause.message, cause.limit, cause.seen, cause.remedy = info.message, info.limit, info.seen, info.remedy
        return cause


class State(str):
    """What became of the session's variables: kept, restored or lost. Compares as that text.

    `lost_names` names variables that are not there any more; `restored_to` the execution that was gone back to.
    """

    __slots__ = ("lost_names", "restored_to")
    lost_names: tuple[str, ...]
    restored_to: int | None

    @classmethod
    def of(cls, info: m.StateInfo) -> State:
        """Build one from the wire's form."""
        state = cls(info.kind)
        state.lost_names, state.restored_to = info.lost_names, info.restored_to
        return state


@dataclass(frozen=True)
class CodeException:
    """What the code raised, as text: the class itself never leaves the sandbox."""

    error_type: str
    message: str
    traceback: str
    exit_code: int = 1

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message}" if self.message else self.error_type


@dataclass(frozen=True)
class Result:
    """A displayed value: its representations by MIME type, text as str, images as bytes, JSON as objects.

    `chart` has a figure's data: its type, title, axes and series.
    """

    data: dict[str, Any]
    main: bool = False
    chart: dict[str, Any] | None = None

    def __getitem__(self, mime: str) -> Any:
        return self.data[mime]

    def __contains__(self, mime: str) -> bool:
        return mime in self.data

    def __repr__(self) -> str:
        """Small values as they are, of others the size: an image has no place in a log."""
        shown = ", ".join(f"{mime}: {_brief(value)}" for mime, value in self.data.items())
        return f"Result({shown}{', main' if self.main else ''}{', chart' if self.chart is not None else ''})"

    @property
    def text(self) -> str | None:
        """Its plain text."""
        return self.data.get("text/plain")

    @property
    def html(self) -> str | None:
        """Its HTML."""
        return self.data.get("text/html")

    @property
    def png(self) -> bytes | None:
        """Its PNG image."""
        return self.data.get("image/png")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return self.data


@dataclass(frozen=True)
class Artifact:
    """A file or figure that an execution produced. Usable as a path; the bytes are read only on `read`."""

    id: str
    name: str
    path: Path
    mime: str
    size: int
    sha256: str
    created_at: datetime
    execution: int

    @classmethod
    def of(cls, info: m.ArtifactInfo) -> Artifact:
        """Build one from the wire's form."""
        created = datetime.fromtimestamp(info.created_at, UTC)
        return cls(info.id, info.name, Path(info.path), info.mime, info.size, info.sha256, created, info.execution)

    def read(self) -> bytes:
        """Return its bytes. Raises FileNotFoundError if the session was deleted."""
        return self.path.read_bytes()

    async def aread(self) -> bytes:
        """Return its bytes without blocking the event loop."""
        import asyncio  # noqa: PLC0415 - importing this package must not cost asyncio

        return await asyncio.to_thread(self.read)

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def as_dict(self) -> dict[str, Any]:
        """Return its description as plain values."""
        return {
            "id": self.id,
            "name": self.name,
            "path": str(self.path),
            "mime": self.mime,
            "size": self.size,
            "sha256": self.sha256,
            "created_at": self.created_at.isoformat(),
            "execution": self.execution,
        }


@dataclass(frozen=True)
class Animation:
    """A scene that was rendered with Manim. Usable as the path of its file.

    Attributes:
        scene: The name of its class.
        quality, format: As they were asked for.
        width, height: Pixels.
        fps, frames, duration: Frames a second, how many there are, and seconds; 0, 1 and 0 of a picture.
        animations: How many the scene plays.
        artifact: The video or picture.
        thumbnail: A small PNG of it.
        execution: The number of the execution that made it.
    """

    scene: str
    quality: str
    format: str
    width: int
    height: int
    fps: float
    frames: int
    duration: float
    animations: int
    artifact: Artifact
    thumbnail: Artifact | None
    execution: int

    @classmethod
    def of(cls, info: m.AnimationInfo, artifact_of: Callable[[m.ArtifactInfo], Artifact] = Artifact.of) -> Animation:
        """Build one from the wire's form."""
        plain = {name: getattr(info, name) for name in cls.__dataclass_fields__ if hasattr(info, name)}
        thumbnail = None if info.thumbnail is None else artifact_of(info.thumbnail)
        return cls(
            **{**plain, "artifact": artifact_of(info.artifact), "thumbnail": thumbnail},
            execution=info.artifact.execution,
        )

    def __fspath__(self) -> str:
        return os.fspath(self.artifact)


@dataclass(frozen=True)
class AnimationProgress:
    """How far a rendering is: `scene` is number `number` of `scenes`, at its animation `animation`, which is `name`.

    `frames`: how many of the scene are there.
    """

    scene: str
    number: int
    scenes: int
    animation: int
    name: str
    frames: int

    @classmethod
    def of(cls, event: m.AnimationProgress) -> AnimationProgress:
        """Build one from the wire's form."""
        return cls(event.scene, event.number, event.scenes, event.animation, event.name, event.frames)


@dataclass(frozen=True)
class Files:
    """Files that an execution created, modified or deleted: paths relative to the workspace, sorted."""

    created: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    @classmethod
    def of(cls, info: m.FileChanges) -> Files:
        """Build one from the wire's form."""
        return cls(info.created, info.modified, info.deleted)

    def __iter__(self) -> Iterator[str]:
        return iter((*self.created, *self.modified, *self.deleted))

    def __bool__(self) -> bool:
        return bool(self.created or self.modified or self.deleted)


@dataclass(frozen=True)
class Usage:
    """What an execution took: seconds of cpu time, and the most memory in bytes at any moment so far.

    Where a control group counts, the memory is that of the whole sandbox. Elsewhere it is that of its largest process
    with the packages that it shares with other sandboxes, and of a worker that was ended what was seen of it last.
    """

    cpu_seconds: float = 0.0
    peak_memory: int = 0


@dataclass(frozen=True)
class FileInfo:
    """One file of a workspace. `kind` is file, directory, link or other; `path` is relative to the workspace."""

    path: str
    kind: str
    size: int
    mode: int
    modified_at: datetime
    target: str | None = None

    @classmethod
    def of(cls, entry: m.FileEntry) -> FileInfo:
        """Build one from the wire's form."""
        modified = datetime.fromtimestamp(entry.modified_at, UTC)
        return cls(entry.path, entry.kind, entry.size, entry.mode, modified, entry.target)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return os.path.basename(self.path)

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return self.kind == "directory"


@dataclass(frozen=True)
class Checkpoint:
    """The stored state after an execution: variables and files. `parent` is the number of the one before it, or 0.

    `execution` is the number of the execution that made it, if one did; `current` says whether the session is there.
    """

    number: int
    parent: int
    execution: int | None
    created_at: datetime
    label: str | None = None
    current: bool = False

    @classmethod
    def of(cls, info: m.CheckpointInfo, head: int) -> Checkpoint:
        """Build one from the wire's form."""
        created = datetime.fromtimestamp(info.created_at, UTC)
        return cls(info.number, info.parent, info.execution, created, info.label, info.number == head)


@dataclass(frozen=True)
class Variable:
    """A variable as it is stored. `size` is in bytes, and counts once what it shares with `shared_with`.

    `since` is the execution that changed it last. `lost` is why it could not be stored, if it could not.
    """

    name: str
    type: str
    size: int
    since: int
    shape: tuple[int, ...] | None = None
    text: str | None = None
    shared_with: tuple[str, ...] = ()
    lost: str | None = None

    @classmethod
    def of(cls, info: m.VariableInfo) -> Variable:
        """Build one from the wire's form."""
        return cls(
            info.name, info.type, info.size, info.since, info.shape, info.text, info.shared_with, info.lost
        )  # fmt: skip


@dataclass(frozen=True)
class Changes:
    """Names that are there additionally, not any more, and otherwise; each sorted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True)
class Difference:
    """What one checkpoint has otherwise than another."""

    variables: Changes
    files: Changes

    @classmethod
    def of(cls, found: m.Compared) -> Difference:
        """Build one from the wire's form."""
        return cls(*(Changes(names.added, names.removed, names.changed) for names in (found.variables, found.files)))

    def __bool__(self) -> bool:
        return bool(self.variables or self.files)


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
            "exception": None if self.exception is None else _brief(str(self.exception)),
            "cause": self.cause,
            "stdout": self.stdout and _brief(self.stdout),
            "stderr": self.stderr and _brief(self.stderr),
            "results": _first(map(repr, self.results)),
            "artifacts": _first(artifact.name for artifact in self.artifacts),
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


def _first(items: Iterable[str]) -> str:
    """The first of several things."""
    shown = list(islice(items, _MOST_SHOWN + 1))
    return f"[{', '.join(shown[:_MOST_SHOWN])}{', ...' if len(shown) > _MOST_SHOWN else ''}]" if shown else ""


def _brief(value: object) -> str:
    """A value, or what kind it is and its size."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if not isinstance(value, str):
        return type(value).__name__
    return repr(value) if len(value) <= _LONG_TEXT else f"{value[:_LONG_TEXT]!r}... ({len(value)} characters)"


@dataclass(frozen=True)
class NetworkEntry:
    """One request or connection that code has made through the engine's proxy, or wanted to.

    Attributes:
        kind: https (a tunnel whose inside is not seen, unless a secret is put in there), http, or tcp.
        host, port: What was asked for.
        allowed: Whether the policy let it go.
        rule: The rule that allowed it; where it was refused, the one that would allow it, if a rule can.
        reason: Why it was refused, or what went wrong, such as that a placeholder was sent and not the secret.
        method, path: Of a request that the proxy has seen; the path is without its query.
        sent, received: Bytes.
        at: When it was asked for.
    """

    kind: str
    host: str
    port: int
    allowed: bool
    rule: str
    reason: str
    method: str
    path: str
    sent: int
    received: int
    at: datetime

    @classmethod
    def of(cls, record: m.NetworkRecord) -> NetworkEntry:
        """Build one from the wire's form."""
        values = {name: getattr(record, name) for name in record.__struct_fields__}
        return cls(**{**values, "at": datetime.fromtimestamp(record.at, UTC)})


@dataclass(eq=False, repr=False)
class WebAppData:
    """What is known of a web app.

    Attributes:
        name: What it is called in its session.
        app_type: flask, fastapi, streamlit, dash, gradio or http.
        url, port: Where it is reached on this machine.
        inner_port, pid: Where it listens inside, and its process there; a pid of 0 once it has ended.
        state: starting, running, restarting or ended; `why` says how it ended, `exit_code` with what.
        status: The HTTP status that its page, or Streamlit's own health page, answered with when it was started.
        path: Its file in the workspace.
        restore: Whether it comes back with the session's next worker.
        started_at: When it was last started.
        connections: How many there are.
        log: The end of what it has printed; `log_artifact` has all that is kept, at most 1 MB.
        screenshot: The last picture of its page, or None.
        notes: What could not be done, such as taking a picture, and why.
    """

    name: str
    app_type: str
    url: str
    port: int
    inner_port: int
    pid: int
    state: str
    status: int
    exit_code: int | None
    why: str
    path: str | None
    restore: bool
    started_at: datetime
    connections: int
    log: str
    log_artifact: Artifact | None
    screenshot: Artifact | None
    notes: tuple[str, ...]

    @classmethod
    def of(cls, info: m.WebAppInfo, artifact_of: Callable[[m.ArtifactInfo], Artifact]) -> WebAppData:
        """Build one from the wire's form."""
        values: dict[str, Any] = {name: getattr(info, name) for name in WebAppData.__dataclass_fields__}
        for name in ("log_artifact", "screenshot"):
            values[name] = None if values[name] is None else artifact_of(values[name])
        return WebAppData(**{**values, "started_at": datetime.fromtimestamp(info.started_at, UTC)})

    def __repr__(self) -> str:
        return f"<WebApp {self.name!r} at {self.url}, {self.state}>"
