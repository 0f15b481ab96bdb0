"""The only schema. A request is one message; its answer is a stream of events that ends with exactly one last event.

Requests refuse unknown fields: a mistyped option must not be ignored. Sizes are in bytes and times in seconds
unless a name says otherwise.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from sandbox.protocol.animations import (
    AnimationInfo,
    AnimationProgress,
    AnimationsListed,
    CreateAnimation,
    ListAnimations,
)
from sandbox.protocol.artifacts import ArtifactInfo, ArtifactsListed, ListArtifacts, ReadArtifact, RemoveArtifacts
from sandbox.protocol.base import Done, Event, Failed, LastEvent, Request
from sandbox.protocol.commands import CommandFinished, CommandStarted, SignalCommand, StartCommand, WriteStdin
from sandbox.protocol.executions import (
    CauseInfo,
    ClearCache,
    CodeError,
    Complete,
    Completions,
    ExecutionFinished,
    ExecutionStarted,
    Interrupt,
    Output,
    ResultShown,
    Run,
    StateInfo,
    UsageInfo,
)
from sandbox.protocol.files import (
    MAX_CHUNK,
    PIECE,
    Data,
    FileChanges,
    FileEntry,
    FilesChanged,
    FilesListed,
    ListFiles,
    MakeDirectory,
    ReadFile,
    RemoveFile,
    RenameFile,
    StatFile,
    WatchFiles,
    Watching,
    WriteFile,
)
from sandbox.protocol.history import GetHistory, GetStats, HistoryListed, HistoryRecord, StatsCounted
from sandbox.protocol.network import GetNetwork, NetworkRecord, NetworkShown, SetNetwork
from sandbox.protocol.options import (
    HOST_NETWORK,
    LEARN,
    POLICY,
    PROXIED,
    EnvironmentSpec,
    MountSpec,
    PolicySpec,
    SecretSpec,
    SessionOptions,
)
from sandbox.protocol.sessions import (
    OWNER,
    CloseSession,
    DeleteSession,
    GetMetrics,
    MetricsMeasured,
    OpenSession,
    Reseed,
    SessionOpened,
)
from sandbox.protocol.terminals import (
    CloseTerminal,
    ReadTerminal,
    ResizeTerminal,
    StartTerminal,
    TerminalRead,
    TerminalStarted,
)
from sandbox.protocol.timeline import (
    CheckpointInfo,
    CheckpointsListed,
    Compare,
    Compared,
    Digested,
    Export,
    Fork,
    GetDigest,
    ListCheckpoints,
    ListVariables,
    MakeCheckpoint,
    NamesChanged,
    Rollback,
    VariableInfo,
    VariablesListed,
)
from sandbox.protocol.web import (
    ListWebApps,
    RestartWebApp,
    ScreenshotWebApp,
    StartWebApp,
    StopWebApp,
    WebAppInfo,
    WebAppsListed,
)

__all__ = [
    "HOST_NETWORK", "LEARN", "MAX_CHUNK", "OWNER", "PIECE", "POLICY", "PROXIED", "AnimationInfo", "AnimationProgress",
    "AnimationsListed", "AnyEvent", "AnyRequest", "ArtifactInfo", "ArtifactsListed", "CauseInfo", "CheckpointInfo",
    "CheckpointsListed", "ClearCache", "CloseSession", "CloseTerminal", "CodeError", "CommandFinished",
    "CommandStarted", "Compare", "Compared", "Complete", "Completions", "CreateAnimation", "Data", "DeleteSession",
    "Digested", "Done", "EnvironmentSpec", "Event", "ExecutionFinished", "ExecutionStarted", "Export", "Failed",
    "FileChanges", "FileEntry", "FilesChanged", "FilesListed", "Fork", "GetDigest", "GetHistory", "GetMetrics",
    "GetNetwork", "GetStats", "HistoryListed", "HistoryRecord", "Interrupt", "LastEvent", "ListAnimations",
    "ListArtifacts", "ListCheckpoints", "ListFiles", "ListVariables", "ListWebApps", "MakeCheckpoint", "MakeDirectory",
    "MetricsMeasured", "MountSpec", "NamesChanged", "NetworkRecord", "NetworkShown", "OpenSession", "Output",
    "PolicySpec", "ReadArtifact", "ReadFile", "ReadTerminal", "RemoveArtifacts", "RemoveFile", "RenameFile", "Request",
    "Reseed", "ResizeTerminal", "RestartWebApp", "ResultShown", "Rollback", "Run", "ScreenshotWebApp", "SecretSpec",
    "SessionOpened", "SessionOptions", "SetNetwork", "SignalCommand", "StartCommand", "StartTerminal", "StartWebApp",
    "StatFile", "StateInfo", "StatsCounted", "StopWebApp", "TerminalRead", "TerminalStarted", "UsageInfo",
    "VariableInfo", "VariablesListed", "WatchFiles", "Watching", "WebAppInfo", "WebAppsListed", "WriteFile",
    "WriteStdin", "decode_event", "decode_request", "encode",
]  # fmt: skip

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
