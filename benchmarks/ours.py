"""Engines and sandboxes as the benchmarks use them: through the SDK, with the options that users get."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from sandbox import LocalSandbox
from sandbox.engine.launcher import Cell
from sandbox.engine.metrics import host_pid
from sandbox.engine.thread import EngineThread

IMPORTS = "import numpy, pandas, matplotlib.pyplot"
READY = f"{IMPORTS}\nprint('ready', flush=True)"
_QUIET_SECONDS = 60.0


@contextlib.asynccontextmanager
async def running_engine(*, parked: int) -> AsyncIterator[EngineThread]:
    """An engine that has served a session, with warm imports and `parked` workers in its pool."""
    engine = await asyncio.to_thread(EngineThread, parked=parked)
    try:
        async with sandbox(engine) as box:
            await box.run(IMPORTS)
        await quiet(engine)
        yield engine
    finally:
        await asyncio.to_thread(engine.close)


@contextlib.asynccontextmanager
async def sandbox(engine: EngineThread, **options: object) -> AsyncIterator[LocalSandbox]:
    """A started sandbox; its session is deleted afterwards. Nothing is stored, unless `persist` says so."""
    box = LocalSandbox(engine=engine, **{"persist": False, **options})  # type: ignore[arg-type]
    await box.start()
    try:
        yield box
    finally:
        await box.delete()


async def quiet(engine: EngineThread) -> None:
    """Wait until the engine has nothing under way: imports are warm, its pool is full, what was ended is gone."""
    deadline = time.monotonic() + _QUIET_SECONDS
    while engine.busy():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the engine is still busy after {_QUIET_SECONDS:g} s")
        await asyncio.sleep(0.002)


def worker_pid(engine: EngineThread, box: LocalSandbox) -> int:
    """The pid on the host of a sandbox's worker, which the SDK does not tell."""
    cell: Cell | None = engine._engine.sessions.known(box.session_id).cell
    assert cell is not None
    return host_pid(cell.worker.pidfd)


async def worker_gone(engine: EngineThread, box: LocalSandbox) -> None:
    """Wait until a sandbox's worker has ended."""
    cell: Cell | None = engine._engine.sessions.known(box.session_id).cell
    deadline = time.monotonic() + _QUIET_SECONDS
    while cell is not None and cell.worker.alive:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the worker is still alive after {_QUIET_SECONDS:g} s")
        await asyncio.sleep(0.001)


async def isolation() -> str:
    """The level that sandboxes get here, and how many restrictions are in force."""
    engine = await asyncio.to_thread(EngineThread, parked=0)
    try:
        async with sandbox(engine) as box:
            return f"`{box.isolation}` with {len(box.enforced)} restrictions in force"
    finally:
        await asyncio.to_thread(engine.close)
