"""What a sandbox keeps in memory, idle after the imports, and after a first use of pandas."""

from __future__ import annotations

import asyncio
import contextlib
import os
from statistics import mean

from benchmarks import peers, proc
from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import IMPORTS, running_engine, sandbox, worker_pid
from benchmarks.peers.ipykernel import ipykernel
from benchmarks.peers.surroundings import surroundings
from benchmarks.settings import Settings
from sandbox import LocalSandbox
from sandbox.engine.thread import EngineThread

FIRST_USE = """
import gc, pandas
frame = pandas.DataFrame({"group": list("abcd") * 250, "value": range(1000)})
gc.collect()
"""
MORE_USE = """
totals = frame.groupby("group").value.sum()
described = frame.describe()
gc.collect()
"""
_PEERS = 3
_MB = 1e6


async def measure(settings: Settings) -> list[Figure]:
    count = settings.size(100, 20)
    async with running_engine(parked=0) as engine, contextlib.AsyncExitStack() as stack:
        boxes = [await stack.enter_async_context(sandbox(engine)) for _ in range(count)]
        idle = await _after(IMPORTS, engine, boxes)
        total = _all_processes() / count
        first = await _after(FIRST_USE, engine, boxes)
        more = await _after(MORE_USE, engine, boxes)
    peer_idle, peer_first, peer_more = await _peer(settings)
    name = "ipykernel after the same"
    note = f"PSS, mean of {count} alive at once; {_PEERS} of the peer"
    all_note = f"the {count} workers, zygote and keeper together, for each"
    idle_goals, used_goals = (Goal("ours", "<=", 4 * _MB),), (Goal("ours", "<=", 7 * _MB),)
    return [
        compare("memory, idle after the imports", idle, name, peer_idle, unit="bytes", goals=idle_goals, note=note),
        compare(
            "memory, after a first use of pandas",
            first,
            name,
            peer_first,
            unit="bytes",
            goals=used_goals,
            note=f"a frame of 1,000 rows was made, then a gc; {note}",
        ),
        compare(
            "memory, after more of pandas",
            more,
            name,
            peer_more,
            unit="bytes",
            note=f"then groupby, sum and describe, and a gc; {note}",
        ),
        compare("memory, idle, everything counted", [[total]], name, peer_idle, unit="bytes", note=all_note),
    ]


async def _after(code: str, engine: EngineThread, boxes: list[LocalSandbox]) -> Rounds:
    """Run `code` in all of them; return the mean when all have."""
    for box in boxes:
        await box.run(code)
    return [[mean(proc.pss(worker_pid(engine, box)) for box in boxes)]]


def _all_processes() -> float:
    """Everything that this process has started."""
    return sum(map(proc.pss, proc.descendants(os.getpid())))


async def _peer(settings: Settings) -> tuple[Rounds | None, Rounds | None, Rounds | None]:
    """The mean of a few at once, so that libraries which they share count in parts, as ours do."""
    if not settings.peers or not peers.present("ipykernel"):
        return None, None, None
    found = []
    async with contextlib.AsyncExitStack() as stack:
        variables = stack.enter_context(surroundings())
        processes = [await stack.enter_async_context(ipykernel(variables)) for _ in range(_PEERS)]
        for code in (IMPORTS, FIRST_USE, MORE_USE):
            await asyncio.gather(*(process.first(code) for process in processes))
            found.append([[mean(proc.pss(process.pid) for process in processes)]])
    return found[0], found[1], found[2]
