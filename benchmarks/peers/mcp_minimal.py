"""The smallest server of the official MCP library, with a tool that does nothing, and a client that talks by hand.

Run as a program it is that server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NOTHING = [sys.executable, "-P", str(Path(__file__))]
_VERSION = "2025-06-18"
_SECONDS_TO_END = 30.0


class Talk:
    """A server and its client: a line of JSON there and one back, without anything that takes time in between."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._number = 0

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """A request and its result."""
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        assert self._process.stdout is not None
        message = json.loads(self._process.stdout.readline())
        if message.get("id") != self._number or "result" not in message:
            raise RuntimeError(f"the server answered {method} with {message}")
        result = message["result"]
        assert isinstance(result, dict)
        return result

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def begin(self) -> None:
        """The handshake."""
        who = {"name": "benchmark", "version": "1"}
        self.ask("initialize", {"protocolVersion": _VERSION, "capabilities": {}, "clientInfo": who})
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, tool: str, **arguments: object) -> float:
        """Call a tool; return the seconds that it took."""
        begin = time.perf_counter()
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        seconds = time.perf_counter() - begin
        if result.get("isError"):
            raise RuntimeError(f"{tool} failed: {result}")
        return seconds


@contextmanager
def server(command: list[str], variables: Mapping[str, str]) -> Iterator[Talk]:
    """A server that was started just now, before the handshake. It ends when its input does."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **variables})
    try:
        yield Talk(process)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(_SECONDS_TO_END)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def main() -> None:
    """Be the server."""
    from mcp.server.mcpserver import MCPServer

    minimal = MCPServer("minimal", log_level="WARNING")

    @minimal.tool()
    async def nothing(code: str) -> str:
        return code

    minimal.run("stdio")


if __name__ == "__main__":
    main()
