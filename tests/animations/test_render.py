"""Scenes become videos and pictures that show what they should, and are kept."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from tests.animations.conftest import DOT, HALVES, HAS_MANIM, Make, colour, decoded, picture, still

import sandbox.sync
from sandbox import Animation, AnimationProgress, LocalSandbox, UsageError
from sandbox.engine.thread import EngineThread

_DIRECTORY = Path(__file__).parents[2] / "examples" / "animations"
EXAMPLES = {path.stem: path.read_text("utf-8") for path in sorted(_DIRECTORY.glob("*.py"))}
TWO = HALVES + HALVES.replace("Halves", "Again").replace("PURE_RED", "PURE_BLUE")


async def test_a_scene_becomes_a_video_that_shows_it(box: LocalSandbox) -> None:
    made = await box.animations.create(HALVES, "low_quality")
    assert (made.scene, made.format, made.quality, made.animations) == ("Halves", "mp4", "low_quality", 3)
    assert (made.width, made.height, made.fps, made.frames) == (854, 480, 15.0, 15)
    assert (made.artifact.name, made.artifact.mime, made.execution) == ("Halves.mp4", "video/mp4", 1)
    data = await made.artifact.aread()
    video = decoded(data)
    assert len(video.pictures) == made.frames
    assert made.duration == pytest.approx(1.0)
    assert video.seconds == pytest.approx(made.duration, abs=0.01)
    assert [video.at(0.0, x, 0.5) for x in (0.25, 0.75)] == ["black", "black"]
    assert [video.at(0.5, x, 0.5) for x in (0.25, 0.75)] == ["red", "black"]
    assert [video.at(1.0, x, 0.5) for x in (0.25, 0.75)] == ["red", "green"]
    assert await box.files.read("artifacts/Halves.mp4") == data


async def test_the_thumbnail_is_a_small_picture_of_what_is_to_be_seen(box: LocalSandbox) -> None:
    vanishing = HALVES + "        self.play(FadeOut(red), FadeOut(green), run_time=0.2)\n        self.wait(0.2)\n"
    made = await box.animations.create(vanishing, "low_quality")
    assert made.thumbnail is not None
    assert (made.thumbnail.name, made.thumbnail.mime) == ("Halves-thumbnail.png", "image/png")
    small = picture(await made.thumbnail.aread())
    assert small.size == (640, 360)
    assert [decoded(await made.artifact.aread()).at(1.0, x, 0.5) for x in (0.25, 0.75)] == ["black", "black"]
    assert colour(small, 0.25, 0.5) != "black"


@pytest.mark.parametrize(("form", "mime"), [("gif", "image/gif"), ("webm", "video/webm")])
async def test_other_kinds_of_video(box: LocalSandbox, form: str, mime: str) -> None:
    made = await box.animations.create(HALVES, "low_quality", format=form)
    assert (made.artifact.mime, made.artifact.name, made.frames) == (mime, f"Halves.{form}", 15)
    assert made.duration == pytest.approx(1.0, abs=0.1)
    video = decoded(await made.artifact.aread())
    assert video.pictures[0].size == (854, 480)
    assert [video.at(1.0, x, 0.5) for x in (0.25, 0.75)] == ["red", "green"]


@pytest.mark.parametrize(
    ("quality", "size"),
    [
        ("low_quality", (854, 480)),
        ("medium_quality", (1280, 720)),
        ("high_quality", (1920, 1080)),
        ("production_quality", (2560, 1440)),
        ("fourk_quality", (3840, 2160)),
    ],
)
async def test_a_picture_of_the_last_frame_in_every_quality(
    box: LocalSandbox, quality: str, size: tuple[int, int]
) -> None:
    made = await box.animations.create(DOT, quality, format="png")
    assert (made.width, made.height, made.frames, made.fps, made.duration) == (*size, 1, 0.0, 0.0)
    image = picture(await made.artifact.aread())
    assert image.size == size
    assert [colour(image, x, 0.5) for x in (0.05, 0.5)] == ["black", "blue"]


async def test_medium_is_the_quality_unless_another_is_named(box: LocalSandbox) -> None:
    made = await box.animations.create(HALVES)
    assert (made.width, made.height, made.fps, made.frames) == (1280, 720, 30.0, 30)


async def test_what_the_code_configures_holds(box: LocalSandbox) -> None:
    made = await still(box, DOT + "\nconfig.background_color = PURE_GREEN\nconfig.pixel_width = 960\n")
    image = picture(await made.artifact.aread())
    assert (image.width, colour(image, 0.05, 0.5)) == (960, "green")


# --- several scenes -------------------------------------------------------------------------------------------------


async def test_all_scenes_of_the_code_are_rendered_in_its_order(box: LocalSandbox) -> None:
    told: list[AnimationProgress] = []
    execution = await box.animations.render(TWO, "low_quality", on_progress=told.append)
    assert [one.scene for one in execution.animations] == ["Halves", "Again"]
    last = [decoded(await one.artifact.aread()).at(1.0, 0.25, 0.5) for one in execution.animations]
    assert last == ["red", "blue"]
    assert {(one.scene, one.number, one.scenes) for one in told} == {("Halves", 1, 2), ("Again", 2, 2)}
    assert sorted(one.name for one in execution.artifacts) == [
        "Again-thumbnail.png", "Again.mp4", "Halves-thumbnail.png", "Halves.mp4",
    ]  # fmt: skip


async def test_one_of_several_by_its_name(box: LocalSandbox) -> None:
    assert (await still(box, TWO, scene_name="Again")).scene == "Again"
    execution = await box.animations.render(TWO, "low_quality", ["Halves"], "png")
    assert [one.scene for one in execution.animations] == ["Halves"]


async def test_what_only_others_are_made_of_is_no_scene(box: LocalSandbox) -> None:
    code = DOT.replace("class Dots(Scene)", "class Base(Scene):\n    size = 1\n\nclass Dots(Base)")
    assert (await still(box, code)).scene == "Dots"


# --- while it goes on -----------------------------------------------------------------------------------------------


async def test_progress_names_each_animation_as_it_begins(box: LocalSandbox) -> None:
    told: list[AnimationProgress] = []
    await box.animations.create(HALVES, "low_quality", on_progress=told.append)
    begun = list(dict.fromkeys((one.animation, one.name) for one in told))
    assert begun == [(0, ""), (1, "FadeIn(Rectangle)"), (2, "FadeIn(Rectangle)"), (3, "Wait(Mobject)")]
    assert [one.frames for one in told] == sorted(one.frames for one in told)


async def test_what_the_code_prints_comes_as_it_is_printed(box: LocalSandbox) -> None:
    told: list[str] = []
    await still(box, "print('module')\n" + DOT + "        print('scene')\n", on_stdout=told.append)
    assert "".join(told) == "module\nscene\n"


# --- the session ----------------------------------------------------------------------------------------------------


async def test_a_rendering_is_an_execution_that_leaves_the_variables_alone(box: LocalSandbox) -> None:
    await box.run("x = 41")
    made = await still(box, "x = 1\n" + DOT)
    assert made.execution == 2
    assert (await box.run("x + 1")).text == "42"
    numbers = [(one["number"], one["status"], len(one["artifacts"])) for one in box.get_execution_history(3)]
    assert numbers == [(3, "ok", 0), (2, "ok", 2), (1, "ok", 0)]
    await box.rollback(1)
    assert not await box.files.exists("artifacts/Dots.png")
    await box.rollback(2)
    assert await box.files.exists("artifacts/Dots.png")
    assert (await box.run("x")).text == "41"


async def test_it_sees_the_files_of_the_workspace(box: LocalSandbox) -> None:
    await box.files.write("colours.txt", "#ff0000")
    await box.files.write("helper.py", "colour = lambda: open('colours.txt').read()\n")
    made = await still(
        box, DOT.replace("import *", "import *\nfrom helper import colour").replace("PURE_BLUE", "colour()")
    )
    assert colour(picture(await made.artifact.aread()), 0.5, 0.5) == "red"


async def test_rendered_again_the_earlier_video_stays_as_it_was(box: LocalSandbox) -> None:
    first = await still(box)
    before = await first.artifact.aread()
    await still(box, DOT.replace("PURE_BLUE", "PURE_RED"))
    every = await box.animations.list()
    assert [(one.scene, one.execution) for one in every] == [("Dots", 1), ("Dots", 2)]
    assert await every[0].artifact.aread() == before != await every[1].artifact.aread()
    assert every[0] == first


async def test_what_is_removed_is_not_listed(box: LocalSandbox) -> None:
    first, second = await still(box), await still(box)
    await asyncio.to_thread(box.remove_artifacts, [first.artifact])
    assert [one.execution for one in await box.animations.list()] == [second.execution]


async def test_without_a_store_they_are_listed_too(manim: None, make: Make) -> None:
    async with make(persist=False) as box:
        made = await still(box)
        assert await box.animations.list() == [made]
        box.remove_artifacts([made.artifact])
        assert await box.animations.list() == []
        await box.delete()


async def test_after_a_restart_they_are_there(own_home: Path) -> None:
    if not HAS_MANIM:
        pytest.skip("Manim is not installed")
    first = EngineThread(parked=0)
    try:
        async with LocalSandbox(engine=first) as box:
            made = await still(box)
            content = await made.artifact.aread()
            session = box.session_id
    finally:
        first.close()
    assert list((own_home / "run").glob("*")) == []
    second = EngineThread(parked=0)
    try:
        async with LocalSandbox(engine=second, session_id=session) as box:
            (found,) = await box.animations.list()
            assert same(found, made)
            assert await found.artifact.aread() == content
            assert found.thumbnail is not None
            assert (await still(box)).execution == 2
            await box.delete()
    finally:
        second.close()


def same(one: Animation, other: Animation) -> bool:
    """But for where the files are, which is the engine's directory."""
    return {**vars(one), "artifact": one.artifact.id, "thumbnail": 0} == {
        **vars(other), "artifact": other.artifact.id, "thumbnail": 0,
    }  # fmt: skip


def test_the_same_without_async(manim: None) -> None:
    with sandbox.sync.LocalSandbox() as box:
        told: list[AnimationProgress] = []
        made = box.animations.create(DOT, "low_quality", format="png", on_progress=told.append)
        assert box.animations.list() == [made]
        assert told
        box.delete()


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_renders(box: LocalSandbox, name: str) -> None:
    made = await box.animations.create(EXAMPLES[name], "low_quality")
    video = decoded(await made.artifact.aread())
    assert len(video.pictures) == made.frames
    assert 2 < made.duration < 10
    extremes = video.pictures[int(0.9 * made.frames)].convert("L").getextrema()
    assert extremes[1] - extremes[0] > 100, "it shows something"


# --- arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"quality": "best"}, r"quality='best' is not one of 'low_quality', .*'fourk_quality'"),
        ({"format": "avi"}, r"format='avi' is not one of 'mp4', 'gif', 'webm', 'png'"),
        ({"scene_name": 3}, r"scene_name is 3, not a text"),
        ({"timeout": -2}, r"timeout"),
    ],
)
async def test_arguments_that_cannot_be(box: LocalSandbox, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        await box.animations.create(DOT, **arguments)  # type: ignore[arg-type]
    assert (await box.run("1")).number == 1, "nothing was run"


@pytest.mark.parametrize(("scenes", "said"), [("Dots", "must be 'all', or a list"), ([], "scenes is empty")])
async def test_names_of_scenes_are_a_list(box: LocalSandbox, scenes: object, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        await box.animations.render(DOT, "low_quality", scenes)  # type: ignore[arg-type]
