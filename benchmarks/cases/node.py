"""JavaScript: a new sandbox against `node` in bubblewrap, a line against Python's, memory against a bare node."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from statistics import mean

from benchmarks import peers, proc
from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import quiet, running_engine, sandbox, worker_pid
from benchmarks.peers import bubblewrap
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from sandbox import LocalSandbox
from sandbox.engine import node
from sandbox.engine.thread import EngineThread
from sandbox.protocol.messages import EnvironmentSpec

_LANGUAGE = "javascript"
_CODE = "x = 1"
_PRINTS = "console.log(6 * 7)"
_POOLED, _BUBBLEWRAP = "a new sandbox", "bubblewrap"
_LINE, _OF_PYTHON = "a line", "the same line in Python"
_STORED, _OF_PYTHON_STORED = "a stored line", "the same stored line in Python"
_WAITS = "setInterval(() => {}, 1 << 30); console.log('ready')"
_BARE = 5


async def measure(settings: Settings) -> list[Figure]:
    program = node.find(EnvironmentSpec()).executable
    figures: list[Figure] = []
    async with running_engine(parked=2) as engine:
        async with sandbox(engine, language=_LANGUAGE) as first:
            await first.run(_PRINTS)  # its zygote is there from now on, and parks
        await quiet(engine)
        with surroundings() as variables:
            sides = {_POOLED: Side(_new_sandbox(engine), settings.size(12, 5))}
            if settings.peers and peers.present(_BUBBLEWRAP):
                sides[_BUBBLEWRAP] = Side(_peer(variables, program))
            found = await alternate(sides, settings.times(8))
        figures += _first_result(found)
        figures += await _lines(engine, settings)
        figures.append(await _memory(engine, program))
    return figures


def _first_result(found: dict[str, Rounds]) -> Iterator[Figure]:
    what = "new sandbox to first result in JavaScript, from the pool"
    peer = found.get(_BUBBLEWRAP)
    name = f"bubblewrap: node -e '{_PRINTS}'"
    yield compare(what, found[_POOLED], name, peer, goals=(Goal("ratio", ">=", 5),), note="a line printed and read")


def _new_sandbox(engine: EngineThread) -> Measure:
    async def new_sandbox() -> float:
        begin = time.perf_counter()
        async with sandbox(engine, language=_LANGUAGE) as box:
            execution = await box.run(_PRINTS)
            seconds = time.perf_counter() - begin
        if execution.stdout != "42\n":
            raise RuntimeError(f"a new sandbox printed {execution.stdout!r}")
        await quiet(engine)
        return seconds

    return new_sandbox


def _peer(variables: dict[str, str], program: str) -> Measure:
    async def start() -> float:
        return bubblewrap.seconds_to_end(variables, [program, "-e", _PRINTS])

    return start


async def _lines(engine: EngineThread, settings: Settings) -> list[Figure]:
    async with contextlib.AsyncExitStack() as stack:
        boxes = {
            name: await stack.enter_async_context(sandbox(engine, language=language, persist=persist))
            for name, language, persist in (
                (_LINE, _LANGUAGE, False), (_OF_PYTHON, "python", False),
                (_STORED, _LANGUAGE, True), (_OF_PYTHON_STORED, "python", True),
            )
        }  # fmt: skip
        sides = {name: Side(_run(box), settings.size(100, 50), warm_up=50) for name, box in boxes.items()}
        found = await alternate(sides, settings.times(20, 4))
    goals = (Goal("ratio", "<=", 1.3),)
    note = "in JavaScript the assignment has a value, which is shown"
    return [
        compare(f'warm run("{_CODE}") in JavaScript, {how}', found[ours], peer, found[peer], better=False, goals=goals,
                note=note)
        for how, ours, peer in (("nothing stored", _LINE, _OF_PYTHON), ("each one stored", _STORED, _OF_PYTHON_STORED))
    ]  # fmt: skip


def _run(box: LocalSandbox) -> Measure:
    async def run() -> float:
        begin = time.perf_counter()
        await box.run(_CODE)
        return time.perf_counter() - begin

    return run


async def _memory(engine: EngineThread, program: str) -> Figure:
    async with contextlib.AsyncExitStack() as stack:
        boxes = [await stack.enter_async_context(sandbox(engine, language=_LANGUAGE)) for _ in range(_BARE)]
        for box in boxes:
            await box.run("1")
        ours = mean(proc.private(worker_pid(engine, box)) for box in boxes)
    with contextlib.ExitStack() as bare:
        started = [_bare(bare, program) for _ in range(_BARE)]
        theirs = mean(proc.private(process.pid) for process in started)
    note = f"private memory, mean of {_BARE} alive at once"
    return compare(
        "memory of an idle session in JavaScript", [[ours]], "a node process that waits", [[theirs]], unit="bytes",
        better=False, goals=(Goal("ratio", "<=", 1.2),), note=note,
    )  # fmt: skip


def _bare(stack: contextlib.ExitStack, program: str) -> subprocess.Popen[bytes]:
    process = stack.enter_context(subprocess.Popen([program, "-e", _WAITS], stdout=subprocess.PIPE))
    stack.callback(process.kill)
    assert process.stdout is not None
    process.stdout.readline()
    return process
