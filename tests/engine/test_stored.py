"""How the engine holds what is stored: taken once, given back whatever happens, and complete when it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import LocalSandbox, SandboxError, SandboxStartError
from sandbox.engine import store_thread
from sandbox.engine.paths import data_dir
from sandbox.engine.sessions import Sessions
from sandbox.engine.thread import EngineThread
from sandbox.protocol import messages as m
from sandbox.store.session import StoredSession
from sandbox.store.store import Store


@pytest.fixture
def engines() -> Iterator[list[EngineThread]]:
    made = [EngineThread(parked=0), EngineThread(parked=0)]
    yield made
    for engine in made:
        engine.close()


async def test_files_that_came_after_the_last_execution_are_saved_when_the_engine_closes(
    engines: list[EngineThread],
) -> None:
    """A program may end without stopping its sandboxes."""
    first, second = engines
    box = await LocalSandbox(engine=first)
    await box.run("x = 1")
    await box.files.write("uploaded", "kept")
    await asyncio.to_thread(first.close)
    async with LocalSandbox(engine=second, session_id=box.session_id) as again:
        assert (await again.run("x, open('uploaded').read()")).text == "(1, 'kept')"
        await again.delete()


async def test_a_session_that_could_not_be_opened_is_not_held(engines: list[EngineThread], tmp_path: Path) -> None:
    """Neither from others nor from the next try with better options."""
    first, second = engines
    async with LocalSandbox(engine=first) as box:
        await box.run("x = 1")
    broken = tmp_path / "venv"
    (broken / "bin").mkdir(parents=True)
    (broken / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (broken / "bin" / "python").chmod(0o755)
    for engine in (first, second):
        with pytest.raises((SandboxStartError, SandboxError)):
            await LocalSandbox(engine=engine, session_id=box.session_id, environment=broken).start()
    async with LocalSandbox(engine=second, session_id=box.session_id) as other:
        assert (await other.run("x")).text == "1"
    async with LocalSandbox(engine=first, session_id=box.session_id) as again:
        assert (await again.run("x")).text == "1"
        await again.delete()


async def test_a_session_that_several_open_at_once_is_one(engines: list[EngineThread]) -> None:
    first, _ = engines
    boxes = [LocalSandbox(engine=first, session_id="opened-at-once") for _ in range(5)]
    await asyncio.gather(*(box.start() for box in boxes))
    await boxes[0].run("x = 1")
    assert [(await box.run("x")).text for box in boxes] == ["1"] * 5
    await boxes[0].stop()
    await asyncio.gather(*(LocalSandbox(engine=first, session_id="opened-at-once").start() for _ in range(5)))
    await boxes[1].delete()


async def test_stored_artifacts_are_brought_once_whoever_asks(engines: list[EngineThread]) -> None:
    first, second = engines
    async with LocalSandbox(engine=first) as box:
        await box.run("import os; os.mkdir('artifacts'); open('artifacts/a', 'w').write('a')")
    async with LocalSandbox(engine=second, session_id=box.session_id) as again:
        listed = await asyncio.gather(*(asyncio.to_thread(again.list_artifacts) for _ in range(8)))
        assert [[artifact.name for artifact in one] for one in listed] == [["a"]] * 8
        await again.delete()


async def test_a_small_commit_is_made_in_the_engines_loop_if_nobody_else_waits_for_it(
    engines: list[EngineThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor while the last commit was slow, whose disk would keep others waiting."""
    commit, threads = StoredSession.commit, set[str]()

    def noted(self: StoredSession, *args: Any, **named: Any) -> int:
        threads.add(threading.current_thread().name)
        return commit(self, *args, **named)

    async def threads_of(code: str) -> set[str]:
        threads.clear()
        await box.run(code)
        return set(threads)

    async with LocalSandbox(engine=engines[0]) as box, LocalSandbox(engine=engines[0], persist=False) as other:
        await box.run("x = 1")
        monkeypatch.setattr(StoredSession, "commit", noted)
        monkeypatch.setattr(store_thread, "_QUICK_SECONDS", 1000)
        assert await threads_of("x = 2") == {"sandbox-engine"}
        assert await threads_of("open('file', 'w').write('x')") == {"sandbox-store"}
        assert await threads_of("y = bytes(1_000_000)") == {"sandbox-store"}
        asleep = asyncio.Event()
        sleeping = asyncio.create_task(
            other.run(
                "print(1, flush=True); import time; time.sleep(60)", on_stdout=lambda _: asleep.set(), check=False
            )
        )
        await asleep.wait()
        assert await threads_of("x = 3") == {"sandbox-store"}
        await other.interrupt()
        await sleeping
        monkeypatch.setattr(store_thread, "_QUICK_SECONDS", 0)
        assert await threads_of("x = 4") == {"sandbox-store"}
        await box.delete()


async def test_if_one_fork_cannot_be_started_there_is_none(
    engines: list[EngineThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Sessions.open
    asked: list[str] = []

    async def fails_at_the_third(self: Sessions, request: m.OpenSession) -> m.SessionOpened:
        asked.append(str(request.session))
        if len(asked) == 3:
            raise SandboxStartError("no more workers")
        return await opened(self, request)

    async with LocalSandbox(engine=engines[0]) as box:
        await box.run("x = 1")
        with Store(data_dir() / "store") as store:
            before = [one.id for one in store.sessions(owner="local")]
        with monkeypatch.context() as patch:
            patch.setattr(Sessions, "open", fails_at_the_third)
            with pytest.raises(SandboxStartError, match="no more workers"):
                await box.fork(5)
        assert set(engines[0]._engine.sessions._sessions) == {box.session_id}
        with Store(data_dir() / "store") as store:
            assert [one.id for one in store.sessions(owner="local")] == before
        (child,) = await box.fork()
        assert (await child.run("x")).text == "1"
        await child.delete()
        await box.delete()
