"""A client that speaks the protocol by hand, in an older version, and sees what is really sent."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.mcp.conftest import COMMAND, SECONDS, environment

VERSION = "2025-06-18"


class Raw:
    """Lines of JSON to and from a server that is a program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.told: list[dict[str, Any]] = []  # notifications
        self._number = 0

    async def send(self, method: str, params: dict[str, Any] | None = None, number: int | None = None) -> None:
        """Send a request, or without a number a notification."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = params
        if number is not None:
            message["id"] = number
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        await self.process.stdin.drain()

    async def begin(self, method: str, params: dict[str, Any]) -> int:
        """Send a request; return its number."""
        self._number += 1
        await self.send(method, params, self._number)
        return self._number

    async def next(self) -> dict[str, Any]:
        """The next message."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            line = await self.process.stdout.readline()
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    async def answer(self, number: int) -> dict[str, Any]:
        """The answer to a request; what else comes is noted."""
        while True:
            message = await self.next()
            if message.get("id") == number:
                return message
            self.told.append(message)

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """A request and its result."""
        message = await self.answer(await self.begin(method, params))
        assert "result" in message, message
        result = message["result"]
        assert isinstance(result, dict)
        return result

    async def begin_with(self, name: str) -> None:
        """The handshake."""
        who = {"name": name, "version": "1"}
        result = await self.ask("initialize", protocolVersion=VERSION, capabilities={}, clientInfo=who)
        assert result["protocolVersion"] == VERSION
        await self.send("notifications/initialized")

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool."""
        return await self.ask("tools/call", name=tool, arguments=arguments)

    async def value(self, code: str) -> str:
        """The value of the last expression."""
        result = await self.call("execute", code=code)
        assert not result.get("isError"), result
        return str(result["structuredContent"]["result"])


@asynccontextmanager
async def raw(directory: Path, *flags: str, name: str = "raw client", handshake: bool = True) -> AsyncIterator[Raw]:
    """A server in a directory with its client, after the handshake. It ends when its input does."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *flags, cwd=directory, env=environment(), limit=1 << 26,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    client = Raw(process)
    try:
        if handshake:
            await client.begin_with(name)
        yield client
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(SECONDS):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


def session_named(name: str, directory: Path) -> str:
    """What a server in a directory calls the default session of a client."""
    from sandbox.mcp import clients

    return clients.local(name, os.fspath(directory)).default
