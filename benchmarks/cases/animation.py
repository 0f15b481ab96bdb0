"""A small scene of Manim, rendered for the second time, against `manim -ql` on the command line.

The sides alternate. Both render anew what they have rendered before: nothing is taken from a cache.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import running_engine, sandbox
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from sandbox import LocalSandbox

_SCENE = """
from manim import *

class Sample(Scene):
    def construct(self):
        circle = Circle(color=BLUE, fill_opacity=0.5)
        self.play(Create(circle))
        self.play(circle.animate.shift(RIGHT))
"""
_FRAMES = 30


async def measure(settings: Settings) -> list[Figure]:
    if importlib.util.find_spec("manim") is None:
        return []
    cpus = os.cpu_count() or 1  # as the command has them
    async with running_engine(parked=0) as engine, sandbox(engine, cpus=cpus) as box:
        with tempfile.TemporaryDirectory() as directory:
            sides = {"ours": Side(_ours(box), warm_up=2)}
            if settings.peers:
                sides["command"] = Side(_command(Path(directory)), warm_up=2)
                sides["import"] = Side(_process([sys.executable, "-c", "import manim"]))
                sides["nothing"] = Side(_process([sys.executable, "-c", "pass"]))
            found = await alternate(sides, settings.times(15, 3))
    return list(_figures(found))


def _figures(found: dict[str, Rounds]) -> Iterator[Figure]:
    ours, command = found["ours"], found.get("command")
    what = "second rendering of a scene with two animations, low_quality"
    yield compare(what, ours, "manim -ql on the command line", command, goals=(Goal("ratio", ">=", 1),))
    if command is None:
        return
    importing = _difference(found["import"], found["nothing"])
    what = "what that saves of the command's time"
    goal = Goal("ratio", ">=", 1)
    yield compare(what, _difference(command, ours), "import manim", importing, better=False, goals=(goal,))


def _difference(more: Rounds, less: Rounds) -> Rounds:
    return [[a - b for a, b in zip(one, other, strict=True)] for one, other in zip(more, less, strict=True)]


def _ours(box: LocalSandbox) -> Measure:
    async def render() -> float:
        begin = time.perf_counter()
        made = await box.animations.create(_SCENE, "low_quality")
        seconds = time.perf_counter() - begin
        if made.frames != _FRAMES:
            raise RuntimeError(f"{made} has not {_FRAMES} frames")
        return seconds

    return render


def _command(directory: Path) -> Measure:
    file = directory / "scene.py"
    file.write_text(_SCENE, encoding="utf-8")
    manim = [sys.executable, "-m", "manim", "-ql", "--disable_caching", "--progress_bar", "none", "--media_dir"]
    return _process([*manim, str(directory / "media"), str(file), "Sample"])


def _process(arguments: list[str]) -> Measure:
    async def run() -> float:
        begin = time.perf_counter()
        subprocess.run(arguments, capture_output=True, check=True)  # noqa: ASYNC221 - nothing else is to run
        return time.perf_counter() - begin

    return run
