"""What goes wrong is told in the words of who wrote the code: the scenes there are, their line, what to do."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest
from tests.animations.conftest import DOT, HALVES, Make, still

from sandbox import (
    LocalSandbox,
    SandboxCrashedError,
    SandboxExecutionError,
    SandboxInterruptedError,
    SandboxLimitError,
    SandboxTimeoutError,
)
from sandbox.engine.thread import EngineThread

_BASE = Path(sys.base_prefix)
_HAS_MANIM = bool(list(_BASE.glob("lib/python*/site-packages/manim")))
SCENE = "from manim import *\nclass Demo(Scene):\n    def construct(self):\n        {body}\n"


async def fails(box: LocalSandbox, code: str, **options: object) -> SandboxExecutionError:
    with pytest.raises(SandboxExecutionError) as caught:
        await box.animations.create(code, "low_quality", **options)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("code", "options", "kind", "said"),
    [
        (DOT, {"scene_name": "Dot"}, "SceneNotFound", "the code has no scene Dot; it has: Dots"),
        (DOT + DOT.replace("Dots", "More"), {}, "SceneAmbiguous", "the code has several scenes: Dots, More. Name one"),
        ("from manim import *\nx = Circle", {}, "NoScene", "define a class, such as `class Demo(Scene)`"),
        (DOT, {"format": "mp4"}, "NothingToShow", "Dots plays no animation, so there is no mp4 of it: add self.play"),
    ],
    ids=["a name that there is not", "several", "none", "nothing moves"],
)
async def test_scenes_that_there_are_not(
    box: LocalSandbox, code: str, options: dict[str, str], kind: str, said: str
) -> None:
    error = await fails(box, code, **options)
    assert (error.error_type, error.traceback) == (kind, "")
    assert said in str(error)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("self.play(Create(Cirle()))", "NameError", "name 'Cirle' is not defined"),
        ("self.play(Create('x'))", "TypeError", "Create only works for VMobjects."),
        ("self.play(Circle().animate.turn(RIGHT))", "AttributeError", "'turn'"),
    ],
)
async def test_an_error_shows_the_users_line_and_nothing_of_manim(
    box: LocalSandbox, body: str, kind: str, message: str
) -> None:
    error = await fails(box, SCENE.format(body=body))
    assert error.error_type == kind
    assert message in str(error)
    lines = error.traceback.splitlines()
    assert [line.strip() for line in lines if line.startswith("  File")] == ['File "<animation>", line 4, in construct']
    assert body in error.traceback
    assert lines[-1].startswith(f"{kind}: ")


async def test_an_error_in_a_module_of_the_workspace_shows_its_line_too(box: LocalSandbox) -> None:
    await box.files.write("shapes.py", "def shape():\n    return 1 / 0\n")
    error = await fails(box, SCENE.format(body="from shapes import shape; self.add(shape())"))
    places = [line.strip() for line in error.traceback.splitlines() if line.startswith("  File")]
    assert len(places) == 2
    assert places[0] == 'File "<animation>", line 4, in construct'
    assert places[1].endswith('shapes.py", line 2, in shape')


async def test_a_syntax_error_shows_its_line(box: LocalSandbox) -> None:
    error = await fails(box, "from manim import *\nclass Demo(Scene:\n    pass\n")
    assert error.error_type == "SyntaxError"
    assert 'File "<animation>", line 2' in error.traceback


@pytest.mark.skipif(shutil.which("latex") is not None, reason="LaTeX is installed")
async def test_without_latex_it_says_what_works_and_what_to_install(box: LocalSandbox) -> None:
    error = await fails(box, SCENE.format(body="self.add(MathTex('x'))"))
    assert error.error_type == "LatexMissing"
    assert "Text and MathTypst work without it" in str(error)
    assert "apt-get install texlive-latex-base" in str(error)
    assert 'File "<animation>", line 4, in construct' in error.traceback
    assert "subprocess" not in error.traceback


async def test_code_for_the_other_manim_is_told_of_this_one(box: LocalSandbox) -> None:
    error = await fails(box, "from manimlib import *\n")
    assert "from manim import *" in error.traceback


async def test_the_scenes_before_a_failure_are_there(box: LocalSandbox) -> None:
    code = DOT + DOT.replace("Dots", "Later").replace("self.add", "1 / 0; self.add")
    execution = await box.animations.render(code, "low_quality", format="png", check=False)
    assert execution.exception is not None
    assert execution.exception.error_type == "ZeroDivisionError"
    assert [one.scene for one in execution.animations] == ["Dots"]
    assert [one.scene for one in await box.animations.list()] == ["Dots"]


@pytest.mark.skipif(
    Path("/usr") == _BASE or bool(list(_BASE.glob("lib/python*/site-packages/manim"))), reason="has Manim"
)
async def test_where_manim_is_not_installed_its_extra_is_named(own_engine: EngineThread) -> None:
    python = _BASE / "bin" / f"python3.{sys.version_info.minor}"
    async with LocalSandbox(engine=own_engine, environment=python) as box:
        error = await fails(box, DOT)
        assert error.error_type == "ManimMissing"
        assert "pip install 'enhanced-sandbox[manim]'" in str(error)
        assert "libcairo2-dev libpango1.0-dev pkg-config" in str(error)
        await box.delete()


# --- limits ---------------------------------------------------------------------------------------------------------


async def test_a_time_limit_ends_it_and_the_session_goes_on(box: LocalSandbox) -> None:
    await box.run("x = 1")
    with pytest.raises(SandboxTimeoutError, match=r"did not end in 0.5 s") as caught:
        await box.animations.create(SCENE.format(body="while True: self.wait(0.1)"), "low_quality", timeout=0.5)
    assert (caught.value.timeout, caught.value.execution.cause, caught.value.execution.state) == (
        0.5,
        "timeout",
        "kept",
    )
    assert (await box.run("x")).text == "1"
    assert (await still(box)).scene == "Dots"


async def test_memory_that_there_is_not_is_the_cause(box: LocalSandbox) -> None:
    error = await fails(box, SCENE.format(body="self.data = bytearray(2 << 30)"))
    assert (error.error_type, error.execution.cause) == ("MemoryError", "memory")
    assert error.execution.cause is not None
    assert error.execution.cause.limit == 1024
    assert "line 4, in construct" in error.traceback


async def test_memory_that_no_allocation_fails_for_ends_it(make: Make, manim: None) -> None:
    """Shared pages count when they are written: the kernel ends it, or the engine where no control group counts."""
    eats = "import mmap\nm = mmap.mmap(-1, 2 << 30)\nfor at in range(0, len(m), 4096): m[at] = 1"
    async with make(memory=600) as box:
        await box.run("x = 1")
        with pytest.raises(SandboxLimitError) as caught:
            await box.animations.create(eats, "low_quality")
        assert (caught.value.execution.status, caught.value.execution.cause) == ("killed", "memory")
        assert (await box.run("x")).text == "1"
        await box.delete()


async def test_a_disk_that_is_full_is_the_cause(make: Make, manim: None) -> None:
    async with make(disk=20) as box:
        fill = "open('big', 'wb').truncate(30 << 20)"
        error = await fails(box, SCENE.format(body=fill))
        assert error.execution.cause == "disk"
        await box.delete()


async def test_output_is_cut_and_said_to_be(make: Make, manim: None) -> None:
    async with make(output=0.1) as box:
        execution = await box.animations.render("print('x' * 300_000)\n" + DOT, "low_quality", format="png")
        assert (execution.ok, execution.truncated, execution.cause) == (True, ("stdout",), "output")
        assert len(execution.stdout) <= 100_000
        await box.delete()


# --- interrupted ----------------------------------------------------------------------------------------------------

ENDLESS = SCENE.format(body="self.play(FadeIn(Circle()), run_time=0.2)\n        while True: self.wait(0.1)")


async def test_interrupting_it_raises_at_the_users_line(box: LocalSandbox) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(box.animations.create(ENDLESS, "low_quality", on_progress=lambda _now: begun.set()))
    await asyncio.wait_for(begun.wait(), 30)
    await box.interrupt()
    with pytest.raises(SandboxInterruptedError) as caught:
        await task
    assert caught.value.execution.status == "interrupted"
    assert caught.value.execution.cause is None
    assert (await box.run("1")).text == "1"


async def test_cancelling_it_ends_it_and_the_session_goes_on(box: LocalSandbox, engine: EngineThread) -> None:
    await box.run("x = 1")
    begun = asyncio.Event()
    task = asyncio.create_task(box.animations.create(ENDLESS, "low_quality", on_progress=lambda _now: begun.set()))
    await asyncio.wait_for(begun.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await box.run("x")).text == "1"
    assert box.get_execution_history(2)[1]["status"] == "interrupted"
    assert not engine._engine.sessions.known(box.session_id).commands


async def test_code_that_refuses_to_be_interrupted_is_ended_when_cancelled(box: LocalSandbox) -> None:
    begun = asyncio.Event()
    code = (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('begun')\nwhile True: time.sleep(1)"
    )
    task = asyncio.create_task(box.animations.create(code, on_stdout=lambda _text: begun.set()))
    await asyncio.wait_for(begun.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await box.run("1")).text == "1"


async def test_code_that_ends_its_process_has_crashed(box: LocalSandbox) -> None:
    with pytest.raises(SandboxCrashedError, match="the rendering ended by itself with exit code 3"):
        await box.animations.create("import os\nos._exit(3)")
    with pytest.raises(SandboxCrashedError, match="the rendering died from SIGSEGV"):
        await box.animations.create("import ctypes\nctypes.string_at(0)")
    assert (await still(box)).scene == "Dots"


async def test_a_halves_video_after_all(box: LocalSandbox) -> None:
    """Whatever went wrong before leaves nothing in the way of the next."""
    await fails(box, SCENE.format(body="self.play(FadeIn(Circle()), run_time=0.2); 1 / 0"))
    assert (await box.animations.create(HALVES, "low_quality")).frames == 15
