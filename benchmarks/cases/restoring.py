"""A session with a large array, brought back in a worker that was waiting, or after its worker was killed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import quiet, running_engine, sandbox, worker_gone, worker_pid
from benchmarks.peers.saving import DILL, NAMES, SavingPeer, saving_peer, wanted
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from benchmarks.stored import LEAST, own_home, seconds_of
from sandbox import LocalSandbox
from sandbox.engine.thread import EngineThread

_MAKE = "import numpy; big = numpy.random.default_rng(0).random({count})"
_ASK = "float(big[-1])"
_PLAIN = "float(1)"
_OPENED, _KILLED = "in a new worker", "after its worker was killed"
# In MB: the goals, in seconds, and the memory that a sandbox needs for it.
_MOST_SECONDS = {100: 0.020, 1000: 0.050}
_MEMORY = {100: 1024, 1000: 4096}
_PARKED = 2
_OPENED_NOTE = (
    "from opening the session to the answer `float(big[-1])`, less the same for a new session: the worker itself is in "
    "both. One of 100 MB takes a parked worker; one that may use more memory than usual cannot, and both are forked. "
    "dill: load_session in a process that has imported numpy"
)
_KILLED_NOTE = (
    "from a request, when the worker was killed before, to its answer; less an execution that finds its worker"
)


async def measure(settings: Settings) -> list[Figure]:
    figures: list[Figure] = []
    with own_home() as home:
        async with running_engine(parked=_PARKED) as engine:
            for size, most in _MOST_SECONDS.items():
                amount = settings.size(size, size // 50)
                async with sandbox(engine, persist=True, memory=_MEMORY[size]) as box:
                    found = await _found(engine, box, home, amount, settings)
                figures += _figures(amount, most, found)
    return figures


async def _found(
    engine: EngineThread, box: LocalSandbox, home: Path, size: int, settings: Settings
) -> dict[str, Rounds]:
    make = _MAKE.format(count=size * 125_000)
    await box.run(make)
    expected = (await box.run(_ASK)).text
    sides = {_OPENED: Side(_opened(engine, box, expected), 2), _KILLED: Side(_killed(engine, box, expected), 2)}
    with surroundings() as variables, contextlib.ExitStack() as stack:
        for peer in wanted(settings, (DILL,)):
            process = stack.enter_context(saving_peer(peer, variables, home))
            process.run(make)
            sides[peer] = Side(_loaded(process, expected))
        return await alternate(sides, settings.times(10))


def _figures(size: int, most: float, found: dict[str, Rounds]) -> Iterator[Figure]:
    what = f"restoring {size:,} MB"
    if DILL in found:
        yield compare(f"{what} {_OPENED}", found[_OPENED], NAMES[DILL], found[DILL], note=_OPENED_NOTE)
    goals = (Goal("ours", "<=", most),)
    yield compare(f"{what} {_OPENED}: the time itself", found[_OPENED], goals=goals, note=_OPENED_NOTE)
    yield compare(f"{what} {_KILLED}", found[_KILLED], note=_KILLED_NOTE)


def _opened(engine: EngineThread, box: LocalSandbox, expected: str | None) -> Measure:
    """The difference of going on with the session and of beginning a new one."""

    async def opened() -> float:
        await box.stop()
        await quiet(engine)
        begin = time.perf_counter()
        await box.start()
        answer = await box.run(_ASK)
        restored = time.perf_counter() - begin
        _check(answer.text, expected)
        await quiet(engine)
        begin = time.perf_counter()
        async with sandbox(engine, persist=True, memory=box.options.memory) as new:
            await new.run(_PLAIN)
            made = time.perf_counter() - begin
        await quiet(engine)
        return max(restored - made, LEAST)

    return opened


def _killed(engine: EngineThread, box: LocalSandbox, expected: str | None) -> Measure:
    async def killed() -> float:
        plain = await seconds_of(box, _PLAIN)
        os.kill(worker_pid(engine, box), signal.SIGKILL)
        await worker_gone(engine, box)
        begin = time.perf_counter()
        answer = await box.run(_ASK)
        seconds = time.perf_counter() - begin
        _check(answer.text, expected)
        await quiet(engine)
        return max(seconds - plain, LEAST)

    return killed


def _loaded(process: SavingPeer, expected: str | None) -> Measure:
    async def loaded() -> float:
        seconds = process.restore()
        _check(process.evaluate(_ASK), expected)
        return seconds

    return loaded


def _check(answer: str | None, expected: str | None) -> None:
    if answer is None or answer != expected:
        raise RuntimeError(f"what was restored says {answer}, and it was {expected}")
