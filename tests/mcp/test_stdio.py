"""The server as a program on standard input and output: one client each, two at once, killed and cancelled midway."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.mcp.conftest import program, text_of
from tests.mcp.raw import Raw, raw, session_named

from sandbox.mcp.prompts import PROMPTS
from sandbox.mcp.tools import TOOLS

SLEEP = "import time\nx = 1\nprint('begun', flush=True)\ntime.sleep(100)\nx = 2"


def _schema(version: str, name: str) -> dict[str, Any]:
    whole = json.loads((Path(__file__).parent / "specification" / f"{version}.json").read_text(encoding="utf-8"))
    return {"$schema": whole["$schema"], "$ref": f"#/$defs/{name}", "$defs": whole["$defs"]}


async def _begun(client: Raw, code: str = SLEEP) -> int:
    """Begin to run something, and wait until its output is told."""
    number = await client.begin(
        "tools/call", {"name": "execute", "arguments": {"code": code}, "_meta": {"progressToken": "p"}}
    )
    while not any("begun" in told["params"]["message"] for told in client.told):
        client.told.append(await client.next())
    return number


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_official_client_calls_tools_of_a_program(tmp_path: Path, mode: str) -> None:
    async with program(tmp_path, mode=mode) as client:
        assert [one.name for one in (await client.list_tools()).tools] == [one.name for one in TOOLS]
        result = await client.call_tool("execute", {"code": "print('hi')\n6 * 7"})
        assert text_of(result).startswith("hi\n42\n")
        assert [one.name for one in (await client.list_prompts()).prompts] == [one.name for one in PROMPTS]


async def test_what_is_sent_is_what_the_specification_says(tmp_path: Path) -> None:
    async with raw(tmp_path) as client:
        plot = "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()"
        uri = "sandbox://overview"
        for name, result in (
            ("ListToolsResult", await client.ask("tools/list")),
            ("CallToolResult", await client.call("execute", code=plot)),
            ("CallToolResult", await client.call("execute", code="1 / 0")),
            ("CallToolResult", await client.call("execute")),
            ("ListResourcesResult", await client.ask("resources/list")),
            ("ListResourceTemplatesResult", await client.ask("resources/templates/list")),
            ("ReadResourceResult", await client.ask("resources/read", uri=uri)),
            ("ListPromptsResult", await client.ask("prompts/list")),
            ("GetPromptResult", await client.ask("prompts/get", name="plot", arguments={"what": "a line"})),
        ):
            jsonschema.validate(result, _schema("2025-11-25", name))


async def test_what_is_sent_in_the_newest_version_is_what_the_specification_says(tmp_path: Path) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "modern", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    async with raw(tmp_path, handshake=False) as client:
        for name, method, params in (
            ("ListToolsResult", "tools/list", {}),
            ("CallToolResult", "tools/call", {"name": "execute", "arguments": {"code": "1"}}),
            ("ReadResourceResult", "resources/read", {"uri": "sandbox://overview"}),
        ):
            jsonschema.validate(await client.ask(method, **params, _meta=meta), _schema("2026-07-28", name))


async def test_a_restarted_server_goes_on_with_the_session(tmp_path: Path) -> None:
    async with raw(tmp_path) as client:
        assert (await client.call("execute", code="x = 1"))["structuredContent"]["session_id"] == session_named(
            "raw client", tmp_path
        )
        await client.call("write_file", path="note", content="kept")
    async with raw(tmp_path) as client:
        result = await client.call("execute", code="x, open('note').read()")
        assert result["structuredContent"]["result"] == "(1, 'kept')"
        assert "[This session goes on from before: 1 executions, with the variables x." in result["content"][0]["text"]
        again = await client.call("execute", code="x")
        assert "goes on from before" not in again["content"][0]["text"]


async def test_other_directories_and_other_programs_have_other_sessions(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with raw(tmp_path) as first, raw(tmp_path / "other") as second, raw(tmp_path, name="other") as third:
        named = [
            (await one.call("execute", code="1"))["structuredContent"]["session_id"] for one in (first, second, third)
        ]
        assert len(set(named)) == 3


async def test_two_at_once_do_not_collide_and_the_first_comes_back_to_its_own(tmp_path: Path) -> None:
    async with raw(tmp_path) as first, raw(tmp_path) as second:
        await first.value("x = 'first'; 1")
        await second.value("x = 'second'; 1")
        assert (await first.value("x"), await second.value("x")) == ("'first'", "'second'")
    async with raw(tmp_path) as again:
        assert await again.value("x") == "'first'"


async def test_a_session_that_is_open_elsewhere_is_refused_by_name(tmp_path: Path) -> None:
    async with raw(tmp_path) as first, raw(tmp_path) as second:
        await first.call("execute", code="1", session_id=f"shared-{tmp_path.name}")
        refused = await second.call("execute", code="1", session_id=f"shared-{tmp_path.name}")
        assert refused["isError"]
        assert "is open in process" in refused["content"][0]["text"]
        assert await second.value("2") == "2"


async def test_a_server_that_is_killed_in_the_middle_is_followed_by_one_that_goes_on(tmp_path: Path) -> None:
    async with raw(tmp_path) as client:
        await client.value("x = 0; 1")
        await _begun(client)
        client.process.kill()
    async with raw(tmp_path) as client:
        assert await client.value("x") == "0"


async def test_a_request_that_is_cancelled_is_interrupted_and_the_variables_stay(tmp_path: Path) -> None:
    async with raw(tmp_path) as client:
        number = await _begun(client)
        await client.send("notifications/cancelled", {"requestId": number, "reason": "test"})
        assert await client.value("x") == "1"


async def test_the_official_client_cancels_too(tmp_path: Path) -> None:
    async with program(tmp_path) as client:
        begun = asyncio.Event()

        async def told(progress: float, total: float | None, message: str | None) -> None:
            if message is not None and "begun" in message:
                begun.set()

        call = asyncio.create_task(client.call_tool("execute", {"code": SLEEP}, progress_callback=told))
        await begun.wait()
        call.cancel()
        await asyncio.wait([call])
        result = await client.call_tool("execute", {"code": "x"})
        assert result.structured_content["result"] == "1"


async def test_progress_tells_the_output_of_long_work_and_increases(tmp_path: Path) -> None:
    async with raw(tmp_path) as client:
        code = "import time\nfor i in range(3):\n    print('step', i, flush=True)\n    time.sleep(1.1)"
        number = await client.begin(
            "tools/call", {"name": "execute", "arguments": {"code": code}, "_meta": {"progressToken": 7}}
        )
        answer = await client.answer(number)
        assert answer["result"]["structuredContent"]["stdout"] == "step 0\nstep 1\nstep 2\n"
        params = [told["params"] for told in client.told if told["method"] == "notifications/progress"]
        assert params
        assert {one["progressToken"] for one in params} == {7}
        assert any("step" in one["message"] for one in params)
        seconds = [one["progress"] for one in params]
        assert seconds == sorted(set(seconds))
        for told in client.told:
            jsonschema.validate(told, _schema("2025-11-25", "ProgressNotification"))


async def test_what_is_no_message_and_what_is_no_method_get_errors_and_the_server_goes_on(tmp_path: Path) -> None:
    async with raw(tmp_path) as client:
        assert client.process.stdin is not None
        client.process.stdin.write(b"this is no JSON\n{}\n")
        answer = await client.answer(await client.begin("nothing/such", {}))
        assert answer["error"]["code"] == -32601
        answer = await client.answer(await client.begin("resources/read", {"uri": "sandbox://nothing"}))
        assert "is no address here" in answer["error"]["message"]
        answer = await client.answer(await client.begin("prompts/get", {"name": "plot"}))
        assert answer["error"]["message"] == "the prompt plot needs what"
        assert await client.value("1") == "1"


async def test_nothing_of_a_program_inside_gets_onto_the_wire(tmp_path: Path) -> None:
    async with raw(tmp_path) as client:
        code = "import os, subprocess, sys\nos.write(1, b'raw\\n')\nsubprocess.run(['echo', 'program'])\n"
        result = await client.call("execute", code=code + "sys.__stdout__.write('x\\n')")
        assert set(result["structuredContent"]["stdout"].split()) == {"raw", "program", "x"}


async def test_the_default_session_can_be_named(tmp_path: Path) -> None:
    name = f"named-{tmp_path.name}"
    async with raw(tmp_path, "--session", name) as client:
        assert (await client.call("execute", code="x = 3"))["structuredContent"]["session_id"] == name


async def test_flags_are_the_options_of_every_session(tmp_path: Path) -> None:
    async with raw(tmp_path, "--memory", "300", "--timeout", "0.5") as client:
        info = (await client.call("get_execution_info"))["structuredContent"]
        assert (info["limits"]["memory_mb"], info["limits"]["timeout_seconds"]) == (300, 0.5)
        stopped = await client.call("execute", code="while True: pass")
        assert stopped["structuredContent"]["cause"]["kind"] == "timeout"


@pytest.mark.needs_namespaces
async def test_a_directory_of_the_users_is_shown_where_it_is_mounted(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data" / "a").write_text("shown", encoding="utf-8")
    async with raw(tmp_path, "--mount", f"{tmp_path}/data:/data") as client:
        assert await client.value("open('/data/a').read()") == "'shown'"
