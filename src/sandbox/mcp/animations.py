"""Animations as tools answer them: for `create_manim_animation`, for a job that renders, and in lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

from mcp_types import ContentBlock
from msgspec import Meta, Struct

from sandbox import Animation, AnimationProgress, Execution
from sandbox.mcp import artifacts, fields, uris
from sandbox.mcp.artifacts import described
from sandbox.mcp.call import Call
from sandbox.mcp.executions import Cause, Error, cause_of
from sandbox.mcp.reply import Reply
from sandbox.mcp.sessions import Held
from sandbox.mcp.text import cut, size

_MOST_TRACEBACK = 6000
_MOST_SHOWN = 4


class Shown(Struct, omit_defaults=True):
    """One scene."""

    scene: str
    uri: Annotated[str, Meta(description="The video or picture, to be read as a resource.")]
    mime_type: str
    size: Annotated[int, Meta(description="Bytes.")]
    width: int
    height: int
    fps: float
    frames: int
    duration: Annotated[float, Meta(description="Seconds; 0 of a picture.")]
    animations: Annotated[int, Meta(description="How many the scene plays.")]
    quality: str
    file: Annotated[str, Meta(description="Where it lies in the workspace, until it is rendered again.")]
    thumbnail_uri: Annotated[str, Meta(description="A small picture of it; read_file shows it.")] = ""


class Animated(Struct, omit_defaults=True):
    """A rendering."""

    session_id: fields.AnsweredSession
    status: Annotated[
        Literal["ok", "error", "interrupted", "timeout", "killed", "crashed", "running"],
        Meta(description="running is a job that has begun.", extra_json_schema={"type": "string"}),
    ]
    execution: Annotated[int, Meta(description="Its number in the session's timeline.")] = 0
    execution_time: Annotated[float, Meta(description="Seconds.")] = 0.0
    animations: Annotated[list[Shown], Meta(description="What was rendered, also before a failure.")] = []
    stdout: str = ""
    stderr: str = ""
    error: Annotated[Error | None, Meta(description="What the code raised; absent if it did not.")] = None
    cause: Annotated[Cause | None, Meta(description="The limit it met; absent if it met none.")] = None
    warnings: list[str] = []
    job_id: Annotated[str, Meta(description="Of background=true: pass it to the tool job.")] = ""


class Wanted(NamedTuple):
    """What to render."""

    code: str
    quality: str
    scene_name: str
    all_scenes: bool
    format: str
    timeout: float


async def rendered(call: Call, held: Held, wanted: Wanted, on_progress: Callable[[AnimationProgress], None]) -> Reply:
    """Render; answer as data and as text, with thumbnails to look at and links to the videos."""
    done = await held.box.animations.render(
        wanted.code,
        wanted.quality,
        _scenes(wanted),
        wanted.format,
        timeout=wanted.timeout,
        check=False,
        on_progress=on_progress,
    )
    data = _data(held, done)
    return Reply(data, _text(data, held.told()), await _content(held.name, done.animations), failed=not done.ok)


def _scenes(wanted: Wanted) -> list[str] | str | None:
    if wanted.scene_name:
        return [wanted.scene_name]
    return "all" if wanted.all_scenes else None


def step(now: AnimationProgress) -> str:
    """How far it is, in words."""
    of_many = f" ({now.number} of {now.scenes})" if now.scenes > 1 else ""
    if not now.animation:
        return f"{now.scene}{of_many}: begins"
    return f"{now.scene}{of_many}: animation {now.animation}, {now.name}, {now.frames} frames so far"


def shown(session: str, one: Animation) -> Shown:
    """An animation as data."""
    file = described(session, one.artifact)
    return Shown(
        scene=one.scene, uri=file.uri, mime_type=file.mime_type, size=file.size, width=one.width, height=one.height,
        fps=round(one.fps, 3), frames=one.frames, duration=round(one.duration, 3), animations=one.animations,
        quality=one.quality, file=f"artifacts/{file.name}",
        thumbnail_uri="" if one.thumbnail is None else uris.artifact(session, one.thumbnail.id),
    )  # fmt: skip


def line(one: Shown) -> str:
    """An animation in a line of text."""
    length = f"{one.duration:g} s, {one.frames} frames, " if one.duration else ""
    return f"{one.scene}: {one.uri}  ({one.mime_type}, {one.width}x{one.height}, {length}{size(one.size)})"


async def _content(session: str, every: list[Animation]) -> tuple[ContentBlock, ...]:
    """The first ones to look at, and links to all."""
    pictures = [one.artifact if one.artifact.mime == "image/png" else one.thumbnail for one in every[:_MOST_SHOWN]]
    looked_at = await artifacts.content(session, [one for one in pictures if one is not None])
    links = [artifacts.link(described(session, one.artifact)) for one in every]
    return (*(block for block in looked_at if block.type == "image"), *links)


def _data(held: Held, done: Execution) -> Animated:
    data = Animated(
        session_id=held.name,
        status=done.status,  # type: ignore[arg-type]
        execution=done.number,
        execution_time=round(done.execution_time, 3),
        animations=[shown(held.name, one) for one in done.animations],
        stdout=cut(done.stdout),
        stderr=cut(done.stderr),
        warnings=list(done.warnings),
    )
    if done.exception is not None:
        trace = cut(done.exception.traceback, _MOST_TRACEBACK)
        data.error = Error(done.exception.error_type, cut(done.exception.message, _MOST_TRACEBACK), trace)
    data.cause = cause_of(done)
    return data


def _text(data: Animated, news: str) -> str:
    parts = [data.stdout.rstrip("\n"), data.stderr.rstrip("\n")]
    if data.error is not None:
        parts.append(data.error.traceback.rstrip() or f"{data.error.type}: {data.error.message}")
    if data.cause is not None:
        parts.append(f"{data.cause.kind}: {data.cause.message}; {data.cause.remedy}")
    notes = [f"execution {data.execution}, {data.status}, {data.execution_time:.3g} s, session {data.session_id}"]
    notes += [line(one) for one in data.animations] + data.warnings[:10]
    parts += [f"[{note}]" for note in ([news] if news else []) + notes]
    return "\n".join(part for part in parts if part)
