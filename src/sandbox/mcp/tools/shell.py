"""`shell_execute`: a line of shell, in the same sandbox as the session's Python."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct

from sandbox.errors import SandboxTimeoutError, UsageError
from sandbox.mcp import commands, fields
from sandbox.mcp.call import Call
from sandbox.mcp.commands import PLACES, Ran
from sandbox.mcp.reply import Reply, ToolError
from sandbox.mcp.tool import Hints, Tool

DESCRIPTION = """\
Run a line of shell (/bin/sh) in the same sandbox, with the same files, as the session's Python. Use it for \
programs: ls, grep, git, python script.py, compilers; pipes and && work. It does not see Python's variables; for \
those use execute. For servers and work of more than a minute use start_job.

It returns standard output and error and the exit code; a code other than 0 is not an error of the tool. \
Directory changes and shell variables end with the call. Programs are not filtered by name: the isolation (no \
network by default, no files of the user's machine, limits of memory, processes and disk) is what protects the \
user."""


class Shell(Struct, forbid_unknown_fields=True):
    """The arguments."""

    command: Annotated[str, Meta(description="A line of shell, such as: grep -c x data.csv | sort")]
    working_directory: Annotated[
        str, Meta(description="Where to run it, inside the sandbox: relative to the workspace, or such as /tmp.")
    ] = "."
    timeout: fields.Timeout = UNSET
    session_id: fields.SessionId = ""


async def _shell(call: Call, asked: Shell) -> Reply:
    async with call.session(asked.session_id) as held, call.progress() as progress:
        try:
            done = await held.box.command.shell(
                asked.command,
                cwd=asked.working_directory,
                timeout=call.seconds(asked.timeout),
                on_stdout=progress.printed,
                on_stderr=progress.printed,
            )
        except SandboxTimeoutError as error:
            done = error.execution  # type: ignore[assignment]
        except UsageError as error:
            raise ToolError(f"{error}. Programs see {PLACES}") from error
        return await commands.reply(call, held, done)


TOOL = Tool("shell_execute", "Run a shell command", DESCRIPTION, Shell, Ran, _shell, Hints(destructive=True))
