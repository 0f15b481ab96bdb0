"""From nothing to the first result of `import numpy, pandas, matplotlib.pyplot`, while the engine is running."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks import peers
from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import IMPORTS, READY, quiet, running_engine, sandbox
from benchmarks.peers import bubblewrap
from benchmarks.peers.ipykernel import seconds_to_first_result
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from sandbox.engine.thread import EngineThread

UNPOOLED, POOLED, IPYKERNEL, BUBBLEWRAP = "unpooled", "from the pool", "ipykernel", "bubblewrap"
_PARKED = 2
_MOST_SECONDS = {UNPOOLED: 0.010, POOLED: 0.002}
_TIMES_FASTER = {IPYKERNEL: 100, BUBBLEWRAP: 80}
_NOTE = f"the result of `{IMPORTS}` and a line printed, while the engine is running"
_HOW = {
    IPYKERNEL: "start, imports, reply",
    BUBBLEWRAP: "start, python, imports, first line",
}


async def measure(settings: Settings) -> list[Figure]:
    async with running_engine(parked=0) as bare, running_engine(parked=_PARKED) as pooled:
        with surroundings() as variables:
            sides = {
                UNPOOLED: Side(_new_sandbox(bare), settings.size(12, 5)),
                POOLED: Side(_new_sandbox(pooled), settings.size(12, 5)),
            } | (_peers(variables) if settings.peers else {})
            found = await alternate(sides, settings.times(8))
    return [figure for ours in (UNPOOLED, POOLED) for figure in _figures(ours, found)]


def _new_sandbox(engine: EngineThread) -> Measure:
    async def new_sandbox() -> float:
        begin = time.perf_counter()
        async with sandbox(engine) as box:
            execution = await box.run(READY)
            seconds = time.perf_counter() - begin
        if execution.stdout != "ready\n":
            raise RuntimeError(f"a new sandbox printed {execution.stdout!r}")
        await quiet(engine)
        return seconds

    return new_sandbox


def _peers(variables: dict[str, str]) -> dict[str, Side]:
    async def start_ipykernel() -> float:
        return await seconds_to_first_result(variables, READY)

    async def start_bubblewrap() -> float:
        return bubblewrap.seconds_to_first_line(variables, READY)

    both = {IPYKERNEL: Side(start_ipykernel), BUBBLEWRAP: Side(start_bubblewrap)}
    return {name: side for name, side in both.items() if peers.present(name)}


def _figures(ours: str, found: dict[str, Rounds]) -> Iterator[Figure]:
    """Against each peer, then alone."""
    what = f"new sandbox to first result, {ours}"
    for peer in (name for name in found if name in _HOW):
        goal = Goal("ratio", ">=", _TIMES_FASTER[peer])
        yield compare(what, found[ours], f"{peer}: {_HOW[peer]}", found[peer], goals=(goal,), note=_NOTE)
    bound = Goal("ours", "<=", _MOST_SECONDS[ours])
    yield compare(f"{what}: the time itself", found[ours], goals=(bound,), note=_NOTE)
