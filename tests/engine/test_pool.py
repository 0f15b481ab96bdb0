"""Parked workers: whatever an engine has under way when it closes, it leaves none of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.conftest import Leaks, _settle
from tests.engine.living import cell_of

from sandbox import LocalSandbox
from sandbox.engine.launcher import Cell
from sandbox.engine.thread import EngineThread


async def test_a_zygote_that_is_warm_only_when_the_engine_closes_has_nobody_parked(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Leaks()
    thread = EngineThread()
    box = await LocalSandbox(engine=thread)
    _settle(thread, seconds=60)
    engine, sessions = thread._engine, thread._engine.sessions
    cell = cell_of(thread, box.session_id)
    assert cell is not None
    zygote = cell.zygote

    emptied = asyncio.Event()  # of the engine's loop from its first use on
    sessions = engine.sessions
    close_store, warmed_up = sessions.stored.close, sessions.pool._warmed_up
    empty, close_launcher = sessions.pool.close, sessions.launcher.close

    async def close_the_store_and_be_warm() -> None:
        engine.sessions.pool.size += 1
        zygote.on_warm(zygote)
        await close_store()

    async def warm_up_late(parked: Cell) -> Cell:
        await emptied.wait()
        return await warmed_up(parked)

    async def empty_the_pool() -> None:
        await empty()
        emptied.set()

    async def close_when_nothing_is_under_way() -> None:
        while engine._tasks:  # noqa: ASYNC110 - there is no event of it
            await asyncio.sleep(0.001)
        await close_launcher()

    monkeypatch.setattr(engine.sessions.stored, "close", close_the_store_and_be_warm)
    monkeypatch.setattr(engine.sessions.pool, "_warmed_up", warm_up_late)
    monkeypatch.setattr(engine.sessions.pool, "close", empty_the_pool)
    monkeypatch.setattr(engine.sessions.launcher, "close", close_when_nothing_is_under_way)
    await asyncio.to_thread(thread.close)
    assert Leaks().since(before) == {}


async def test_a_parked_worker_that_is_discarded_while_the_engine_closes_is_gone_too(own_home: Path) -> None:
    before = Leaks()
    thread = EngineThread()
    await LocalSandbox(engine=thread)
    _settle(thread, seconds=60)
    engine = thread._engine
    (parked,) = engine.sessions.pool._parked.values()
    thread._loop.call_soon_threadsafe(engine.sessions.launcher.discard, parked.popleft())
    await asyncio.to_thread(thread.close)
    assert Leaks().since(before) == {}
