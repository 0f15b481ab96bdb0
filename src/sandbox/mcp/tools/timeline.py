"""`session_timeline`, `restore_checkpoint` and `fork_session`: every execution can be gone back to and begun from."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Any

from msgspec import Meta, Struct

from sandbox import Checkpoint, CheckpointNotFound, SessionExists, Variable
from sandbox.mcp import fields
from sandbox.mcp.call import Call
from sandbox.mcp.reply import Reply, ToolError
from sandbox.mcp.sessions import Held
from sandbox.mcp.text import size
from sandbox.mcp.tool import Hints, Tool

_MOST_CODE, _MOST_VARIABLES, _MOST_TEXT = 300, 100, 80

TIMELINE = """\
Show what a session has been through and what it has now: its last executions with their code and how each \
ended, which of them can be gone back to, and its variables with types and sizes. Use it to find your place in a \
session that goes on from before, and to choose an execution for restore_checkpoint. It runs nothing."""

RESTORE = """\
Go back in a session: variables and files of the workspace become what they were right after the given \
execution. Use it when code has broken something that is hard to repair, or to try another way from an earlier \
point. Later executions stay in the timeline, so that you can also go forward again. Programs and threads that \
run end, web apps begin again. To keep where you are and try something beside it, use fork_session."""

FORK = """\
Make a new session that begins with the variables, files and history of another one, and is independent from \
there on. Use it to try alternatives side by side or to do something risky: the original stays as it is, and \
nothing has to be undone with restore_checkpoint. Then pass the new session_id to the other tools."""


class Timeline(Struct, forbid_unknown_fields=True):
    """The arguments."""

    limit: Annotated[int, Meta(ge=1, le=200, description="How many executions, the last ones.")] = 20
    session_id: fields.SessionId = ""


class Past(Struct, omit_defaults=True):
    """One execution of the past."""

    execution: int
    status: str
    code: Annotated[str, Meta(description="Its beginning, if it is long.")]
    started_at: str
    execution_time: float
    restorable: Annotated[bool, Meta(description="Whether restore_checkpoint can go back to it.")]
    error: str = ""
    label: str = ""


class Named(Struct, omit_defaults=True):
    """A variable."""

    name: str
    type: str
    size: Annotated[int, Meta(description="Bytes.")]
    execution: Annotated[int, Meta(description="The execution that changed it last.")]
    shape: list[int] = []
    text: Annotated[str, Meta(description="What it looks like, of small ones.")] = ""
    lost: Annotated[str, Meta(description="Why it will not survive a restart.")] = ""


class Told(Struct, omit_defaults=True):
    """A session's past and present."""

    session_id: fields.AnsweredSession
    current: Annotated[int, Meta(description="The execution whose state the session has now; 0 is the beginning.")]
    executions: Annotated[list[Past], Meta(description="The oldest of them first.")]
    variables: list[Named]


async def _timeline(call: Call, asked: Timeline) -> Reply:
    async with call.session(asked.session_id) as held:
        history = await asyncio.to_thread(held.box.get_execution_history, asked.limit)
        made = await asyncio.to_thread(held.box.checkpoints)
        told = Told(held.name, current(made), _past(history, made), await _variables(held))
        return Reply(told, _text(told))


def current(made: list[Checkpoint]) -> int:
    """The execution whose state the session has. Checkpoints of files alone lie on top of one."""
    by_number = {one.number: one for one in made}
    at = next((one for one in made if one.current), None)
    while at is not None and at.execution is None:
        at = by_number.get(at.parent)
    return 0 if at is None else at.execution or 0


def _past(history: list[dict[str, Any]], made: list[Checkpoint]) -> list[Past]:
    labels = {one.execution: one.label or "" for one in made if one.execution is not None}
    return [
        Past(
            execution=one["number"],
            status=one["status"],
            code=one["code"][:_MOST_CODE],
            started_at=one["timestamp"],
            execution_time=round(one["execution_time"], 4),
            restorable=one["number"] in labels,
            error=f"{one['error_type']}: {one['error']}"[:_MOST_CODE] if one["error_type"] else "",
            label=labels.get(one["number"], ""),
        )
        for one in reversed(history)
    ]


async def _variables(held: Held) -> list[Named]:
    found = await asyncio.to_thread(held.box.variables)
    return [_named(one) for one in found[:_MOST_VARIABLES]]


def _named(one: Variable) -> Named:
    text = (one.text or "")[:_MOST_TEXT]
    return Named(one.name, one.type, one.size, one.since, list(one.shape or ()), text, one.lost or "")


def _text(told: Told) -> str:
    lines = [f"[session {told.session_id}, as of execution {told.current}]"]
    for one in told.executions:
        first, *more = one.code.strip().splitlines() or [""]
        mark = "*" if one.execution == told.current else " "
        ended = one.error or one.status
        lines.append(f"{mark} {one.execution}: {first}{' ...' if more else ''}  -> {ended}")
    lines.append("[variables]" if told.variables else "[no variables]")
    lines += [_variable_line(one) for one in told.variables]
    return "\n".join(lines)


def _variable_line(one: Named) -> str:
    shape = f" {tuple(one.shape)}" if one.shape else ""
    lost = f"  [will not survive a restart: {one.lost}]" if one.lost else ""
    return f"  {one.name}: {one.type}{shape}, {size(one.size)}{f', {one.text}' if one.text else ''}{lost}"


class Restore(Struct, forbid_unknown_fields=True):
    """The arguments."""

    execution: Annotated[
        int,
        Meta(ge=0, description="The number of the execution to go back to; 0 is the beginning, with nothing in it."),
    ]
    session_id: fields.SessionId = ""


class Restored(Struct, omit_defaults=True):
    """Where the session is now."""

    session_id: fields.AnsweredSession
    execution: Annotated[int, Meta(description="The execution whose state the session has now.")]
    variables: list[Named]


async def _restore(call: Call, asked: Restore) -> Reply:
    async with call.session(asked.session_id, alone=True) as held:
        try:
            await held.box.rollback(asked.execution)
        except CheckpointNotFound as error:
            raise ToolError(f"{error}. session_timeline shows the executions that can be gone back to") from error
        restored = Restored(held.name, asked.execution, await _variables(held))
        heading = f"[session {held.name} is as it was after execution {asked.execution}]"
        return Reply(restored, "\n".join([heading, *map(_variable_line, restored.variables)]))


class Fork(Struct, forbid_unknown_fields=True):
    """The arguments."""

    new_session_id: Annotated[
        str, Meta(description="What the new session is to be called; a name is made up if left out.")
    ] = ""
    session_id: fields.SessionId = ""


class Forked(Struct):
    """The new session."""

    session_id: Annotated[str, Meta(description="The new session; pass it to the other tools.")]
    forked_from: str
    execution: Annotated[int, Meta(description="The execution that both have in common.")]


async def _fork(call: Call, asked: Fork) -> Reply:
    async with call.session(asked.session_id, alone=True) as held:
        name = asked.new_session_id or f"{held.name[:100]}-fork-{secrets.token_hex(3)}"
        await call.server.sessions.make_room()
        try:
            (box,) = await held.box.fork(session_id=call.client.stored_id(name))
        except SessionExists as error:
            raise ToolError(f"there is a session {name!r} already: choose another new_session_id") from error
        call.server.sessions.add(call.client, name, box)
        made = Forked(name, held.name, current(await asyncio.to_thread(held.box.checkpoints)))
        return Reply(made, f"[the session {name} begins where {held.name} is now, at execution {made.execution}]")


TOOLS = (
    Tool(
        "session_timeline", "Show a session's past", TIMELINE, Timeline, Told, _timeline,
        Hints(read_only=True, idempotent=True),
    ),
    Tool(
        "restore_checkpoint", "Go back in a session", RESTORE, Restore, Restored, _restore,
        Hints(destructive=True, idempotent=True),
    ),
    Tool("fork_session", "Fork a session", FORK, Fork, Forked, _fork, Hints()),
)  # fmt: skip
