"""Many sandboxes alive at once: how fast they are made, and whether each of them answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import time

from benchmarks import peers, proc
from benchmarks.figures import Figure, Goal, compare
from benchmarks.ours import IMPORTS, READY, running_engine, sandbox
from benchmarks.peers import bubblewrap
from benchmarks.peers.surroundings import surroundings
from benchmarks.settings import Settings
from sandbox import LocalSandbox
from sandbox.engine.thread import EngineThread

_BYTES_EACH = 10e6
_DESCRIPTORS_EACH = 10
# More at once than there are cores wait for each other, and are made no faster.
_AT_ONCE = len(os.sched_getaffinity(0))
_MOST_SECONDS = 150.0


async def measure(settings: Settings) -> list[Figure]:
    count = _affordable(settings.size(1000, 50))
    async with running_engine(parked=0) as engine, contextlib.AsyncExitStack() as stack:
        async with asyncio.timeout(_MOST_SECONDS):
            begin = time.perf_counter()
            boxes = await _make(engine, stack, count)
            made = time.perf_counter()
            answers = await asyncio.gather(*(_ask(box, number) for number, box in enumerate(boxes)))
            answered = time.perf_counter()
    rate = [[count / (made - begin)]]
    right = sum(answers)
    if right < count:
        raise RuntimeError(f"{count - right} of {count} sandboxes did not answer rightly")
    goals = (Goal("ours", ">=", 100.0),)
    note = f"all {right} alive at once and answered, {right / (answered - made):,.0f} executions a second"
    peer = _peer_rate(settings)
    name = "bubblewrap: start, python, imports"
    what = f"{count:,} sandboxes made with those imports"
    return [compare(what, rate, name if peer else "", peer, unit="/s", goals=goals, note=note)]


def _affordable(wanted: int) -> int:
    """As many as there is memory for, and descriptors in this process."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = {"free memory": proc.available() / _BYTES_EACH, "open files": (descriptors - 200) / _DESCRIPTORS_EACH}
    if descriptors == resource.RLIM_INFINITY:
        del most["open files"]
    for what, number in most.items():
        if number < wanted:
            wanted = max(1, int(number))
            print(f"  many is scaled down to {wanted} sandboxes: {what} is short", file=sys.stderr)
    return wanted


async def _make(engine: EngineThread, stack: contextlib.AsyncExitStack, count: int) -> list[LocalSandbox]:
    turn = asyncio.Semaphore(_AT_ONCE)

    async def make() -> LocalSandbox:
        async with turn:
            return await stack.enter_async_context(sandbox(engine))

    return await asyncio.gather(*(make() for _ in range(count)))


async def _ask(box: LocalSandbox, number: int) -> bool:
    execution = await box.run(f"{IMPORTS}\nprint({number} * 2)")
    return execution.stdout == f"{number * 2}\n"


def _peer_rate(settings: Settings) -> list[list[float]] | None:
    """A few, one after the other: more of them at once are not made faster on two cores."""
    if not settings.peers or not peers.present("bubblewrap"):
        return None
    with surroundings() as variables:
        bubblewrap.seconds_to_first_line(variables, READY)
        return [[1 / bubblewrap.seconds_to_first_line(variables, READY) for _ in range(settings.size(5, 2))]]
