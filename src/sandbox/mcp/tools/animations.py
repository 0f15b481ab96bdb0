"""`create_manim_animation`: videos of mathematics and diagrams. `list_artifacts` with kind=animation lists them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sandbox import AnimationProgress
from sandbox.mcp import animations, fields
from sandbox.mcp.animations import Animated
from sandbox.mcp.call import Call
from sandbox.mcp.jobs import Job, Work
from sandbox.mcp.reply import Reply
from sandbox.mcp.sessions import Held
from sandbox.mcp.tool import Hints, Tool

DESCRIPTION = """\
Render an animation with Manim (Community edition): videos that explain mathematics, algorithms or diagrams by \
moving shapes, text, graphs and formulas. Use it when the user wants an animated explanation; for a plot that \
stands still execute with matplotlib is enough, and quicker.

code is a whole file: `from manim import *`, then one class per scene that extends Scene (or MovingCameraScene, \
ThreeDScene) with a method construct. It sees the files of the workspace, and no variables of execute. MathTex \
and Tex need LaTeX, which is often missing; Text always works, and so does MathTypst("sum_(k=1)^n k").

Try with quality=low_quality, look at the thumbnail in the answer, then render the final one. The video is an \
artifact with a sandbox:// URI, and a file below artifacts/; list_artifacts with kind=animation lists what there \
is. Renderings of more than a minute: background=true, then the tool job."""


class CreateAnimation(Struct, forbid_unknown_fields=True):
    """The arguments."""

    code: Annotated[str, Meta(description="Python source that defines the scenes. No Markdown fences.")]
    quality: Annotated[
        Literal["low_quality", "medium_quality", "high_quality", "production_quality", "fourk_quality"],
        Meta(
            description=(
                "low_quality is 854x480 at 15 frames a second, medium_quality 1280x720 at 30, high_quality 1920x1080, "
                "production_quality 2560x1440 and fourk_quality 3840x2160 at 60. Each takes a few times as long."
            ),
            extra_json_schema={"type": "string"},
        ),
    ] = "medium_quality"
    scene_name: Annotated[
        str, Meta(description="The class to render, where the code has several. Leave it out if there is one.")
    ] = ""
    all_scenes: Annotated[bool, Meta(description="Render every scene of the code, a video for each.")] = False
    format: Annotated[
        Literal["mp4", "gif", "webm", "png"],
        Meta(description="The kind of file; png is the last frame as a picture.", extra_json_schema={"type": "string"}),
    ] = "mp4"
    background: Annotated[
        bool, Meta(description="Begin it as a job and return its job_id at once: ask for it with the tool job.")
    ] = False
    timeout: Annotated[float, Meta(gt=0, le=86_400, description="Seconds until it is stopped.")] = 300.0
    session_id: fields.SessionId = ""


async def _create(call: Call, asked: CreateAnimation) -> Reply:
    async with call.session(asked.session_id, alone=True) as held:
        if asked.background:
            return _begun(call, held, asked)
        async with call.progress() as progress:
            return await animations.rendered(
                call, held, _wanted(asked), lambda now: progress.step(animations.step(now))
            )


def _wanted(asked: CreateAnimation) -> animations.Wanted:
    return animations.Wanted(asked.code, asked.quality, asked.scene_name, asked.all_scenes, asked.format, asked.timeout)


def _begun(call: Call, held: Held, asked: CreateAnimation) -> Reply:
    job = Job(call.client, held, "manim", exclusive=True)
    job.start(_work(call, held, asked))
    call.server.jobs.add(job)
    text = f"[job {job.id} renders in session {held.name}: ask for it with the tool job]"
    return Reply(Animated(held.name, "running", job_id=job.id), text)


def _work(call: Call, held: Held, asked: CreateAnimation) -> Work:
    async def work(job: Job) -> Reply:
        def on_progress(now: AnimationProgress) -> None:
            job.printed(f"{animations.step(now)}\n")

        return await animations.rendered(call, held, _wanted(asked), on_progress)

    return work


TOOL = Tool(
    "create_manim_animation", "Render an animation", DESCRIPTION, CreateAnimation, Animated, _create,
    Hints(destructive=True),
)  # fmt: skip
