"""What a worker may say. It is hostile: each field has a type and a bound, and anything else ends the worker."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

_Name = Annotated[str, Meta(max_length=200)]
_Text = Annotated[str, Meta(max_length=1_000_000)]
_Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class WorkerEvent(Struct, frozen=True, tag_field="event", forbid_unknown_fields=True):
    """Base. `ack` asks the engine to say when it has read everything written before."""

    ack: bool = False


class Ready(WorkerEvent, frozen=True, tag="ready"):
    """The worker is confined: sent before it has run any code but ours."""

    enforced: Annotated[tuple[_Name, ...], Meta(max_length=64)] = ()


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
    """A displayed value. Text as it is, images as base64, JSON as objects.

    `dropped` names what was left out, because it was larger or deeper than the engine takes.
    """

    data: dict[str, Any] = {}
    main: bool = False
    chart: dict[str, Any] | None = None
    dropped: tuple[str, ...] = ()


class Figure(Shown, frozen=True, tag="figure"):
    """A figure, shown or captured: it becomes a result and an artifact."""


class _Value(WorkerEvent, frozen=True, tag="result"):
    """`Shown` as it comes: what is in it is taken apart only after its size is known."""

    data: Annotated[dict[_Name, Raw], Meta(max_length=32)] = {}
    main: bool = False
    chart: Raw = Raw(b"null")


class _FigureValue(_Value, frozen=True, tag="figure"):
    """`Figure` as it comes."""


class Raised(Struct, frozen=True, forbid_unknown_fields=True):
    """What user code raised."""

    type: _Name
    message: _Text
    traceback: _Text
    errno: _Count | None
    exit_code: Annotated[int, Meta(ge=0, le=255)]


class Ended(WorkerEvent, frozen=True, tag="end"):
    """The cell `number` is over. A forged end would have the real one taken for that of the next cell."""

    number: _Count = 0
    error: Raised | None = None
    interrupted: bool = False
    cache_hit: bool = False
    compiled: _Count = 0


class LostName(Struct, frozen=True, forbid_unknown_fields=True):
    """A name whose value is not in the checkpoint, since which execution, and why."""

    name: _Name
    type: _Name
    reason: Annotated[str, Meta(max_length=1000)]
    since: _Count


_LostNames = Annotated[tuple[LostName, ...], Meta(max_length=10_000)]


class Saved(WorkerEvent, frozen=True, tag="saved"):
    """What the execution changed is on its way: `bytes` in all. `lost`: every name that cannot be kept as of now.

    `untried`: some of it is made again by code of the session, and has not been seen to load.
    """

    number: _Count = 0
    bytes: Annotated[int, Meta(ge=0, le=1 << 48)] = 0
    lost: _LostNames = ()
    untried: bool = False


class Restored(WorkerEvent, frozen=True, tag="restored"):
    """The variables are what they were, but for those that are lost."""

    lost: _LostNames = ()


class Trying(WorkerEvent, frozen=True, tag="trying"):
    """A spare worker is about to load these."""

    names: Annotated[tuple[_Name, ...], Meta(max_length=10_000)] = ()


class Checked(WorkerEvent, frozen=True, tag="checked"):
    """A spare worker has loaded what it was to; `lost` is what it could not, though it was saved."""

    lost: _LostNames = ()


class Completed(WorkerEvent, frozen=True, tag="completions"):
    """An answer to `complete`."""

    matches: Annotated[tuple[Annotated[str, Meta(max_length=1000)], ...], Meta(max_length=200)] = ()
    start: _Count = 0


class DoneInside(WorkerEvent, frozen=True, tag="done"):
    """A request that has no other answer was carried out."""


class OutOfMemory(WorkerEvent, frozen=True, tag="out_of_memory"):
    """Its last word: it has no memory left to go on with."""


class Gone(Struct, frozen=True):
    """Made by the engine: the worker has ended. `code` is negative for a signal; `why` if the engine ended it.

    `out_of_memory`: by its own word.
    """

    code: int
    why: str = ""
    out_of_memory: bool = False


_Plain = (
    Ready
    | Refused
    | NotStarted
    | Mark
    | Ended
    | Saved
    | Restored
    | Trying
    | Checked
    | Completed
    | DoneInside
    | OutOfMemory
)
FromWorker = _Plain | Shown | Figure
_Said = _Plain | _Value | _FigureValue

_said: msgspec.json.Decoder[_Said] = msgspec.json.Decoder(_Said)
# A byte of JSON can take thirty of memory, and each container slows down every later run of the garbage collector.
_MOST_JSON = 8 * 1024 * 1024
_MOST_CONTAINERS = 250_000
_MOST_DEPTH = 64


class _Decoder:
    """Decodes a frame's body. Raises `msgspec.DecodeError` for anything but a well-formed event, and nothing else."""

    def decode(self, body: bytes) -> FromWorker:
        try:
            said = _said.decode(body)
            if not isinstance(said, _Value):
                return said
            return _shown(said)
        except (UnicodeDecodeError, RecursionError) as error:
            raise msgspec.DecodeError(f"{type(error).__name__}: {error}") from error


decoder = _Decoder()


def _shown(said: _Value) -> Shown | Figure:
    data = {mime: _plain(raw) for mime, raw in said.data.items()}
    chart = _plain(said.chart)
    if chart is not _DROPPED and not isinstance(chart, dict | None):
        raise msgspec.ValidationError("`chart` is not an object")
    dropped = [mime for mime, value in data.items() if value is _DROPPED]
    for mime in dropped:
        del data[mime]
    if chart is _DROPPED:
        chart = None
        dropped.append("chart")
    kind = Figure if isinstance(said, _FigureValue) else Shown
    return kind(said.ack, data, said.main, chart, tuple(dropped))


_DROPPED = object()


def _plain(raw: Raw) -> Any:
    """Return a value that can be sent on as it is, or `_DROPPED`."""
    text = bytes(raw)
    if text.startswith(b'"'):
        return msgspec.json.decode(text, type=str)
    if len(text) > _MOST_JSON or text.count(b"[") + text.count(b"{") > _MOST_CONTAINERS:
        return _DROPPED
    value = msgspec.json.decode(text)
    if _depth(value) > _MOST_DEPTH:
        return _DROPPED
    try:
        msgspec.msgpack.encode(value)
    except OverflowError:
        return _without_long_numbers(value)
    return value


def _depth(value: object) -> int:
    """How many containers lie within each other; counted no further than one more than is allowed."""
    level = [value] if isinstance(value, dict | list) else []
    depth = 0
    while level and depth <= _MOST_DEPTH:
        depth += 1
        # By type, not by class: the decoder makes nothing else, and this runs for every number of every chart.
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
    return depth


def _without_long_numbers(value: Any) -> Any:
    """Whole numbers of more than 64 bits as floats, which is what they are to JavaScript; what is too large as None."""
    if isinstance(value, dict):
        return {key: _without_long_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_long_numbers(inner) for inner in value]
    if not isinstance(value, int) or -(1 << 63) <= value < 1 << 64:
        return value
    return float(value) if abs(value) < 1 << 1000 else None
