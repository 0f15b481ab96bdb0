"""What is added to an execution that changes nothing, or a scalar, by its being stored: with a large array around."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import running_engine
from benchmarks.peers.disk import Disk, disk
from benchmarks.peers.saving import DILL, KISHU, NAMES, SavingPeer, saving_peer, wanted
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from benchmarks.stored import Pair, own_home, pair

CELLS = {"nothing": "v1 + 1", "a scalar": "v2 += 1"}
_SETUP = """
import numpy, math
big = numpy.random.default_rng(0).random({count})
v1, v2, v3, ratio, flag, nothing = 1, 2, 3, 0.5, True, None
name, path, words = "a name", "/a/path", ["some", "words"]
table, pairs, point = {{"a": 1, "b": [2, 3]}}, [(1, 2), (3, 4)], (0.0, 1.0)
def area(r): return math.pi * r * r
class Point:
    def __init__(self, x): self.x = x
origin = Point(0)
"""
_TIMES_FASTER = {DILL: 100, KISHU: 50}
_MOST_SECONDS, _MOST_OF_99 = 0.0003, 0.001
_DISK = "the disk alone: 4 kB, synced"
_OWN_SAMPLES, _PEER_SAMPLES = 60, 2
_NOTE = (
    "with an array of {size:,} MB and 15 small values in the session; ours is the difference of two executions, of "
    "which one is stored, on the disk before its reply; of the peers, saving alone"
)


async def measure(settings: Settings) -> list[Figure]:
    size = settings.size(100, 4)
    setup = _SETUP.format(count=size * 125_000)
    with own_home() as home, surroundings() as variables, contextlib.ExitStack() as stack:
        async with running_engine(parked=0) as engine, pair(engine) as ours:
            await ours.run(setup)
            samples = settings.size(_OWN_SAMPLES, 20)
            sides = {what: Side(_added(ours, code), samples, warm_up=20) for what, code in CELLS.items()}
            sides[_DISK] = Side(_synced(stack.enter_context(disk(home))), samples, warm_up=20)
            for peer in wanted(settings):
                sides |= _peer(stack.enter_context(saving_peer(peer, variables, home)), peer, setup)
            found = await alternate(sides, settings.times(16))
    note = _NOTE.format(size=size)
    return list(itertools.chain.from_iterable(_figures(what, found, note) for what in CELLS))


def _figures(what: str, found: dict[str, Rounds], note: str) -> Iterator[Figure]:
    told = f"added to an execution that changes {what}"
    for peer in (peer for peer in NAMES if f"{peer}: {what}" in found):
        goal = Goal("ratio", ">=", _TIMES_FASTER[peer])
        yield compare(told, found[what], NAMES[peer], found[f"{peer}: {what}"], goals=(goal,), note=note)
    goals = (Goal("ours", "<=", _MOST_SECONDS), Goal("p99", "<=", _MOST_OF_99))
    yield compare(f"{told}: the time itself", found[what], _DISK, found[_DISK], better=False, goals=goals, note=note)


def _added(ours: Pair, code: str) -> Measure:
    async def added() -> float:
        return await ours.added(code)

    return added


def _synced(alone: Disk) -> Measure:
    async def sync() -> float:
        return alone.seconds()

    return sync


def _peer(peer: SavingPeer, name: str, setup: str) -> dict[str, Side]:
    peer.run(setup)

    def saving(code: str) -> Measure:
        async def save() -> float:
            return peer.run(code)[0]

        return save

    return {f"{name}: {what}": Side(saving(code), _PEER_SAMPLES, warm_up=2) for what, code in CELLS.items()}
