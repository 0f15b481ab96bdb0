"""Forks of a session: one with a large array, whose memory they share, and many of a small one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from benchmarks import proc
from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import quiet, running_engine, sandbox, worker_pid
from benchmarks.peers.saving import DILL, NAMES, saving_peer, wanted
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from benchmarks.stored import own_home
from sandbox import LocalSandbox
from sandbox.engine.thread import EngineThread

_MAKE = "import numpy; big = numpy.random.default_rng(0).random({count})"
_ASK, _READ_ALL = "float(big[-1])", "float(big.sum())"
_SMALL = "import random; names = ['some', 'words']; seen = {'a': 1}"
_MEMORY = 4096
_MOST_SECONDS, _MOST_SECONDS_OF_MANY = 0.060, 1.2
# Not a goal that was set: a hundredth of the array, and what any worker changes of the zygote's memory.
_MOST_PRIVATE = 20e6
_CHILDREN = 4
_NOTE = "from the call to the answer `float(big[-1])`; dill: a dump, and loading it in a new process that has numpy"
_PRIVATE_NOTE = f"private pages, clean and dirty, the mean of {_CHILDREN} forks; each has read all of the array"
_MANY_NOTE = "from the call until each has answered; all are alive at once"


async def measure(settings: Settings) -> list[Figure]:
    size, count = settings.size(1000, 16), settings.size(100, 4)
    with own_home() as home:
        async with running_engine(parked=0) as engine:
            large = await _large(engine, home, size, settings)
            async with sandbox(engine, persist=True) as box:
                await box.run(_SMALL)
                many = await alternate({"ours": Side(_forked(engine, box, count))}, settings.times(3, 1))
    goal = Goal("ours", "<=", _MOST_SECONDS_OF_MANY)
    return [*large, compare(f"{count} forks of a small session", many["ours"], goals=(goal,), note=_MANY_NOTE)]


async def _large(engine: EngineThread, home: Path, size: int, settings: Settings) -> list[Figure]:
    make = _MAKE.format(count=size * 125_000)
    async with sandbox(engine, persist=True, memory=_MEMORY) as box:
        await box.run(make)
        sides = {"ours": Side(_answered(engine, box), 2)}
        copied: list[float] = []
        with surroundings() as variables:
            for peer in wanted(settings, (DILL,)):
                sides[peer] = Side(_copied(peer, variables, home, make, copied))
            found = await alternate(sides, settings.times(5))
        private = await _private(engine, box)
    return list(_figures(size, found, private, copied))


def _figures(size: int, found: dict[str, Rounds], private: float, copied: list[float]) -> Iterator[Figure]:
    what = f"fork of a session with {size:,} MB, until it answers"
    if DILL in found:
        yield compare(what, found["ours"], NAMES[DILL], found[DILL], note=_NOTE)
    yield compare(f"{what}: the time itself", found["ours"], goals=(Goal("ours", "<=", _MOST_SECONDS),), note=_NOTE)
    peer = [[mean(copied)]] if copied else None
    name = "a process that loaded dill's dump" if copied else ""
    goals = (Goal("ours", "<=", _MOST_PRIVATE),)
    told = f"memory of its own of a fork that reads {size:,} MB"
    yield compare(told, [[private]], name, peer, unit="bytes", goals=goals, note=_PRIVATE_NOTE)


def _answered(engine: EngineThread, box: LocalSandbox) -> Measure:
    async def answered() -> float:
        expected = (await box.run(_ASK)).text
        begin = time.perf_counter()
        (child,) = await box.fork()
        answer = await child.run(_ASK)
        seconds = time.perf_counter() - begin
        await child.delete()
        await quiet(engine)
        if answer.text != expected:
            raise RuntimeError(f"a fork answered {answer.text}, its parent {expected}")
        return seconds

    return answered


async def _private(engine: EngineThread, box: LocalSandbox) -> float:
    """Of several at once: a page that only one had mapped would not be shared with anybody."""
    children = await box.fork(_CHILDREN)
    try:
        for child in children:
            await child.run(_READ_ALL)
        return mean(proc.private(worker_pid(engine, child)) for child in children)
    finally:
        for child in children:
            await child.delete()


def _copied(peer: str, variables: dict[str, str], home: Path, make: str, private: list[float]) -> Measure:
    async def copied() -> float:
        with contextlib.ExitStack() as stack:
            parent = stack.enter_context(saving_peer(peer, variables, home))
            saving, _ = parent.run(make)
            begin = time.perf_counter()
            child = stack.enter_context(saving_peer(peer, variables, home))
            child.restore(parent.directory)
            child.evaluate(_ASK)
            seconds = saving + time.perf_counter() - begin
            child.evaluate(_READ_ALL)
            private.append(proc.private(child.pid))
            return seconds

    return copied


def _forked(engine: EngineThread, box: LocalSandbox, count: int) -> Measure:
    async def forked() -> float:
        begin = time.perf_counter()
        children = await box.fork(count)
        answers = await asyncio.gather(*(child.run("seen['a'], names") for child in children))
        seconds = time.perf_counter() - begin
        for child in children:
            await child.delete()
        await quiet(engine)
        if {answer.text for answer in answers} != {"(1, ['some', 'words'])"}:
            raise RuntimeError("not all forks have what their parent had")
        return seconds

    return forked
