"""Which session a client means, and when one is stopped."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest
from tests.mcp.conftest import SECONDS, Connected, Serve

from sandbox.errors import UsageError
from sandbox.ids import checked_session_id
from sandbox.mcp import clients
from sandbox.mcp.sessions import Held, Holding


@pytest.mark.parametrize("name", ["Claude Code", "", "..", "ä/ö", "x" * 300, "a.b", "-x-"])
def test_whatever_a_client_calls_itself_its_session_has_an_id(name: str) -> None:
    for client in (clients.local(name, "/some/where"), clients.remote(name, "key")):
        stored = client.stored_id(client.default)
        assert checked_session_id(stored) == stored
        assert re.fullmatch(r"[a-z0-9-]+", clients.slug(name))


def test_a_default_session_is_of_a_program_and_a_directory() -> None:
    here = clients.local("cursor", "/here").default
    assert here == clients.local("Cursor", "/here").default
    assert here not in {clients.local("cursor", "/there").default, clients.local("vscode", "/here").default}
    assert clients.local("cursor", "/here", "mine").default == "mine"


def test_a_remote_client_cannot_name_anothers_session() -> None:
    first, second = clients.remote("cursor", "key one"), clients.remote("cursor", "key two")
    other = clients.remote("vscode", "key one")
    assert len({one.scope for one in (first, second, other)}) == 3
    assert not second.stored_id("x").startswith(first.scope)
    with pytest.raises(UsageError, match="too long: at most"):
        first.stored_id("x" * 120)
    with pytest.raises(UsageError, match="cannot be a session's id"):
        first.stored_id("../x")


async def _held(connected: Connected) -> Held:
    await connected.data("execute", code="x = 1")
    (held,) = connected.server.has.sessions._held.values()
    return held


async def test_a_session_that_nobody_uses_is_stopped_and_goes_on_when_it_is_used(serve: Serve) -> None:
    async with serve(holding=Holding(idle_seconds=0.2)) as connected:
        held = await _held(connected)
        deadline = time.monotonic() + SECONDS
        while held.started:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        result = await connected.call("execute", code="x")
        assert result.structured_content["result"] == "1"
        assert "goes on from before" in str(result.content[0])


async def test_a_session_that_is_used_is_not_stopped(serve: Serve) -> None:
    async with serve(holding=Holding(idle_seconds=0.1)) as connected:
        held = await _held(connected)
        await connected.data("execute", code="import time; time.sleep(1)")
        job = await connected.data("start_job", code="time.sleep(1)")
        await connected.data("job", job_id=job["job_id"])
        assert held.box.get_performance_stats()["total_executions"] == 3
        assert held is (await _held(connected))


async def test_of_too_many_sessions_the_one_that_was_not_used_for_the_longest_time_is_stopped(serve: Serve) -> None:
    async with serve(holding=Holding(most=2)) as connected:
        for name in ("one", "two"):
            await connected.data("execute", code=f"x = {name!r}", session_id=name)
        await connected.data("execute", code="1", session_id="one")
        await connected.data("execute", code="1", session_id="three")
        assert {held.name for held in connected.server.has.sessions._held.values()} == {"one", "three"}
        assert (await connected.data("execute", code="x", session_id="two"))["result"] == "'two'"
        jobs = [
            await connected.data("start_job", code="import time; time.sleep(60)", session_id=name)
            for name in ("two", "three")
        ]
        assert "the most that this server holds" in await connected.refused("execute", code="1", session_id="four")
        for job in jobs:
            await connected.data("job", job_id=job["job_id"], action="cancel")


async def test_what_cannot_be_opened_is_not_held(connected: Connected, tmp_path: Path) -> None:
    await connected.refused("execute", code="1", session_id="../x")
    await connected.refused("read_file", path="x", session_id="y" * 129)
    assert connected.server.has.sessions._held == {}
