"""Many sandboxes alive at once: how fast they are made, and whether each of them answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks import peers, proc
from benchmarks.figures import Figure, Goal, Rounds, compare
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
_MOST_SECONDS = 100.0
_LEAST_A_SECOND = 100.0
_PEERS = 12


async def measure(settings: Settings) -> list[Figure]:
    count = _affordable(settings.size(1000, 50))
    few = settings.size(_PEERS, 4)
    made: Rounds = []
    answered: Rounds = []
    peer: Rounds = []
    with surroundings() as variables:
        for _ in range(settings.times(3, 1)):
            if settings.peers and peers.present("bubblewrap"):
                peer.append([await asyncio.to_thread(_peer_rate, variables, few)])
            rates = await _rates(count)
            made.append([rates[0]])
            answered.append([rates[1]])
    name = "bubblewrap: start, python, imports"
    note = (
        f"all {count:,} alive at once, and all answered rightly; made {_AT_ONCE} at once, and so were the peer's {few}"
    )
    return [
        compare(
            f"{count:,} sandboxes made with those imports",
            made,
            name if peer else "",
            peer or None,
            unit="/s",
            goals=(Goal("ours", ">=", _LEAST_A_SECOND),),
            note=note,
        ),
        compare(f"then each of the {count:,} runs once", answered, unit="/s", note=note),
    ]


async def _rates(count: int) -> tuple[float, float]:
    """Make that many, let each run once; return how many there were a second of the one and of the other."""
    async with running_engine(parked=0) as engine, contextlib.AsyncExitStack() as stack:
        async with asyncio.timeout(_MOST_SECONDS):
            begin = time.perf_counter()
            boxes = await _make(engine, stack, count)
            made = time.perf_counter()
            answers = await asyncio.gather(*(_ask(box, number) for number, box in enumerate(boxes)))
            answered = time.perf_counter()
    if wrong := answers.count(False):
        raise RuntimeError(f"{wrong} of {count} sandboxes did not answer rightly")
    return count / (made - begin), count / (answered - made)


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


def _peer_rate(variables: dict[str, str], count: int) -> float:
    """Make that many, as many at once as ours, and keep them alive until the last is made."""
    bubblewrap.seconds_to_first_line(variables, READY)
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(_AT_ONCE) as threads:
        begin = time.perf_counter()
        made = [threads.submit(bubblewrap.alive, stack, variables, READY) for _ in range(count)]
        for one in made:
            one.result()
        return count / (time.perf_counter() - begin)
