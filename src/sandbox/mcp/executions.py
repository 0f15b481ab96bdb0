"""An execution as a tool answers it: for `execute`, and for a job that runs Python."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sandbox import CommandExecution, Execution
from sandbox.mcp import artifacts, fields
from sandbox.mcp.artifacts import Described
from sandbox.mcp.call import Call
from sandbox.mcp.reply import Reply
from sandbox.mcp.sessions import Held
from sandbox.mcp.text import cut, listed
from sandbox.results import Files

_MOST_RESULT = 10_000
_MOST_TRACEBACK = 6000


class Error(Struct, omit_defaults=True):
    """What the code raised."""

    type: str
    message: str
    traceback: str = ""


class Cause(Struct, omit_defaults=True):
    """Which limit it met."""

    kind: Annotated[str, Meta(description="timeout, memory, processes, disk, output, crashed or denied.")]
    message: str
    remedy: Annotated[str, Meta(description="What to change.")]


class Changed(Struct, omit_defaults=True):
    """Files of the workspace."""

    created: list[str] = []
    modified: list[str] = []
    deleted: list[str] = []


class Executed(Struct, omit_defaults=True):
    """One execution."""

    session_id: fields.AnsweredSession
    execution: Annotated[int, Meta(description="Its number in the session; restore_checkpoint can go back to it.")]
    status: Literal["ok", "error", "interrupted", "timeout", "limit", "killed", "crashed"]
    execution_time: Annotated[float, Meta(description="Seconds.")]
    state: Annotated[
        Literal["kept", "restored", "lost"],
        Meta(
            description=(
                "What became of the variables: kept; restored, which is as they were before this execution, since it "
                "killed the process; or lost."
            )
        ),
    ]
    restored_to: Annotated[int, Meta(description="The execution whose variables there are, if restored.")] = 0
    stdout: str = ""
    stderr: str = ""
    output_uri: Annotated[str, Meta(description="Where all of the output can be read, if some is left out.")] = ""
    result: Annotated[str, Meta(description="The value of the last expression, as text.")] = ""
    error: Annotated[Error | None, Meta(description="What the code raised; absent if it did not.")] = None
    cause: Annotated[Cause | None, Meta(description="The limit it met; absent if it met none.")] = None
    lost_names: Annotated[list[str], Meta(description="Variables that will not survive a restart.")] = []
    artifacts: list[Described] = []
    files: Annotated[Changed | None, Meta(description="What it did to files of the workspace, if anything.")] = None
    warnings: list[str] = []


async def reply(call: Call, held: Held, execution: Execution) -> Reply:
    """An execution as data, as text, and with its images."""
    data, outputs = _data(call, held, execution)
    blocks = await artifacts.content(held.name, execution.artifacts)
    return Reply(data, _text(data, outputs, held.told()), blocks, failed=not execution.ok)


def _data(call: Call, held: Held, done: Execution) -> tuple[Executed, str]:
    """As data, and what it printed on both streams in order."""
    both, address = call.shown(held, done.combined)
    data = Executed(
        session_id=held.name,
        execution=done.number,
        status=done.status,  # type: ignore[arg-type]
        execution_time=round(done.execution_time, 4),
        state=str(done.state),  # type: ignore[arg-type]
        restored_to=done.state.restored_to or 0,
        stdout=cut(done.stdout),
        stderr=cut(done.stderr),
        output_uri=address,
        result=cut(done.text or "", _MOST_RESULT),
        artifacts=[artifacts.described(held.name, one) for one in done.artifacts],
        files=changed(done.files),
        lost_names=list(done.state.lost_names),
        warnings=list(done.warnings),
    )
    if done.exception is not None:
        shown = cut(done.exception.traceback, _MOST_TRACEBACK)
        data.error = Error(done.exception.error_type, cut(done.exception.message, _MOST_TRACEBACK), shown)
    data.cause = cause_of(done)
    return data, both


def cause_of(done: Execution | CommandExecution) -> Cause | None:
    """The limit that it met, as data."""
    return None if done.cause is None else Cause(str(done.cause), done.cause.message, done.cause.remedy)


def _text(data: Executed, outputs: str, news: str) -> str:
    parts = [outputs.rstrip("\n"), data.result, _failure(data), _notes(data, news)]
    return "\n".join(part for part in parts if part)


def _failure(data: Executed) -> str:
    """Why it failed, and what to do."""
    lines = []
    if data.error is not None:
        lines.append(data.error.traceback.rstrip() or f"{data.error.type}: {data.error.message}")
    if data.cause is not None:
        lines.append(f"{data.cause.kind}: {data.cause.message}; {data.cause.remedy}")
    return "\n".join(lines)


def _notes(data: Executed, news: str) -> str:
    """What there is to say beside the output, in square brackets so that nothing of it passes for output."""
    notes = [f"execution {data.execution}, {data.status}, {data.execution_time:.3g} s, session {data.session_id}"]
    if data.state == "restored":
        notes.append(f"the process was ended: the variables are those of execution {data.restored_to}")
    elif data.state == "lost":
        notes.append("the process was ended, and the variables are lost")
    if data.lost_names:
        notes.append(f"will not survive a restart: {listed(data.lost_names)}")
    notes += changes(data.files)
    notes += [f"artifact {artifacts.line(one)}" for one in data.artifacts[:20]]
    notes += data.warnings[:10]
    return "\n".join(f"[{note}]" for note in ([news] if news else []) + notes)


def changed(files: Files) -> Changed | None:
    """What was done to files, as data; None for nothing."""
    return Changed(list(files.created), list(files.modified), list(files.deleted)) if files else None


def changes(files: Changed | None) -> list[str]:
    """The same in words."""
    kinds = ("created", "modified", "deleted")
    return [f"{kind}: {listed(names)}" for kind in kinds if (names := getattr(files, kind, []))]
