"""Another implementation's client: FastMCP's, over both transports."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError
from tests.mcp.conftest import COMMAND, environment
from tests.mcp.test_http import running


async def _use(client: Client) -> None:  # type: ignore[type-arg]
    names = {tool.name for tool in await client.list_tools()}
    assert {"execute", "shell_execute", "job"} <= names
    result = await client.call_tool("execute", {"code": "x = 20\nprint('hi')\nx + 1"})
    assert result.structured_content is not None
    assert (result.structured_content["stdout"], result.structured_content["result"]) == ("hi\n", "21")
    plot = "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()"
    result = await client.call_tool("execute", {"code": plot})
    assert [block.type for block in result.content] == ["text", "image"]
    with pytest.raises(ToolError, match="NameError: name 'y' is not defined"):
        await client.call_tool("execute", {"code": "y"})
    (content,) = await client.read_resource("sandbox://overview")
    assert content.text.startswith("# The sandbox")  # type: ignore[union-attr]
    prompt = await client.get_prompt("analyse_data", {"data": "data.csv"})
    assert "data.csv" in prompt.messages[0].content.text  # type: ignore[union-attr]


async def test_over_stdio(tmp_path: Path) -> None:
    assert sys.executable == COMMAND[0]
    transport = StdioTransport(
        COMMAND[0], list(COMMAND[1:]), env=environment(), cwd=os.fspath(tmp_path), keep_alive=False
    )
    async with Client(transport) as client:
        await _use(client)


async def test_over_http(tmp_path: Path) -> None:
    async with running(tmp_path) as server, Client(StreamableHttpTransport(server.url, auth=server.keys[0])) as client:
        await _use(client)
