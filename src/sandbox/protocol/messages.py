"""The only schema. A request is one message; its answer is a stream of events that ends with exactly one last event.

Requests refuse unknown fields: a mistyped option must not be ignored. Sizes are in bytes and times in seconds
unless a name says otherwise.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import Struct

MAX_CHUNK = 1024 * 1024
"""The most bytes of a file in one request."""
PIECE = 256 * 1024
"""Bytes of a file in one event. Measured: it takes half the time that a megabyte does, of which each copy is in memory
that has to be touched first."""
OWNER = "local"
"""Whose the sessions are of who uses an engine without a server."""


class MountSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A host path to show at `target`."""

    target: str
    path: str
    writable: bool = False


class EnvironmentSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """The path of a virtual environment, or what to build one from; neither means the engine's own."""

    path: str | None = None
    python: str | None = None
    packages: tuple[str, ...] = ()
    warm: tuple[str, ...] | None = None
    allow_source_builds: bool = False


HOST_NETWORK, POLICY, LEARN = "host", "policy", "learn"
PROXIED = (POLICY, LEARN)
"""The kinds of network whose traffic goes through the engine's proxy. `SessionOptions.network` may be "none" too."""


class PolicySpec(Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of `sandbox.NetworkPolicy`. `transfer` in MB, `rate` in MB a second."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    transfer: float | None = None
    rate: float | None = None


class SecretSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A secret for `hosts`. An engine that has only read of it, from what is stored, has no `value`."""

    name: str
    value: str
    hosts: tuple[str, ...]
    query: bool = False

    def unknown(self) -> SecretSpec:
        """The same without its value."""
        return SecretSpec(self.name, "", self.hosts, self.query)

    def __repr__(self) -> str:
        return f"SecretSpec({self.name!r}, hosts={self.hosts!r})"


class SessionOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The options of `sandbox.SandboxOptions`, in the form that travels.

    `files_of`: of a session in JavaScript, the open session whose workspace it works in, instead of one of its own.
    """

    name: str | None = None
    memory: int = 1024
    cpus: float = 1.0
    timeout: float | None = 30.0
    env: dict[str, str] = {}
    isolation: str = "auto"
    environment: EnvironmentSpec = EnvironmentSpec()
    network: str = "none"
    files: tuple[MountSpec, ...] = ()
    processes: int = 128
    disk: int = 1024
    output: float = 10
    without: tuple[str, ...] = ()
    persist: bool = True
    idle_timeout: float | None = None
    storage: int | None = None
    checkpoints: int = 1000
    policy: PolicySpec = PolicySpec()
    secrets: tuple[SecretSpec, ...] = ()
    language: str | None = None
    seed: int | None = None
    files_of: str | None = None


# --- requests -------------------------------------------------------------------------------------------------------


class Request(Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    """Base of all requests."""


class OpenSession(Request, frozen=True, tag="open_session"):
    """Open a session, new or known by its id. Answered by `SessionOpened`.

    `fresh`: the id was made up just now, so that nobody need look for it in the store. `owner`: whose it is in the
    store; a server sets it, whatever its client says.
    """

    options: SessionOptions
    session: str | None = None
    fresh: bool = False
    owner: str = OWNER


class CloseSession(Request, frozen=True, tag="close_session"):
    """End the session's worker and keep the session."""

    session: str


class DeleteSession(Request, frozen=True, tag="delete_session"):
    """Delete the session: worker, workspace, artifacts, history."""

    session: str


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


class StartCommand(Request, frozen=True, tag="start_command"):
    """Run a program. Answered by `CommandStarted`, `Output` events and `CommandFinished`."""

    session: str
    argv: tuple[str, ...]
    cwd: str | None = None
    env: dict[str, str] = {}
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


class StartTerminal(Request, frozen=True, tag="start_terminal"):
    """Run a program on a pseudo-terminal of so many columns and rows. Answered by `TerminalStarted`.

    `WriteStdin` types, `SignalCommand` signals. Its output waits until somebody asks for it; where nobody does for
    `unread` seconds it is hung up.
    """

    session: str
    argv: tuple[str, ...]
    cols: int = 80
    rows: int = 24
    cwd: str | None = None
    env: dict[str, str] = {}
    unread: float | None = None


class ReadTerminal(Request, frozen=True, tag="read_terminal"):
    """Wait for what a terminal's program has printed, or its end. Answered by `TerminalRead`."""

    session: str
    command: int


class ResizeTerminal(Request, frozen=True, tag="resize_terminal"):
    """Give a terminal another size. Its program hears of it."""

    session: str
    command: int
    cols: int
    rows: int


class CloseTerminal(Request, frozen=True, tag="close_terminal"):
    """Hang up: end the terminal, its program and what that has in the foreground. Answered by `TerminalRead`."""

    session: str
    command: int


class ReadFile(Request, frozen=True, tag="read_file"):
    """Read a file. Answered by `Data` events and `Done`. `length` None is to the end."""

    session: str
    path: str
    offset: int = 0
    length: int | None = None


class WriteFile(Request, frozen=True, tag="write_file"):
    """Write a file, or append to it; missing directories are made.

    `size`: of the whole, if more pieces follow.
    """

    session: str
    path: str
    data: bytes
    append: bool = False
    size: int = 0


class ListFiles(Request, frozen=True, tag="list_files"):
    """List a directory, everything below it if `recursive`. Answered by `FilesListed`."""

    session: str
    path: str = "."
    recursive: bool = False


class StatFile(Request, frozen=True, tag="stat_file"):
    """Describe one file. Answered by `FilesListed` with one entry."""

    session: str
    path: str


class RemoveFile(Request, frozen=True, tag="remove_file"):
    """Remove a file, or a directory with all below it if `recursive`."""

    session: str
    path: str
    recursive: bool = False


class RenameFile(Request, frozen=True, tag="rename_file"):
    """Rename a file or directory, replacing a file at the target."""

    session: str
    path: str
    target: str


class MakeDirectory(Request, frozen=True, tag="make_directory"):
    """Make a directory and those above it; not an error if it is there."""

    session: str
    path: str


class WatchFiles(Request, frozen=True, tag="watch_files"):
    """Report changes below a directory as `FilesChanged` events until the request is cancelled."""

    session: str
    path: str = "."
    recursive: bool = True


class ListArtifacts(Request, frozen=True, tag="list_artifacts"):
    """List the session's artifacts, oldest first. Answered by `ArtifactsListed`."""

    session: str


class ReadArtifact(Request, frozen=True, tag="read_artifact"):
    """Read an artifact by its id. Answered by `Data` events and `Done`. `length` None is to the end."""

    session: str
    artifact: str
    offset: int = 0
    length: int | None = None


class RemoveArtifacts(Request, frozen=True, tag="remove_artifacts"):
    """Remove these artifacts, by id; what is none is passed over. Answered by `ArtifactsListed` with the removed."""

    session: str
    ids: tuple[str, ...]


class GetMetrics(Request, frozen=True, tag="get_metrics"):
    """Measure the sandbox now. Answered by `MetricsMeasured`."""

    session: str


class GetStats(Request, frozen=True, tag="get_stats"):
    """Count the session's executions. Answered by `StatsCounted`."""

    session: str


class GetHistory(Request, frozen=True, tag="get_history"):
    """List the last executions, newest first. Answered by `HistoryListed`."""

    session: str
    limit: int = 100


class ClearCache(Request, frozen=True, tag="clear_cache"):
    """Forget compiled code."""

    session: str


# --- events ---------------------------------------------------------------------------------------------------------


class Event(Struct, frozen=True, tag_field="event"):
    """Base of all events. `last` tells whether one ends the answer."""

    last: ClassVar[bool] = False


class LastEvent(Event, frozen=True):
    """Base of the events that end an answer."""

    last: ClassVar[bool] = True


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


class FileChanges(Struct, frozen=True):
    """Paths relative to the workspace, sorted."""

    created: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


class UsageInfo(Struct, frozen=True):
    """What an execution took. `peak_memory` in bytes."""

    cpu_seconds: float = 0.0
    peak_memory: int = 0


class ArtifactInfo(Struct, frozen=True):
    """A file or figure that an execution produced. `path` is on the engine's machine."""

    id: str
    name: str
    path: str
    mime: str
    size: int
    sha256: str
    created_at: float
    execution: int


class AnimationInfo(Struct, frozen=True):
    """A scene as it was rendered. `artifact` is the video or picture; `duration` in seconds, 0 of a picture.

    `animations`: how many the scene plays. All but the artifacts is the word of the sandbox, within bounds.
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
    artifact: ArtifactInfo
    thumbnail: ArtifactInfo | None = None


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


class SessionOpened(LastEvent, frozen=True, tag="session_opened"):
    """A session is ready. `enforced` names the restrictions in force, `language` what it runs where nothing is said."""

    session: str
    isolation: str
    network: str
    enforced: tuple[str, ...]
    artifacts_dir: str
    workspace_dir: str
    language: str = "python"


class Completions(LastEvent, frozen=True, tag="completions"):
    """`matches` would replace the text from `start` to the cursor."""

    matches: tuple[str, ...]
    start: int


class Data(Event, frozen=True, tag="data"):
    """A piece of a file: `PIECE` bytes, but for the last."""

    data: bytes


class FileEntry(Struct, frozen=True):
    """One file. `kind` is file, directory, link or other; `path` is relative to the workspace."""

    path: str
    kind: str
    size: int
    mode: int
    modified_at: float
    target: str | None = None


class FilesListed(LastEvent, frozen=True, tag="files_listed"):
    """The entries of a directory, sorted by path."""

    entries: tuple[FileEntry, ...]


class FilesChanged(Event, frozen=True, tag="files_changed"):
    """Something below a watched directory changed. `kind` is created, modified, deleted or overflow."""

    path: str
    kind: str


class Watching(Event, frozen=True, tag="watching"):
    """The watch is in place: changes from now on are reported."""


class ArtifactsListed(LastEvent, frozen=True, tag="artifacts_listed"):
    """The session's artifacts."""

    artifacts: tuple[ArtifactInfo, ...]


class MetricsMeasured(LastEvent, frozen=True, tag="metrics"):
    """Figures by name; see `sandbox.sdk.metrics`."""

    values: dict[str, float]


class StatsCounted(LastEvent, frozen=True, tag="stats"):
    """What the session has run so far."""

    total_executions: int
    average_execution_time: float
    cache_hits: int
    cache_misses: int
    cached_compilations: int
    artifacts_count: int


class HistoryRecord(Struct, frozen=True):
    """One execution of the past."""

    number: int
    code: str
    status: str
    started_at: float
    execution_time: float
    cache_hit: bool
    error_type: str | None = None
    error: str | None = None
    cause: str | None = None
    artifacts: tuple[str, ...] = ()
    request_id: str | None = None


class HistoryListed(LastEvent, frozen=True, tag="history"):
    """Past executions, newest first."""

    records: tuple[HistoryRecord, ...]


class Done(LastEvent, frozen=True, tag="done"):
    """The request was carried out and there is nothing to say."""


class Failed(LastEvent, frozen=True, tag="failed"):
    """The request was not carried out. `code` is one of `sandbox.errors`."""

    code: str
    message: str
    details: dict[str, Any] = {}


class CheckpointInfo(Struct, frozen=True):
    """The stored state after an execution. `parent` is the checkpoint before it, 0 for none."""

    number: int
    parent: int
    execution: int | None
    created_at: float
    label: str | None = None


class VariableInfo(Struct, frozen=True):
    """A variable as of a checkpoint. `size`: stored bytes, together with all that is in `shared_with`."""

    name: str
    type: str
    size: int
    since: int
    shape: tuple[int, ...] | None = None
    text: str | None = None
    shared_with: tuple[str, ...] = ()
    lost: str | None = None


class NamesChanged(Struct, frozen=True):
    """Names that another checkpoint has more, less and otherwise, sorted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class MakeCheckpoint(Request, frozen=True, tag="make_checkpoint"):
    """Save what is not saved yet, and give the checkpoint a label. Answered by `CheckpointsListed` with that one."""

    session: str
    label: str | None = None


class ListCheckpoints(Request, frozen=True, tag="list_checkpoints"):
    """Ask for every checkpoint, oldest first."""

    session: str


class Rollback(Request, frozen=True, tag="rollback"):
    """Go back to a checkpoint, variables and files: by its number, its label, or the execution that made it."""

    session: str
    checkpoint: int | None = None
    label: str | None = None
    execution: int | None = None


class Fork(Request, frozen=True, tag="fork"):
    """Make and open sessions with these ids that begin where this one is now."""

    session: str
    ids: tuple[str, ...]


class Reseed(Request, frozen=True, tag="reseed"):
    """Let the random generators of a session go on with another sequence."""

    session: str


class ListVariables(Request, frozen=True, tag="list_variables"):
    """Ask for the variables as of the session's checkpoint."""

    session: str


class Compare(Request, frozen=True, tag="compare"):
    """Ask what differs between two checkpoints, by number."""

    session: str
    old: int
    new: int


class GetDigest(Request, frozen=True, tag="get_digest"):
    """Ask for the digest of what a checkpoint has."""

    session: str
    checkpoint: int


class Export(Request, frozen=True, tag="export"):
    """Ask for the session as a file: a "notebook", or an "archive" to be imported elsewhere. `Data`, then `Done`."""

    session: str
    format: str


class CheckpointsListed(LastEvent, frozen=True, tag="checkpoints_listed"):
    """Checkpoints, and which one the session is at."""

    checkpoints: tuple[CheckpointInfo, ...]
    head: int


class VariablesListed(LastEvent, frozen=True, tag="variables_listed"):
    """Variables by name."""

    variables: tuple[VariableInfo, ...]


class Compared(LastEvent, frozen=True, tag="compared"):
    """What differs."""

    variables: NamesChanged
    files: NamesChanged


class Digested(LastEvent, frozen=True, tag="digested"):
    """SHA-256 of a checkpoint's content, in hexadecimal digits."""

    digest: str


class WebAppInfo(Struct, frozen=True):
    """A web app. `state` is starting, running, restarting or ended; `why` says how it came to its end.

    `port` is on the engine's machine, `inner_port` inside. `status` is what its page answered with at the start.
    `id` is another one for each app that is started, also of the same name, and stays when it is restarted.
    """

    id: str
    name: str
    app_type: str
    url: str
    port: int
    inner_port: int
    pid: int
    state: str
    status: int = 0
    exit_code: int | None = None
    why: str = ""
    path: str | None = None
    restore: bool = False
    started_at: float = 0.0
    connections: int = 0
    log: str = ""
    log_artifact: ArtifactInfo | None = None
    screenshot: ArtifactInfo | None = None
    notes: tuple[str, ...] = ()


class StartWebApp(Request, frozen=True, tag="start_web_app"):
    """Start a web app from `code`, from a file or directory of the workspace, or as a command.

    Answered by `WebAppsListed` with that one, once it answers. `anywhere`: `port` is for inside alone, and the one on
    the engine's machine is any that is free.
    """

    session: str
    app_type: str
    port: int
    name: str | None = None
    code: str | None = None
    path: str | None = None
    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    timeout: float = 60.0
    restore: bool = False
    screenshot: bool = False
    hosts: tuple[str, ...] = ()
    anywhere: bool = False


class RestartWebApp(Request, frozen=True, tag="restart_web_app"):
    """End an app and start it again at its port: as it was, or from new code, another file, or as a command."""

    session: str
    name: str
    code: str | None = None
    timeout: float = 60.0
    screenshot: bool = False
    app_type: str | None = None
    path: str | None = None
    command: tuple[str, ...] = ()


class StopWebApp(Request, frozen=True, tag="stop_web_app"):
    """End an app, give its port back and forget it. Answered by `WebAppsListed` with how it was."""

    session: str
    name: str


class ListWebApps(Request, frozen=True, tag="list_web_apps"):
    """List the session's apps, oldest first, or one by its name; `log`: with all that is kept of what they printed."""

    session: str
    name: str | None = None
    log: bool = False


class ScreenshotWebApp(Request, frozen=True, tag="screenshot_web_app"):
    """Take a picture of an app's page. Answered by `ArtifactsListed` with that one."""

    session: str
    name: str
    path: str = "/"
    width: int = 1280
    height: int = 800


class WebAppsListed(LastEvent, frozen=True, tag="web_apps_listed"):
    """Web apps."""

    apps: tuple[WebAppInfo, ...]


class SetNetwork(Request, frozen=True, tag="set_network"):
    """Change what a session may reach: "none", "policy" or "learn". Not from or to the host's network."""

    session: str
    network: str
    policy: PolicySpec = PolicySpec()


class GetNetwork(Request, frozen=True, tag="get_network"):
    """Ask what a session may reach, and what it has asked for. Answered by `NetworkShown`."""

    session: str


class NetworkRecord(Struct, frozen=True):
    """One request or connection through the proxy. `kind` is http, https or tcp.

    `rule` allowed it, or would; `reason` says why it was refused, or what went wrong.
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
    at: float


class NetworkShown(LastEvent, frozen=True, tag="network_shown"):
    """The network of a session; the newest records, oldest first; the rules that would allow what was asked for."""

    network: str
    policy: PolicySpec
    records: tuple[NetworkRecord, ...]
    wanted: tuple[str, ...]
    transferred: int


class CreateAnimation(Request, frozen=True, tag="create_animation"):
    """Render scenes of Manim: those named, all with `every`, or the only one that the code has.

    An execution of its own, which does not touch the session's variables. Answered by `Output` and
    `AnimationProgress` events and `ExecutionFinished`. `timeout` None is none.
    """

    session: str
    code: str
    quality: str = "medium_quality"
    scenes: tuple[str, ...] = ()
    every: bool = False
    format: str = "mp4"
    timeout: float | None = 300.0


class AnimationProgress(Event, frozen=True, tag="animation_progress"):
    """How far a rendering is: the scene, which of how many it is, its animation by number and name, its frames."""

    scene: str
    number: int
    scenes: int
    animation: int
    name: str
    frames: int


class ListAnimations(Request, frozen=True, tag="list_animations"):
    """List what was rendered in the session and not removed since, oldest first. Answered by `AnimationsListed`."""

    session: str


class AnimationsListed(LastEvent, frozen=True, tag="animations_listed"):
    """Animations."""

    animations: tuple[AnimationInfo, ...]


class TerminalStarted(LastEvent, frozen=True, tag="terminal_started"):
    """The program runs; `command` is what the terminal is called."""

    command: int


class TerminalRead(LastEvent, frozen=True, tag="terminal_read"):
    """The next bytes, at most 64 KB, or none and how the program has ended: its exit code, or minus a signal."""

    data: bytes
    exit_code: int | None = None


AnyRequest = (
    OpenSession | CloseSession | DeleteSession | Run | Interrupt | Complete | StartCommand | WriteStdin | SignalCommand
    | ReadFile | WriteFile | ListFiles | StatFile | RemoveFile | RenameFile | MakeDirectory | WatchFiles
    | ListArtifacts | ReadArtifact | RemoveArtifacts | GetMetrics | GetStats | GetHistory | ClearCache | MakeCheckpoint
    | ListCheckpoints | Rollback | Fork | Reseed | ListVariables | Compare | GetDigest | Export
    | StartWebApp | RestartWebApp | StopWebApp | ListWebApps | ScreenshotWebApp | SetNetwork | GetNetwork
    | CreateAnimation | ListAnimations | StartTerminal | ReadTerminal | ResizeTerminal | CloseTerminal
)  # fmt: skip
AnyEvent = (
    Output | ResultShown | ExecutionStarted | ExecutionFinished | CommandStarted | CommandFinished | SessionOpened
    | Completions | Data | FilesListed | FilesChanged | Watching | ArtifactsListed | MetricsMeasured | StatsCounted
    | HistoryListed | CheckpointsListed | VariablesListed | Compared | Digested | WebAppsListed | NetworkShown
    | AnimationProgress | AnimationsListed | TerminalStarted | TerminalRead | Done | Failed
)  # fmt: skip

_Message = TypeVar("_Message")

_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[AnyRequest] = msgspec.msgpack.Decoder(AnyRequest)
_events: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)


def encode(message: Request | Event) -> bytes:
    """Return a message in the form that transports carry."""
    return _encoder.encode(message)


def decode_request(data: bytes) -> AnyRequest:
    """Raises `msgspec.DecodeError` (`ValidationError` is one) for anything but a well-formed request."""
    return _decoded(_requests, data)


def decode_event(data: bytes) -> AnyEvent:
    """Raises `msgspec.DecodeError` (`ValidationError` is one) for anything but a well-formed event."""
    return _decoded(_events, data)


def _decoded(decoder: msgspec.msgpack.Decoder[_Message], data: bytes) -> _Message:
    try:
        return decoder.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"{type(error).__name__}: {error}") from error
