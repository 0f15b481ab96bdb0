"""`list_artifacts` and `cleanup_artifacts`: what executions have produced."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sandbox import Artifact
from sandbox.mcp import animations, artifacts, fields
from sandbox.mcp.animations import Shown
from sandbox.mcp.artifacts import Described
from sandbox.mcp.call import Call
from sandbox.mcp.reply import Reply
from sandbox.mcp.resources import artifacts_of
from sandbox.mcp.sessions import Held
from sandbox.mcp.text import size
from sandbox.mcp.tool import Hints, Tool

_MOST = 200

LIST = """\
List the artifacts of a session, oldest first: the figures that were shown and the files that were written below \
artifacts/, with the execution that made each; with kind=animation those of create_manim_animation, with duration \
and size. Use it to find what earlier work has produced. An artifact is a copy: it stays as it was made, also when \
the file is changed later. Read one with read_file and its URI; for all other files see list_files."""

CLEAN = """\
Remove artifacts of a session for good: all of them, or only those of a kind, of an age, or both. It says what \
it removed. Use it when the user asks for it or when a warning says that there is no room. The files of the \
workspace that they are copies of stay; remove those with execute or shell_execute."""


class ListArtifacts(Struct, forbid_unknown_fields=True):
    """The arguments."""

    kind: Annotated[
        Literal["all", "image", "video", "audio", "text", "other", "animation"],
        Meta(
            description="Which to list, by their MIME type; animation is what create_manim_animation has made.",
            extra_json_schema={"type": "string"},
        ),
    ] = "all"
    session_id: fields.SessionId = ""


class Artifacts(Struct, omit_defaults=True):
    """What there is."""

    session_id: fields.AnsweredSession
    artifacts: list[Described]
    left_out: Annotated[int, Meta(description="How many older ones are not listed.")] = 0
    animations: Annotated[
        list[Shown], Meta(description="Of kind=animation: size, duration and thumbnail of each.")
    ] = []


async def _list(call: Call, asked: ListArtifacts) -> Reply:
    async with call.session(asked.session_id) as held:
        if asked.kind == "animation":
            return await _list_animations(held)
        every = [one for one in await artifacts_of(held) if asked.kind in {"all", kind(one)}]
        shown = [artifacts.described(held.name, one) for one in every[-_MOST:]]
        data = Artifacts(held.name, shown, max(len(every) - _MOST, 0))
        older = [f"[and {data.left_out} older ones]"] if data.left_out else []
        lines = [*older, *map(artifacts.line, shown)]
        what = "artifacts" if asked.kind == "all" else f"artifacts of the kind {asked.kind}"
        return Reply(data, "\n".join(lines) or f"[the session {held.name} has no {what}]")


async def _list_animations(held: Held) -> Reply:
    every = await held.box.animations.list()
    last = every[-_MOST:]
    shown = [animations.shown(held.name, one) for one in last]
    files = [artifacts.described(held.name, one.artifact) for one in last]
    text = "\n".join(map(animations.line, shown)) or f"[the session {held.name} has no animations]"
    return Reply(Artifacts(held.name, files, max(len(every) - _MOST, 0), shown), text)


class CleanArtifacts(Struct, forbid_unknown_fields=True):
    """The arguments."""

    kind: Annotated[
        Literal["all", "image", "video", "audio", "text", "other"],
        Meta(description="Which to remove, by their MIME type.", extra_json_schema={"type": "string"}),
    ] = "all"
    older_than_hours: Annotated[float, Meta(ge=0, description="Only those that are at least this old.")] = 0.0
    session_id: fields.SessionId = ""


class Cleaned(Struct, omit_defaults=True):
    """What was removed."""

    session_id: fields.AnsweredSession
    removed: list[str]
    bytes: Annotated[int, Meta(description="How much the removed ones had.")]
    kept: Annotated[int, Meta(description="How many artifacts there still are.")]


async def _clean(call: Call, asked: CleanArtifacts) -> Reply:
    before = datetime.now(UTC) - timedelta(hours=asked.older_than_hours)
    async with call.session(asked.session_id, alone=True) as held:
        every = await artifacts_of(held)
        wanted = [one for one in every if one.created_at <= before and asked.kind in {"all", kind(one)}]
        removed = await asyncio.to_thread(held.box.remove_artifacts, wanted)
        total = sum(one.size for one in removed)
        data = Cleaned(held.name, [one.id for one in removed], total, len(every) - len(removed))
        heading = f"[removed {len(removed)} artifacts with {size(total)}, {data.kept} are left, session {held.name}]"
        return Reply(data, "\n".join([heading, *data.removed[:_MOST]]))


def kind(one: Artifact) -> str:
    """What kind an artifact is of."""
    first = one.mime.partition("/")[0]
    return first if first in {"image", "video", "audio", "text"} else "other"


TOOLS = (
    Tool(
        "list_artifacts", "List artifacts", LIST, ListArtifacts, Artifacts, _list,
        Hints(read_only=True, idempotent=True),
    ),
    Tool(
        "cleanup_artifacts", "Remove artifacts", CLEAN, CleanArtifacts, Cleaned, _clean,
        Hints(destructive=True, idempotent=True),
    ),
)  # fmt: skip
