"""The tools, in the order in which clients list them."""

from __future__ import annotations

from sandbox.mcp.tool import Tool
from sandbox.mcp.tools import animations, artifacts, execute, files, info, jobs, shell, timeline, web

TOOLS: tuple[Tool, ...] = (
    execute.TOOL,
    shell.TOOL,
    animations.TOOL,
    *files.TOOLS,
    *artifacts.TOOLS,
    *timeline.TOOLS,
    *jobs.TOOLS,
    *web.TOOLS,
    info.TOOL,
)
