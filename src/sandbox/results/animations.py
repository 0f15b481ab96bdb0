"""Animations of Manim."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.protocol import messages as m
from sandbox.results.values import Artifact


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
