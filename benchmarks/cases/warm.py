"""A line in a sandbox that waits for it: the way there and back through every layer.

How long one process takes to wake another depends most on whether they share a core. Two that do nothing but wake
each other are left on one core by the kernel, where a way there and back takes 5 us; from one core to another it takes
30 to 80 us on small virtual machines. A sandbox's threads and its worker have work of their own, and get the one or the
other as it happens. So there are two comparisons with the ping-pong, both judged by the goal, which was set for a
ping-pong of 45 to 60 us and so for the second:

* Nobody is pinned, as users have it. The ratio says more about where the kernel has put the ping-pong than about us.
* Across cores: this process on one core, and the other side's process on another, for ours and for the ping-pong in
  the same way. Both pay for waking a core.

ipykernel has nobody pinned: it has several threads of its own, as we have.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator

from benchmarks import peers
from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import running_engine, sandbox, worker_pid
from benchmarks.peers.ipykernel import Ipykernel, ipykernel
from benchmarks.peers.pingpong import PingPong, ping_pong
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from sandbox import LocalSandbox

_CODE = "x = 1"
_WHAT = f'warm run("{_CODE}"), nothing stored'
_STORED = f'warm run("{_CODE}"), each one stored'
_PING_PONG = "ping-pong of two Python processes"
_AS_USED, _SILENT = "ipykernel, as its client does", "ipykernel, silent and without history"
_NOT_SLOWER = Goal("ratio", ">=", 15)
_NOT_SLOWER_STORED = Goal("ratio", ">=", 12)
_NOT_COSTLIER = Goal("ratio", "<=", 6)
_ALONE = "nobody is pinned: the kernel lets the two of the ping-pong share a core; the goal has one of 50 us in mind"
_APART = "host and worker are pinned to a core each, and so are the two of the ping-pong"
_DURABLE = "variables, history and output are on the disk before the reply: the disk's own time is in it"
_ANSWERS = "request, reply and end of output; ours keeps a history too"


async def measure(settings: Settings) -> list[Figure]:
    async with running_engine(parked=0) as engine, sandbox(engine) as box, sandbox(engine, persist=True) as stored:
        with ping_pong() as bare:
            sides = {
                "ours": Side(_run(box), settings.size(200, 100), warm_up=200),
                _STORED: Side(_run(stored), settings.size(100, 50), warm_up=50),
                _PING_PONG: Side(_ping(bare), settings.size(500, 200), warm_up=200),
            }
            async with _ipykernel(settings) as sides_of_peer:
                found = await alternate(sides | sides_of_peer, settings.times(20, 4))
            with _apart({worker_pid(engine, box), bare.pid}) as apart:
                pinned = await alternate(sides, settings.times(20, 4)) if apart else {}
    return [*_left_alone(found), *_across_cores(pinned)]


def _left_alone(found: dict[str, Rounds]) -> Iterator[Figure]:
    ours = found["ours"]
    for peer in (name for name in (_AS_USED, _SILENT) if name in found):
        yield compare(_WHAT, ours, peer, found[peer], goals=(_NOT_SLOWER,), note=_ANSWERS)
        yield compare(_STORED, found[_STORED], peer, found[peer], goals=(_NOT_SLOWER_STORED,), note=_DURABLE)
    bare = found[_PING_PONG]
    yield compare(_WHAT, ours, _PING_PONG, bare, better=False, goals=(_NOT_COSTLIER,), note=_ALONE)


def _across_cores(pinned: dict[str, Rounds]) -> Iterator[Figure]:
    if pinned:
        what, peer = f"{_WHAT}, across cores", f"{_PING_PONG}, across cores"
        ours, bare = pinned["ours"], pinned[_PING_PONG]
        yield compare(what, ours, peer, bare, better=False, goals=(_NOT_COSTLIER,), note=_APART)


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
    """The peer's sides, through its asynchronous client."""
    if not settings.peers or not peers.present("ipykernel"):
        yield {}
        return
    with surroundings() as variables:
        async with ipykernel(variables) as peer:
            # Its output channel is connected some time after it has answered.
            await peer.first(_CODE)
            await peer.until_output_comes()
            samples = settings.size(50, 25)
            yield {
                _AS_USED: Side(_request(peer, silent=False), samples, warm_up=50),
                _SILENT: Side(_request(peer, silent=True), samples, warm_up=50),
            }


def _request(peer: Ipykernel, *, silent: bool) -> Measure:
    async def request() -> float:
        begin = time.perf_counter()
        await peer.run(_CODE, silent=silent)
        return time.perf_counter() - begin

    return request


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
