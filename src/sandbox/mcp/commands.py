"""A shell command as a tool answers it: for `shell_execute`, and for a job that runs one."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from sandbox import CommandExecution
from sandbox.mcp import fields
from sandbox.mcp.call import Call
from sandbox.mcp.executions import Cause, Changed, cause_of, changed, changes
from sandbox.mcp.reply import Reply
from sandbox.mcp.sessions import Held
from sandbox.mcp.text import cut

PLACES = (
    "the workspace, which is the current directory, /tmp, and the system's and the interpreter's files, read-only; "
    "nothing else of the machine, but for what the server was told to --mount"
)


class Ran(Struct, omit_defaults=True):
    """One command."""

    session_id: fields.AnsweredSession
    exit_code: Annotated[int, Meta(description="0 is success; negative is the signal that ended it.")]
    execution_time: Annotated[float, Meta(description="Seconds.")]
    stdout: str = ""
    stderr: str = ""
    output_uri: Annotated[str, Meta(description="Where all of the output can be read, if some is left out.")] = ""
    cause: Annotated[Cause | None, Meta(description="The limit that ended it; absent if none did.")] = None
    files: Annotated[Changed | None, Meta(description="What it did to files of the workspace, if anything.")] = None


async def reply(call: Call, held: Held, done: CommandExecution) -> Reply:
    """A command as data and as text. What it did to files is saved: it is no execution, which would do that."""
    if done.files:
        await held.box.checkpoint()
    both, address = call.shown(held, done.combined)
    data = Ran(
        session_id=held.name,
        exit_code=-1 if done.exit_code is None else done.exit_code,
        execution_time=round(done.execution_time, 4),
        stdout=cut(done.stdout),
        stderr=cut(done.stderr),
        output_uri=address,
        files=changed(done.files),
    )
    data.cause = cause_of(done)
    return Reply(data, _text(data, both, held.told()), failed=done.cause is not None)


def _text(data: Ran, outputs: str, news: str) -> str:
    lines = [outputs.rstrip("\n")] if outputs.strip() else []
    if data.cause is not None:
        lines.append(f"{data.cause.kind}: {data.cause.message}; {data.cause.remedy}")
    notes = [f"exit code {data.exit_code}, {data.execution_time:.3g} s, session {data.session_id}"]
    notes += changes(data.files)
    return "\n".join(lines + [f"[{note}]" for note in ([news] if news else []) + notes])
