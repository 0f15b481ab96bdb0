"""`execute`: Python, in a session that keeps its variables."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct

from sandbox.mcp import executions, fields
from sandbox.mcp.call import Call
from sandbox.mcp.executions import Executed
from sandbox.mcp.reply import Reply
from sandbox.mcp.tool import Hints, Tool

DESCRIPTION = """\
Run Python code in an isolated session that keeps variables, imports and files from one call to the next, like a \
notebook. Use it for calculations, data analysis, plots and whatever Python does best; for programs use \
shell_execute, for work of more than a minute start_job.

It returns what was printed, the value of the last expression, and the traceback if the code raises (variables \
that were assigned before stay). Figures of matplotlib, plotly and altair are captured: call plt.show(), no \
savefig is needed. Files written below artifacts/ become artifacts with a URI; other files stay in the \
workspace, the current directory. Top-level await works. input() does not.

There is no network unless the server was started with it, and nothing of the user's machine is visible: bring \
data with write_file, see get_execution_info for the packages that there are. Every call is a checkpoint: \
restore_checkpoint undoes it."""


class Execute(Struct, forbid_unknown_fields=True):
    """The arguments."""

    code: Annotated[str, Meta(description="Python source, one statement or many. No Markdown fences.")]
    session_id: fields.SessionId = ""
    timeout: fields.Timeout = UNSET


async def _execute(call: Call, asked: Execute) -> Reply:
    async with call.session(asked.session_id, python=True) as held, call.progress() as progress:
        execution = await held.box.run(
            asked.code,
            timeout=call.seconds(asked.timeout),
            check=False,
            on_stdout=progress.printed,
            on_stderr=progress.printed,
        )
        return await executions.reply(call, held, execution)


TOOL = Tool("execute", "Run Python", DESCRIPTION, Execute, Executed, _execute, Hints(destructive=True))
