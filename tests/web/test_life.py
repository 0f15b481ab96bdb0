"""Apps when their session's worker, its zygote or the app itself comes to an end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest
from tests.web.conftest import SERVER, get, until

from sandbox import LocalSandbox, SandboxCrashedError
from sandbox.engine.launcher import Cell
from sandbox.engine.metrics import host_pid
from sandbox.engine.session import Session
from sandbox.engine.thread import EngineThread
from sandbox.engine.web import way

Make = Callable[..., LocalSandbox]
pytestmark = pytest.mark.needs_namespaces


def session_of(engine: EngineThread, box: LocalSandbox) -> Session:
    return engine._engine.sessions.known(box.session_id)


def kill_worker(engine: EngineThread, box: LocalSandbox) -> None:
    cell = session_of(engine, box).cell
    assert cell is not None
    os.kill(host_pid(cell.worker.pidfd), signal.SIGKILL)


async def state_of(box: LocalSandbox, name: str, state: str) -> None:
    async def so() -> bool:
        return (await box.web.get(name)).state == state

    await until(so)


@pytest.mark.parametrize("how", ["by its code", "from outside"])
async def test_an_app_ends_with_the_worker_and_says_so(box: LocalSandbox, engine: EngineThread, how: str) -> None:
    app = await box.web.start(SERVER, "http", 0)
    if how == "by its code":
        with pytest.raises(SandboxCrashedError):
            await box.run("import os; os._exit(1)")
    else:
        kill_worker(engine, box)
    await state_of(box, app.name, "ended")
    await app.refresh()
    assert (app.exit_code, app.pid, app.why) == (-9, 0, "it ended with signal 9")
    with pytest.raises(OSError, match=r"closed|reset|without response"):
        await get(app)
    await app.restart()
    assert (await get(app)).status == 200


@pytest.mark.parametrize("how", ["by its code", "from outside"])
async def test_an_app_that_is_to_be_restored_comes_back_at_its_url(make: Make, engine: EngineThread, how: str) -> None:
    box = make()
    await box.start()
    await box.run("x = 1")
    app = await box.web.start(SERVER, "http", 0, restore=True)
    before = app.started_at
    if how == "by its code":
        with pytest.raises(SandboxCrashedError):
            await box.run("import os; os._exit(1)")
    else:
        kill_worker(engine, box)

    async def back() -> bool:
        await app.refresh()
        return app.state == "running" and app.started_at > before

    await until(back)
    assert (await get(app)).status == 200
    assert (await box.run("x")).text == "1"


async def test_an_app_that_its_user_has_restarted_does_not_come_back_as_well(
    box: LocalSandbox, engine: EngineThread
) -> None:
    """Whichever of the two waits for the other: the user's restart was first here."""
    app = await box.web.start(SERVER, "http", 0)
    inner, cell = session_of(engine, box).apps[app.name], session_of(engine, box).cell
    assert cell is not None
    kill_worker(engine, box)
    await until(_gone(cell))
    await app.restart()
    pid = app.pid
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(inner._come_back(cell), engine._loop))
    await app.refresh()
    assert (app.state, app.pid) == ("running", pid)
    assert len(session_of(engine, box).commands) == 1
    assert (await get(app)).status == 200


@pytest.mark.usefixtures("_home")
async def test_an_app_comes_back_when_the_zygote_has_died() -> None:
    """With it all workers die, and nobody is left to say that the app has ended."""
    engine = EngineThread(parked=0)
    try:
        box = LocalSandbox(engine=engine, persist=False)
        await box.start()
        app = await box.web.start(SERVER, "http", 0, restore=True)
        before = app.started_at
        cell = session_of(engine, box).cell
        assert cell is not None
        os.kill(cell.zygote._process.pid, signal.SIGKILL)  # the keeper's end is the zygote's

        async def back() -> bool:
            return (await app.refresh()).state == "running" and app.started_at > before

        await until(back)
        assert (await get(app)).status == 200
    finally:
        await asyncio.to_thread(engine.close)


async def test_after_a_rollback_an_app_runs_on_the_files_of_then(box: LocalSandbox) -> None:
    greets = SERVER.replace('b"hello from "', "open('greeting.txt', 'rb').read()")
    await box.run("open('greeting.txt', 'w').write('before')")
    app = await box.web.start(greets, "http", 0, restore=True)
    await box.checkpoint("served")
    await box.run("open('greeting.txt', 'w').write('after')")
    assert (await get(app)).body == b"after/"
    before = app.started_at
    await box.rollback("served")

    async def back() -> bool:
        return (await app.refresh()).state == "running" and app.started_at > before

    await until(back)
    assert (await get(app)).body == b"before/"


async def test_an_app_whose_file_a_rollback_takes_away_is_ended(box: LocalSandbox) -> None:
    await box.run("1")
    app = await box.web.start(SERVER, "http", 0, restore=True)
    await box.rollback(1)
    await state_of(box, app.name, "ended")
    await app.refresh()
    assert app.why.startswith("it could not be started again: ")
    assert "No such file" in app.why


async def test_an_app_that_ends_by_itself_is_not_started_again(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER.replace("go.set()", "os._exit(4)"), "http", 0, restore=True)
    with pytest.raises(OSError, match=r"closed|reset|without response"):
        await get(app, "/go")
    await state_of(box, app.name, "ended")
    await app.refresh()
    assert (app.exit_code, app.why) == (4, "it ended with exit code 4")


async def test_a_session_whose_workers_die_again_and_again_gets_no_more(make: Make, engine: EngineThread) -> None:
    box = make()
    await box.start()
    app = await box.web.start(SERVER, "http", 0, restore=True)
    for _ in range(3):
        before = app.started_at
        kill_worker(engine, box)

        async def back(before: object = before) -> bool:
            return (await app.refresh()).state == "running" and app.started_at != before

        await until(back)
    kill_worker(engine, box)

    async def given_up() -> bool:
        return "4 times in a minute" in (await app.refresh()).why

    await until(given_up)
    assert app.state == "ended"


async def test_closing_a_sandbox_does_not_wait_for_an_app_that_is_starting(make: Make) -> None:
    box = make()
    await box.start()
    starting = asyncio.create_task(box.web.start(command=["sleep", "4244.5"], app_type="http", port=0))

    async def begun() -> bool:
        return any(app.inner_port for app in await box.web.list())

    await until(begun)
    async with asyncio.timeout(20):
        await box.stop()
        with pytest.raises(Exception, match=r"stopped|ended|closed"):
            await starting
    await box.start()
    await box.delete()


@pytest.mark.usefixtures("_home")
async def test_an_engine_that_is_closed_takes_its_apps_along() -> None:
    engine = EngineThread(parked=0)
    box = LocalSandbox(engine=engine, persist=False)
    await box.start()
    app = await box.web.start(SERVER, "http", 0, restore=True)
    await asyncio.to_thread(engine.close)
    with pytest.raises(ConnectionRefusedError):
        await get(app)


async def test_a_worker_that_dies_while_its_app_starts_is_told_of(box: LocalSandbox, engine: EngineThread) -> None:
    starting = asyncio.create_task(box.web.start(command=["sleep", "4245.5"], app_type="http", port=0))

    async def begun() -> bool:
        return any(app.inner_port for app in await box.web.list())

    await until(begun)
    kill_worker(engine, box)
    with pytest.raises(Exception, match=r"ended before it answered, with signal 9|gone"):
        await starting
    assert await box.web.list() == []


async def test_a_session_with_an_app_keeps_its_worker(make: Make, engine: EngineThread) -> None:
    """Though nobody asks for anything: an app is there to be looked at. It is parked once the app is stopped."""
    box = make(idle_timeout=0.1)
    await box.start()
    app = await box.web.start(SERVER, "http", 0)
    session = session_of(engine, box)
    await until(_later_than(session.used_at + 1.0))
    assert session.cell is not None
    assert (await get(app)).status == 200
    await app.stop()

    async def parked() -> bool:
        return session.cell is None

    await until(parked)


async def test_a_session_is_not_idle_between_two_programs_of_an_app(
    make: Make, engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the app runs then, and its worker must not be ended all the same."""
    box = make()
    await box.start()
    app = await box.web.start(SERVER, "http", 0)
    session, is_taken, idle = session_of(engine, box), way.is_taken, []

    async def looked(cell: Cell, port: int) -> bool:
        idle.append((session.busy, session.idle))
        return await is_taken(cell, port)

    monkeypatch.setattr(way, "is_taken", looked)
    await app.restart()
    assert set(idle) == {(False, False)}


async def test_an_app_whose_restart_is_cancelled_has_ended(make: Make, engine: EngineThread) -> None:
    box = make()
    await box.start()
    app = await box.web.start("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER, "http", 0)
    restarting = asyncio.create_task(app.restart())

    async def begun() -> bool:
        return (await app.refresh()).state == "restarting"

    await until(begun)
    restarting.cancel()
    await asyncio.wait([restarting])
    await state_of(box, app.name, "ended")
    assert (await app.refresh()).why == "the request was cancelled"
    await app.restart()
    assert (await get(app)).status == 200


def _later_than(moment: float) -> Callable[[], Awaitable[bool]]:
    async def so() -> bool:
        return time.monotonic() > moment

    return so


def _gone(cell: Cell) -> Callable[[], Awaitable[bool]]:
    async def so() -> bool:
        return not cell.worker.alive

    return so
