"""What a worker may say. It is hostile: each field has a type and a bound, and anything else ends the worker."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

_Name = Annotated[str, Meta(max_length=200)]
_Text = Annotated[str, Meta(max_length=1_000_000)]
_Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class WorkerEvent(Struct, frozen=True, tag_field="event", forbid_unknown_fields=True):
    """Base. `ack` asks the engine to say when it has read everything written before."""

    ack: bool = False


class Ready(WorkerEvent, frozen=True, tag="ready"):
    """The worker is confined: sent before it has run any code but ours."""

    enforced: Annotated[tuple[_Name, ...], Meta(max_length=64)] = ()
    pid: _Count = 0


class Refused(WorkerEvent, frozen=True, tag="refused"):
    """A restriction could not be put in force, so the worker has ended."""

    restriction: _Name = ""
    errno: _Count = 0
    message: _Text = ""


class NotStarted(WorkerEvent, frozen=True, tag="not_started"):
    """A command's program could not be run."""

    errno: _Count = 0
    message: _Text = ""


class Mark(WorkerEvent, frozen=True, tag="mark"):
    """Nothing but a point between outputs."""


class Shown(WorkerEvent, frozen=True, tag="result"):
    """A displayed value. Text as it is, images as base64."""

    data: Annotated[dict[_Name, Any], Meta(max_length=32)] = {}
    main: bool = False
    chart: dict[str, Any] | None = None


class Figure(WorkerEvent, frozen=True, tag="figure"):
    """A figure, shown or captured: it becomes a result and an artifact."""

    data: Annotated[dict[_Name, Any], Meta(max_length=32)] = {}
    main: bool = False
    chart: dict[str, Any] | None = None


class Raised(Struct, frozen=True, forbid_unknown_fields=True):
    """What user code raised."""

    type: _Name
    message: _Text
    traceback: _Text
    errno: _Count | None
    exit_code: Annotated[int, Meta(ge=0, le=255)]


class Ended(WorkerEvent, frozen=True, tag="end"):
    """The cell is over."""

    error: Raised | None = None
    interrupted: bool = False
    cache_hit: bool = False
    compiled: _Count = 0


class Completed(WorkerEvent, frozen=True, tag="completions"):
    """An answer to `complete`."""

    matches: Annotated[tuple[Annotated[str, Meta(max_length=1000)], ...], Meta(max_length=200)] = ()
    start: _Count = 0


class Cleared(WorkerEvent, frozen=True, tag="cleared"):
    """The compiled code is forgotten."""


class Gone(Struct, frozen=True):
    """Made by the engine: the worker has ended. `code` is negative for a signal; `why` if the engine ended it."""

    code: int
    why: str = ""


FromWorker = Ready | Refused | NotStarted | Mark | Shown | Figure | Ended | Completed | Cleared

decoder: msgspec.json.Decoder[FromWorker] = msgspec.json.Decoder(FromWorker)
