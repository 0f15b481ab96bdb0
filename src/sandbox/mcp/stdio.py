"""The server on standard input and output: one client, which started it."""

from __future__ import annotations

import os
from typing import Any

import anyio
from mcp.server.stdio import stdio_server

from sandbox import SandboxOptions
from sandbox.mcp import clients
from sandbox.mcp.server import SandboxServer, client_name


def serve(options: SandboxOptions, engine: Any = None, session: str | None = None) -> None:
    """Serve until standard input ends. `session` is the id of the default session, instead of one that is made up."""
    directory = os.getcwd()
    server = SandboxServer(
        options, lambda context: clients.local(client_name(context), directory, session), engine
    ).protocol

    async def run() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(run)
