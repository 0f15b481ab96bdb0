"""Animations of Manim."""

from __future__ import annotations

from msgspec import Struct

from sandbox.protocol.artifacts import ArtifactInfo
from sandbox.protocol.base import Event, LastEvent, Request


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
