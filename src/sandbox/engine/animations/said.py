"""What a rendering process may say. It is hostile: each field has a type and a bound, and anything else ends it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from sandbox.engine.worker_events import Raised, Refused

MOST_SCENES = 100
MOST_FRAME = 4 * 1024 * 1024
_Name = Annotated[str, Meta(max_length=200)]
_Path = Annotated[str, Meta(max_length=1000)]
_Side = Annotated[int, Meta(ge=1, le=65_536)]
_Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
_Real = Annotated[float, Meta(ge=0, le=1e9)]


class _Event(Struct, frozen=True, tag_field="event", forbid_unknown_fields=True):
    """Base."""


class Ready(_Event, frozen=True, tag="ready"):
    """From now on it can be interrupted."""


class Scenes(_Event, frozen=True, tag="scenes"):
    """Which scenes are rendered."""

    names: Annotated[tuple[_Name, ...], Meta(max_length=MOST_SCENES)]


class Progress(_Event, frozen=True, tag="progress"):
    """An animation has begun, or has more frames."""

    scene: _Name
    animation: _Count
    name: _Name
    frames: _Count


class Rendered(_Event, frozen=True, tag="rendered"):
    """A scene is done; the paths are relative to the workspace."""

    scene: _Name
    file: _Path
    thumbnail: _Path
    animations: _Count
    width: _Side
    height: _Side
    fps: _Real
    frames: _Count
    duration: _Real


class FailedInside(_Event, frozen=True, tag="failed"):
    """The last word: it did not work out."""

    error: Raised


class Done(_Event, frozen=True, tag="done"):
    """The last word: everything is rendered."""


Said = Ready | Scenes | Progress | Rendered | FailedInside | Done
_said: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)
_refused = msgspec.json.Decoder(Refused)


def decoded(body: bytes) -> Said:
    """One event. Raises msgspec.DecodeError for anything else."""
    try:
        return _said.decode(body)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"{type(error).__name__}: {error}") from error


def refusal(body: bytes) -> str | None:
    """What could not be put in force, where the process has ended before it was confined; else None."""
    try:
        refused = _refused.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return f"{refused.restriction} could not be put in force: {refused.message}"
