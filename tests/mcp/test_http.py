"""The server over HTTP: keys, several clients that do not see each other, restarts, cancelled requests."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation
from tests.mcp.conftest import COMMAND, SECONDS, environment, text_of

SLEEP = "import time\nx = 1\nprint('begun', flush=True)\ntime.sleep(100)\nx = 2"
_ADDRESS = re.compile(r"MCP at (http://127\.0\.0\.1:\d+/mcp)")


class Running:
    """A server that is a program, and its address."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, keys: list[str]) -> None:
        self.process, self.url, self.keys = process, url, keys

    @asynccontextmanager
    async def client(self, key: int = 0, name: str = "tester", mode: str = "legacy") -> AsyncIterator[Client]:
        """A client of it, with a key."""
        headers = {"Authorization": f"Bearer {self.keys[key]}"}
        async with httpx2.AsyncClient(headers=headers, timeout=SECONDS) as http:
            who = Implementation(name=name, version="1")
            transport = streamable_http_client(self.url, http_client=http)
            async with Client(transport, mode=mode, client_info=who) as client:
                yield client


@asynccontextmanager
async def running(directory: Path, *flags: str) -> AsyncIterator[Running]:
    """A server with two keys that belong to the directory, until it is told to end."""
    file, keys = directory / "keys", [f"key-{number}-of-{directory}" for number in range(2)]
    await asyncio.to_thread(file.write_text, "\n".join(["# of a test", *keys, ""]), "utf-8")
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--http", "--port", "0", "--key-file", os.fspath(file), *flags, cwd=directory, env=environment(),
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        async with asyncio.timeout(SECONDS):
            line = (await process.stderr.readline()).decode()
        found = _ADDRESS.search(line)
        assert found is not None, line
        yield Running(process, found[1], keys)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            await process.communicate()


async def _result(client: Client, code: str, **arguments: Any) -> str:
    result = await client.call_tool("execute", {"code": code, **arguments})
    assert not result.is_error, text_of(result)
    return str(result.structured_content["result"])


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_client_has_a_session_that_stays_over_a_restart(tmp_path: Path, mode: str) -> None:
    async with running(tmp_path) as server, server.client(mode=mode) as client:
        result = await client.call_tool("execute", {"code": "x = 1\nprint('hi')"})
        assert (result.structured_content["stdout"], result.structured_content["session_id"]) == ("hi\n", "default")
    async with running(tmp_path) as server, server.client(mode=mode) as client:
        assert await _result(client, "x") == "1"


async def test_nobody_is_let_in_without_a_key(tmp_path: Path) -> None:
    async with running(tmp_path) as server, httpx2.AsyncClient() as http:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": server.keys[0]}):
            answer = await http.post(server.url, json={}, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
        for path in ("", "mcp/x", ".well-known/oauth-protected-resource"):
            answer = await http.get(server.url.removesuffix("mcp") + path)
            assert answer.status_code == 404
        host = {"Authorization": f"Bearer {server.keys[0]}", "Host": "evil.example"}
        answer = await http.post(server.url, json={}, headers=host)
        assert answer.status_code in {400, 421}
        origin = {"Authorization": f"Bearer {server.keys[0]}", "Origin": "http://evil.example"}
        answer = await http.post(server.url, json={}, headers=origin)
        assert answer.status_code in {400, 403}


async def test_insecure_lets_everybody_in(tmp_path: Path) -> None:
    async with running(tmp_path, "--insecure") as server, httpx2.AsyncClient() as http:
        transport = streamable_http_client(server.url, http_client=http)
        async with Client(transport, client_info=Implementation(name=tmp_path.name, version="1")) as client:
            assert await _result(client, "1") == "1"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"key": 0}, {"key": 1}),
        ({"name": "cursor"}, {"name": "vscode"}),
        ({"key": 0, "mode": "auto"}, {"key": 1, "mode": "auto"}),
        ({"name": "cursor", "mode": "auto"}, {"name": "vscode", "mode": "auto"}),
    ],
    ids=["keys", "programs", "keys, stateless", "programs, stateless"],
)
async def test_clients_do_not_see_each_other(tmp_path: Path, first: dict[str, Any], second: dict[str, Any]) -> None:
    async with running(tmp_path) as server, server.client(**first) as one, server.client(**second) as other:
        plot = "import os\nos.mkdir('artifacts')\nopen('artifacts/secret', 'w').write('s')\nx = 'mine'; 1"
        await _result(one, plot)
        await _result(one, plot, session_id="named")
        for session in ("", "default", "named"):
            result = await other.call_tool("execute", {"code": "x", "session_id": session})
            assert result.is_error
            assert "NameError" in text_of(result)
        uri = "sandbox://artifacts/named/1/secret"
        assert (await one.call_tool("read_file", {"path": uri})).structured_content["content"] == "s"
        assert "has no artifact" in text_of(await other.call_tool("read_file", {"path": uri}))
        job = (await one.call_tool("start_job", {"code": "1"})).structured_content["job_id"]
        assert "there is no job" in text_of(await other.call_tool("job", {"job_id": job}))
        stored = (await one.call_tool("get_execution_info", {})).structured_content["session"]["stored_as"]
        result = await other.call_tool("execute", {"code": "x", "session_id": stored})
        assert "NameError" in text_of(result)


async def test_two_windows_of_one_program_have_a_session_each_and_come_back_to_it(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        async with server.client() as one, server.client() as other:
            await _result(one, "x = 'one'; 1")
            await _result(other, "x = 'other'; 1")
            assert (await _result(one, "x"), await _result(other, "x")) == ("'one'", "'other'")
        async with server.client() as again:
            assert await _result(again, "x") == "'one'"


async def test_a_request_that_is_cancelled_is_interrupted_and_the_variables_stay(tmp_path: Path) -> None:
    async with running(tmp_path) as server, server.client() as client:
        begun = asyncio.Event()

        async def told(progress: float, total: float | None, message: str | None) -> None:
            if message is not None and "begun" in message:
                begun.set()

        call = asyncio.create_task(client.call_tool("execute", {"code": SLEEP}, progress_callback=told))
        async with asyncio.timeout(SECONDS):
            await begun.wait()
        call.cancel()
        await asyncio.wait([call])
        assert await _result(client, "x") == "1"


async def test_a_stateless_request_whose_connection_is_closed_is_interrupted(tmp_path: Path) -> None:
    async with running(tmp_path) as server, server.client(mode="auto") as client:
        begun = asyncio.Event()

        async def told(progress: float, total: float | None, message: str | None) -> None:
            if message is not None and "begun" in message:
                begun.set()

        call = asyncio.create_task(client.call_tool("execute", {"code": SLEEP}, progress_callback=told))
        async with asyncio.timeout(SECONDS):
            await begun.wait()
        call.cancel()
        await asyncio.wait([call])
        assert await _result(client, "x") == "1"


async def test_a_killed_server_is_followed_by_one_that_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as server, server.client(mode="auto") as client:
        await _result(client, "x = 7; 1")
        server.process.kill()
        await server.process.wait()
    async with running(tmp_path) as server, server.client(mode="auto") as client:
        assert await _result(client, "x") == "7"
