"""A command beside the session's code."""

from __future__ import annotations

import time

from benchmarks import peers
from benchmarks.figures import Figure, compare
from benchmarks.ours import running_engine, sandbox
from benchmarks.peers import bubblewrap
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from sandbox import LocalSandbox

_PROGRAM = "true"


async def measure(settings: Settings) -> list[Figure]:
    async with running_engine(parked=0) as engine, sandbox(engine) as box:
        with surroundings() as variables:
            sides = {"ours": Side(_command(box), 10)}
            if settings.peers and peers.present("bubblewrap"):
                sides["bubblewrap"] = Side(_bubblewrap(variables), 10)
            found = await alternate(sides, settings.times(8))
    peer = found.get("bubblewrap")
    name = "subprocess of bubblewrap" if peer else ""
    return [compare(f'command.run("{_PROGRAM}")', found["ours"], name, peer)]


def _command(box: LocalSandbox) -> Measure:
    async def run() -> float:
        begin = time.perf_counter()
        execution = await box.command.run(_PROGRAM, check=True)
        seconds = time.perf_counter() - begin
        assert execution.ok
        return seconds

    return run


def _bubblewrap(variables: dict[str, str]) -> Measure:
    async def run() -> float:
        return bubblewrap.seconds_to_end(variables, [_PROGRAM])

    return run
