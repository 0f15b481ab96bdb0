"""Scenes for the tests of animations, and a way to look at what was made of them."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sandbox import Animation, LocalSandbox
from sandbox.engine.thread import EngineThread
from sandbox.sync import LocalSandbox as BlockingSandbox

HAS_MANIM = importlib.util.find_spec("manim") is not None

# The left half becomes red, then the right half green.
HALVES = """
from manim import *

class Halves(Scene):
    def construct(self):
        red = Rectangle(width=config.frame_width / 2, height=config.frame_height, stroke_width=0)
        red.set_fill(PURE_RED, 1).to_edge(LEFT, buff=0)
        green = red.copy().set_fill(PURE_GREEN, 1).to_edge(RIGHT, buff=0)
        self.play(FadeIn(red), run_time=0.4)
        self.play(FadeIn(green), run_time=0.4)
        self.wait(0.2)
"""
# As little as there can be: a picture takes no video.
DOT = """
from manim import *

class Dots(Scene):
    def construct(self):
        self.add(Dot(radius=2, color=PURE_BLUE))
"""


class Frames(NamedTuple):
    """A decoded video: its pictures, and how long it is by their times."""

    pictures: list[Any]
    seconds: float

    def at(self, part: float, x: float, y: float) -> str:
        """The colour at a place, given as parts of the whole: of a picture at a part of the time."""
        picture = self.pictures[min(int(part * len(self.pictures)), len(self.pictures) - 1)]
        return colour(picture, x, y)


def colour(picture: Any, x: float, y: float) -> str:
    """What it is nearest to; videos do not keep colours exactly."""
    pixel = picture.convert("RGB").getpixel((int(x * (picture.width - 1)), int(y * (picture.height - 1))))
    names = {(0, 0, 0): "black", (255, 0, 0): "red", (0, 255, 0): "green", (0, 0, 255): "blue"}
    return names[min(names, key=lambda known: sum(abs(a - b) for a, b in zip(known, pixel, strict=True)))]


def decoded(data: bytes) -> Frames:
    """Decode a video as a player would: in the tests' own process, since the tests made it."""
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(video=0))
    return Frames([frame.to_image() for frame in frames], frames[-1].time + 1 / 15)


def picture(data: bytes) -> Any:
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(data))
    image.load()
    return image


async def still(box: LocalSandbox, code: str = DOT, **options: Any) -> Animation:
    """Render the cheapest that there is."""
    return await box.animations.create(code, "low_quality", format="png", **options)


@pytest.fixture(scope="session")
def manim(engine: EngineThread) -> Iterator[None]:
    """The engine's zygote has Manim now, which is the run's and not a test's. Skips where there is no Manim."""
    if not HAS_MANIM:
        pytest.skip("Manim is not installed: pip install '.[manim]'")
    with BlockingSandbox(persist=False) as box:
        box.animations.create(DOT, "low_quality", format="png")
        box.delete()
    yield
    engine._loop.call_soon_threadsafe(_end_idle, engine)


def _end_idle(engine: EngineThread) -> None:
    warm = engine._engine.sessions.warm
    for one in list(warm._warm.values()):
        if one.ending is not None:
            one.ending.cancel()
            warm._end_idle(one)


Make = Callable[..., LocalSandbox]


@pytest.fixture
def own_engine(own_home: Path) -> Iterator[EngineThread]:
    """An engine of the test's own, which has not rendered anything, and leaves nothing behind."""
    if not HAS_MANIM:
        pytest.skip("Manim is not installed")
    engine = EngineThread(parked=0)
    yield engine
    engine.close()
    assert list((own_home / "run").glob("*")) == []


@pytest.fixture
async def box(manim: None, make: Make) -> LocalSandbox:
    """A started sandbox of an engine whose zygote has Manim."""
    return await make(name="animations").start()
