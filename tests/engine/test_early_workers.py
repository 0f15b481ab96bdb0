"""Workers that are parked while a zygote still imports: who gets one, and who waits for the imports.

The packages are those of a virtual environment with a `numpy` of its own, whose import takes until a file is there.
"""

from __future__ import annotations

import asyncio
import venv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conftest import Leaks
from tests.engine.living import cell_of

from sandbox import LocalSandbox, SandboxOptions
from sandbox.engine.launcher import Cell
from sandbox.engine.thread import EngineThread
from sandbox.sdk.convert import session_options

_SLOW = "import os, time\nwhile not os.path.exists(__file__ + '.go'): time.sleep(0.005)\nready = True\n"


class Early:
    """An engine that was told to get workers ready, whose zygote imports `numpy` until `finish`."""

    def __init__(self, place: Path) -> None:
        venv.create(place, symlinks=True)
        (packages,) = place.glob("lib/python*/site-packages")
        (packages / "numpy.py").write_text(_SLOW)
        self._go = packages / "numpy.py.go"
        self.environment = str(place)
        self.engine = EngineThread(parked=1)

    async def prepare(self) -> None:
        options = session_options(SandboxOptions(environment=self.environment))
        await asyncio.wrap_future(self.engine.prepare(options))
        await self.until_parked()

    async def until_parked(self, *, lacking: bool = True) -> None:
        async with asyncio.timeout(50):
            while not any(bool(cell.lacks) == lacking for cell in self._parked()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def _parked(self) -> list[Cell]:
        return [cell for cells in self.engine._engine.sessions.pool._parked.values() for cell in list(cells)]

    def finish(self) -> None:
        self._go.touch()

    def box(self, session: str | None = None) -> LocalSandbox:
        return LocalSandbox(engine=self.engine, environment=self.environment, session_id=session)


@pytest.fixture
async def early(own_home: Path) -> AsyncIterator[Early]:
    before = Leaks()
    place = own_home / "packages"
    made = Early(place)
    yield made
    made.finish()
    await asyncio.to_thread(made.engine.close)
    assert Leaks().since(before) == {}


async def test_a_new_session_does_not_wait_for_imports_and_keeps_its_worker(early: Early) -> None:
    await early.prepare()
    async with early.box() as box:
        assert (await box.run("1 + 1")).text == "2"
        cell = cell_of(early.engine, box.session_id)
        assert cell is not None
        assert cell.zygote.warm_left
        early.finish()
        await early.until_parked(lacking=False)
        assert (await box.run("import numpy; numpy.ready")).text == "True"
        assert cell_of(early.engine, box.session_id) is cell
        await box.delete()


async def test_code_that_names_a_package_waits_for_it(early: Early) -> None:
    await early.prepare()
    async with early.box() as box:
        await box.files.write("note", "kept")
        running = asyncio.create_task(box.run("import sys\n'numpy' in sys.modules, open('note').read()"))
        early.finish()
        assert (await running).text == "(True, 'kept')"
        await box.delete()


async def test_a_worker_beside_which_a_program_runs_does_not_give_way(early: Early) -> None:
    await early.prepare()
    async with early.box() as box:
        async with box.terminal("cat") as terminal:
            cell = cell_of(early.engine, box.session_id)
            running = asyncio.create_task(box.run("'numpy'"))
            await terminal.write("still there\n")
            early.finish()
            await running
            assert cell_of(early.engine, box.session_id) is cell
            assert b"still there" in await terminal.read()
        await box.delete()


async def test_what_begins_beside_a_worker_while_code_waits_for_a_package_stays(early: Early) -> None:
    await early.prepare()
    async with early.box() as box:
        session = early.engine._engine.sessions._sessions[box.session_id]
        running = asyncio.create_task(box.run("'numpy'"))
        async with asyncio.timeout(50):
            while not session.turn.locked():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        command = asyncio.create_task(box.command.run("true"))
        async with asyncio.timeout(50):
            while not session.commands:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        early.finish()
        await running
        assert (await command).exit_code == 0, "it was killed with its worker"
        await box.delete()


async def test_a_session_that_goes_on_waits_where_it_may_need_a_package(early: Early) -> None:
    ids = []
    for code in ("x = 1", "x = [1]"):
        async with LocalSandbox(environment=early.environment, engine=early.engine) as box:
            opened = asyncio.create_task(box.run(code))
            early.finish()
            await opened
            ids.append(box.session_id)
    await asyncio.to_thread(early.engine.close)
    early._go.unlink()
    early.engine = EngineThread(parked=1)
    await early.prepare()
    plain, other = (early.box(one) for one in ids)
    waits = asyncio.create_task(other.start())
    await plain.start()
    assert (await plain.run("x")).text == "1"
    assert not waits.done()
    early.finish()
    await waits
    cell = cell_of(early.engine, ids[1])
    assert cell is not None
    assert not cell.lacks
    assert (await other.run("x")).text == "[1]"
    await plain.delete()
    await other.delete()


async def test_when_all_is_imported_a_worker_that_has_it_takes_the_place(early: Early) -> None:
    await early.prepare()
    early.finish()
    await early.until_parked(lacking=False)
    async with early.box() as box:
        assert (await box.run("import sys; 'numpy' in sys.modules")).text == "True"
        assert len(early._parked()) <= 1
        await box.delete()


async def test_an_engine_that_is_closed_meanwhile_leaves_nothing(early: Early) -> None:
    """The fixture looks."""
    await early.prepare()
    assert early._parked()
