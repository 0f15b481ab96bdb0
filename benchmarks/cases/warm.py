"""A line in a sandbox that waits for it: the way there and back through every layer.

How long one process takes to wake another depends most on whether they share a core. Two that do nothing but wake
each other are left on one core by the kernel, where a way there and back takes 5 us; from one core to another it takes
50 to 80 us on small virtual machines. A sandbox's threads and worker have work of their own, and get the one or the
other as it happens. So there are two comparisons with the ping-pong, each with the sides in turns within seconds:

* Across cores, which has the goal: this process on one core, and the other side's process on another, for ours and for
  the ping-pong in the same way. Both pay for waking a core, and the figure is the same on every run.
* Left alone: nobody is pinned, as users have it. The ratio says less about us than about where the kernel has put whom.

ipykernel is measured left alone: it has several threads of its own, as we have.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator

from benchmarks import peers
from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import running_engine, sandbox, worker_pid
from benchmarks.peers.ipykernel import ipykernel
from benchmarks.peers.pingpong import PingPong, ping_pong
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from sandbox import LocalSandbox

_CODE = "x = 1"
_WHAT = f'warm run("{_CODE}")'
_PING_PONG = "ping-pong of two Python processes"
_ALONE = "nobody is pinned: the kernel lets the two of the ping-pong share a core"
_APART = "host and worker are pinned to a core each, and so are the two of the ping-pong"


async def measure(settings: Settings) -> list[Figure]:
    async with running_engine(parked=0) as engine, sandbox(engine) as box:
        with ping_pong() as bare:
            sides = {
                "ours": Side(_run(box), settings.size(200, 100), warm_up=200),
                "ping-pong": Side(_ping(bare), settings.size(500, 200), warm_up=200),
            }
            async with _ipykernel(settings) as sides_of_peer:
                found = await alternate(sides | sides_of_peer, settings.times(20, 4))
            with _apart({worker_pid(engine, box), bare.pid}) as apart:
                pinned = await alternate(sides, settings.times(20, 4)) if apart else {}
    return [*_left_alone(found), *_across_cores(pinned)]


def _left_alone(found: dict[str, Rounds]) -> list[Figure]:
    figures = [compare(_WHAT, found["ours"], _PING_PONG, found["ping-pong"], better=False, note=_ALONE)]
    if "ipykernel" in found:
        goal = Goal("ratio", ">=", 15)
        name = "ipykernel: request, reply, end of output"
        figures.insert(0, compare(_WHAT, found["ours"], name, found["ipykernel"], goals=(goal,)))
    return figures


def _across_cores(pinned: dict[str, Rounds]) -> list[Figure]:
    if not pinned:
        return []
    what = f"{_WHAT}, across cores"
    goal = Goal("ratio", "<=", 6)
    ours, bare = pinned["ours"], pinned["ping-pong"]
    return [compare(what, ours, f"{_PING_PONG}, across cores", bare, better=False, goals=(goal,), note=_APART)]


def _run(box: LocalSandbox) -> Measure:
    async def run() -> float:
        begin = time.perf_counter()
        await box.run(_CODE)
        return time.perf_counter() - begin

    return run


def _ping(bare: PingPong) -> Measure:
    async def ping() -> float:
        return bare.seconds()

    return ping


@contextlib.asynccontextmanager
async def _ipykernel(settings: Settings) -> AsyncIterator[dict[str, Side]]:
    """The peer's side: silent, without history, through its asynchronous client."""
    if not settings.peers or not peers.present("ipykernel"):
        yield {}
        return
    with surroundings() as variables:
        async with ipykernel(variables) as peer:
            # Its output channel is connected some time after it has answered.
            await peer.first(_CODE)
            await peer.until_output_comes()

            async def run() -> float:
                begin = time.perf_counter()
                await peer.run(_CODE)
                return time.perf_counter() - begin

            yield {"ipykernel": Side(run, settings.size(50, 25), warm_up=50)}


@contextlib.contextmanager
def _apart(others: set[int]) -> Iterator[bool]:
    """Keep this process with all its threads on one core and the others on another; False where there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        yield False
        return
    ours = [int(task) for task in os.listdir("/proc/self/task")]
    for pid in ours:
        os.sched_setaffinity(pid, cores[:1])
    for pid in others:
        os.sched_setaffinity(pid, cores[1:2])
    try:
        yield True
    finally:
        for pid in ours:
            os.sched_setaffinity(pid, cores)
