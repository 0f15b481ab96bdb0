"""Animations, over every way to reach an engine."""

from __future__ import annotations

from typing import Any

import pytest
from tests.animations.conftest import DOT, colour, manim, picture

from sandbox import AnimationProgress, SandboxExecutionError

__all__ = ["manim"]  # a fixture


async def test_a_scene_is_rendered_listed_and_removed(manim: None, any_box: Any) -> None:
    told: list[AnimationProgress] = []
    made = await any_box.animations.create(DOT, "low_quality", format="png", on_progress=told.append)
    assert [(one.scene, one.number, one.scenes) for one in told] == [("Dots", 1, 1)]
    assert colour(picture(made.artifact.read()), 0.5, 0.5) == "blue"
    (found,) = await any_box.animations.list()
    assert (found.scene, found.artifact.id, found.width) == (made.scene, made.artifact.id, 854)
    with pytest.raises(SandboxExecutionError, match="the code has no scene Other; it has: Dots"):
        await any_box.animations.create(DOT, scene_name="Other")
    any_box.remove_artifacts([made.artifact])
    assert await any_box.animations.list() == []
