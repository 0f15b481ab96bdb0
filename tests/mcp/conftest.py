"""Servers for the tests of MCP: in this process over the library's own pipe, and as a program over both transports."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult, Implementation

import sandbox
from sandbox import LocalSandbox, SandboxOptions
from sandbox.engine.thread import EngineThread
from sandbox.mcp import clients
from sandbox.mcp.server import SandboxServer, client_name
from sandbox.mcp.sessions import HOLDING, Holding

SOURCE = Path(sandbox.__file__).parents[1]
COMMAND = (sys.executable, "-P", "-m", "sandbox", "mcp")
SECONDS = 50
"""The longest that anything takes."""


def environment() -> dict[str, str]:
    """What a server that is a program has of ours."""
    kept = {name: os.environ[name] for name in ("SANDBOX_HOME", "SANDBOX_ISOLATION", "PATH") if name in os.environ}
    return {**kept, "PYTHONPATH": str(SOURCE)}


def parameters(directory: Path, *flags: str) -> StdioServerParameters:
    """How a client starts a server in a directory."""
    command, *arguments = COMMAND
    return StdioServerParameters(command=command, args=[*arguments, *flags], env=environment(), cwd=directory)


@asynccontextmanager
async def program(directory: Path, *flags: str, name: str = "tester", mode: str = "legacy") -> AsyncIterator[Client]:
    """A client of its own server, which is a program."""
    who = Implementation(name=name, version="1")
    async with Client(stdio_client(parameters(directory, *flags)), mode=mode, client_info=who) as client:
        yield client


def text_of(result: CallToolResult) -> str:
    """What a model would read."""
    return "\n".join(block.text for block in result.content if block.type == "text")


class Connected:
    """A client, with what tests ask of it again and again."""

    def __init__(self, client: Client, server: SandboxServer) -> None:
        self.client, self.server = client, server

    async def call(self, name: str, /, **arguments: Any) -> CallToolResult:
        """Call a tool."""
        async with asyncio.timeout(SECONDS):
            return await self.client.call_tool(name, arguments)

    async def data(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool that succeeds; its structured answer."""
        result = await self.call(name, **arguments)
        assert not result.is_error, text_of(result)
        assert isinstance(result.structured_content, dict)
        return result.structured_content

    async def refused(self, name: str, /, **arguments: Any) -> str:
        """Call a tool that fails; what it says."""
        result = await self.call(name, **arguments)
        assert result.is_error, text_of(result)
        return text_of(result)


Serve = Callable[..., AbstractAsyncContextManager[Connected]]


@pytest.fixture
async def serve(engine: EngineThread, tmp_path: Path) -> AsyncIterator[Serve]:
    """Connects a client to a server in this process. Every session that it had is deleted at the end."""
    made: dict[str, LocalSandbox] = {}

    def remember(server: SandboxServer) -> None:
        sessions = server.has.sessions
        make, add = sessions._make, sessions.add

        def remembered(stored_id: str, language: str | None) -> LocalSandbox:
            made[stored_id] = make(stored_id, language)
            return made[stored_id]

        def added(client: clients.Client, name: str, box: LocalSandbox) -> None:
            made[box.session_id] = box
            add(client, name, box)

        sessions._make, sessions.add = remembered, added  # type: ignore[method-assign]

    @asynccontextmanager
    async def serve(
        name: str = "tester", mode: str = "auto", holding: Holding = HOLDING, **options: Any
    ) -> AsyncIterator[Connected]:
        server = SandboxServer(
            SandboxOptions(**options), lambda context: clients.local(client_name(context), str(tmp_path)),
            holding=holding,
        )  # fmt: skip
        remember(server)
        who = Implementation(name=name, version="1")
        async with Client(server.protocol, mode=mode, client_info=who) as client:
            yield Connected(client, server)

    yield serve
    for box in made.values():
        if box._last is not None:
            await box.delete()


@pytest.fixture
async def connected(serve: Serve) -> AsyncIterator[Connected]:
    """A client of a server in this process. In a task of its own, since scopes are left where they were entered."""
    ready: asyncio.Future[Connected] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hold() -> None:
        async with serve() as found:
            ready.set_result(found)
            await over.wait()

    task = asyncio.create_task(hold())
    waiting: set[asyncio.Future[Any]] = {ready, task}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    yield ready.result()
    over.set()
    await task
