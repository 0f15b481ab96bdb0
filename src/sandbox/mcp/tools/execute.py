"""`execute`: Python or JavaScript, in a session that keeps its variables."""

from __future__ import annotations

from typing import Annotated, Literal

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

With language=javascript or typescript Node runs the code, in a session of its own beside the Python one: its \
session_id is in the answer, and names its workspace to the file tools. require and import find node_modules of \
that workspace, top-level await works, and display(value) shows values.

There is no network unless the server was started with it, and nothing of the user's machine is visible: bring \
data with write_file, see get_execution_info for the packages that there are. Every call is a checkpoint: \
restore_checkpoint undoes it."""


class Execute(Struct, forbid_unknown_fields=True):
    """The arguments."""

    code: Annotated[str, Meta(description="Source text, one statement or many. No Markdown fences.")]
    language: Annotated[
        Literal["python", "javascript", "typescript"],
        Meta(description="What code is.", extra_json_schema={"type": "string"}),
    ] = "python"
    session_id: fields.SessionId = ""
    timeout: fields.Timeout = UNSET


async def _execute(call: Call, asked: Execute) -> Reply:
    session = call.session(asked.session_id, alone=True, language=asked.language)
    async with session as held, call.progress() as progress:
        execution = await held.box.run(
            asked.code,
            language=asked.language,
            timeout=call.seconds(asked.timeout),
            check=False,
            on_stdout=progress.printed,
            on_stderr=progress.printed,
        )
        return await executions.reply(call, held, execution)


TOOL = Tool("execute", "Run code", DESCRIPTION, Execute, Executed, _execute, Hints(destructive=True))
