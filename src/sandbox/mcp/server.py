"""The server: what the protocol asks for, answered from the tables of tools, resources and prompts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)

import sandbox
from sandbox import LocalSandbox, SandboxOptions
from sandbox.errors import SandboxError
from sandbox.mcp import prompts, resources
from sandbox.mcp.call import Call, Everything
from sandbox.mcp.clients import Client
from sandbox.mcp.guide import INSTRUCTIONS
from sandbox.mcp.jobs import Jobs
from sandbox.mcp.outputs import Outputs
from sandbox.mcp.progress import Notify
from sandbox.mcp.reply import ToolError, failure
from sandbox.mcp.sessions import HOLDING, OF_NODE, OF_PYTHON, Holding, Sessions
from sandbox.mcp.tools import TOOLS

Who = Callable[[Any], Client]
"""Tells, from the context of a request, which client it comes from."""

_TOOLS = {tool.name: tool for tool in TOOLS}


class SandboxServer:
    """Everything that is one server, whatever carries it. `engine`: the one that its sandboxes are of."""

    def __init__(self, options: SandboxOptions, who: Who, engine: Any = None, holding: Holding = HOLDING) -> None:
        def make(stored_id: str, language: str | None) -> LocalSandbox:
            wanted = options
            if language not in OF_PYTHON or stored_id.endswith(OF_NODE):
                wanted = options.but(language=language, environment=None, seed=None)  # those of the server are Python's
            return LocalSandbox(wanted, session_id=stored_id, engine=engine)

        self._who = who
        sessions = Sessions(make, holding)
        self.has = Everything(sessions, Jobs(), Outputs(), options)
        self.protocol: Server[Any] = Server(
            "sandbox",
            version=sandbox.__version__,
            title="Sandbox",
            description="Isolated, stateful sessions of Python and shell.",
            instructions=INSTRUCTIONS,
            lifespan=self._life,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
        )

    @asynccontextmanager
    async def _life(self, _server: Server[Any]) -> AsyncIterator[dict[str, Any]]:
        tidying = asyncio.get_running_loop().create_task(self.has.sessions.stop_idle())
        try:
            yield {}
        finally:
            tidying.cancel()
            await asyncio.wait([tidying])
            with anyio.CancelScope(shield=True):
                await self.has.jobs.close()
                await self.has.sessions.close()

    def _call(self, context: Any) -> Call:
        token = (context.meta or {}).get("progress_token")
        return Call(self._who(context), self.has, None if token is None else _notifier(context))

    async def _list_tools(self, _context: Any, _asked: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[tool.listed() for tool in TOOLS])

    async def _call_tool(self, context: Any, asked: CallToolRequestParams) -> CallToolResult:
        tool = _TOOLS.get(asked.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {asked.name!r}; there are: {', '.join(_TOOLS)}")
        try:
            reply = await tool.do(self._call(context), tool.arguments(asked.arguments))
        except Exception as error:  # noqa: BLE001 - whatever went wrong, a model gets an answer it can act on
            return failure(error)
        return reply.result()

    async def _list_resources(self, context: Any, _asked: PaginatedRequestParams | None) -> ListResourcesResult:
        return await resources.listing(self._call(context))

    async def _list_templates(
        self, _context: Any, _asked: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return ListResourceTemplatesResult(resource_templates=resources.TEMPLATES)

    async def _read_resource(self, context: Any, asked: ReadResourceRequestParams) -> ReadResourceResult:
        try:
            return await resources.read(self._call(context), str(asked.uri))
        except (ToolError, SandboxError) as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error

    async def _list_prompts(self, _context: Any, _asked: PaginatedRequestParams | None) -> ListPromptsResult:
        return ListPromptsResult(prompts=[one.listed() for one in prompts.PROMPTS])

    async def _get_prompt(self, _context: Any, asked: GetPromptRequestParams) -> GetPromptResult:
        try:
            return prompts.filled(asked.name, asked.arguments)
        except ToolError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error


def _notifier(context: Any) -> Notify:
    async def notify(seconds: float, text: str) -> None:
        # If the client is gone, so is its request.
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            await context.session.report_progress(seconds, None, text)

    return notify


def client_name(context: Any) -> str:
    """What the program at the other end calls itself; empty if it does not say."""
    told = context.session.client_params
    return "" if told is None else str(told.client_info.name)
