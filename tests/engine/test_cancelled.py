"""Starts that are cancelled at the worst moment: nothing is left of them, and nothing of them gets to others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Leaks, _settle
from tests.engine.living import cell_of

from sandbox import LocalSandbox, SandboxClosedError
from sandbox.engine.thread import EngineThread
from sandbox.engine.zygote import Zygote


@pytest.fixture
async def thread(own_home: Path) -> AsyncIterator[EngineThread]:
    thread = EngineThread(parked=0)
    yield thread
    await asyncio.to_thread(thread.close)


async def zygote_of(thread: EngineThread) -> Zygote:
    """One that serves already, of an engine with nothing under way."""
    box = await LocalSandbox(engine=thread)
    cell = cell_of(thread, box.session_id)
    assert cell is not None
    _settle(thread, seconds=60)
    return cell.zygote


async def test_a_start_that_is_cancelled_as_its_worker_is_forked_leaves_no_descriptor(
    thread: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    zygote = await zygote_of(thread)
    before = Leaks()
    on_forked = zygote._on_forked

    def on_forked_cancelled(number: int, pidfd: int) -> None:
        on_forked(number, pidfd)
        for task in thread._engine._tasks:
            task.cancel()

    monkeypatch.setattr(zygote, "_on_forked", on_forked_cancelled)
    with pytest.raises(SandboxClosedError, match="cancelled"):
        await LocalSandbox(engine=thread)
    _settle(thread)
    assert Leaks().since(before) == {}


@pytest.mark.needs_namespaces
async def test_mounts_of_a_start_that_is_cancelled_are_not_those_of_the_next(
    thread: EngineThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zygote = await zygote_of(thread)
    before = Leaks()
    clone = zygote.clone
    cancelled: list[asyncio.Task[Any]] = []

    async def clone_cancelled(wanted: list[dict[str, Any]]) -> list[int]:
        task = asyncio.current_task()
        if not cancelled and task is not None:
            cancelled.append(task)
            task.cancel()
        return await clone(wanted)

    monkeypatch.setattr(zygote, "clone", clone_cancelled)
    boxes = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
        boxes.append(LocalSandbox(engine=thread, files={"/data": str(tmp_path / name)}))
        (tmp_path / name / name).touch()
    outcome, _ = await asyncio.gather(*(box.start() for box in boxes), return_exceptions=True)
    assert isinstance(outcome, SandboxClosedError)
    assert (await boxes[1].run("import os; os.listdir('/data')")).text == "['second']"
    await boxes[1].delete()
    _settle(thread)
    assert Leaks().since(before) == {}
