"""A whole process that runs one line: `sandbox run -c "print(1)"`, with an engine started and ended in it.

The sides alternate, one process at a time, so that each round has one of all.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import peers
from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.peers.ipykernel import seconds_to_first_result
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings

_CODE = "print(1)"
_PYTHON = [sys.executable, "-c", _CODE]
_TIMES_FASTER, _TIMES_THE_COST = 2, 12


async def measure(settings: Settings) -> list[Figure]:
    with surroundings() as variables:
        command = [*_sandbox(), "run", "-c", _CODE]
        sides = {"ours": Side(_process(command), warm_up=2), "python": Side(_process(_PYTHON), warm_up=2)}
        if settings.peers and peers.present("ipykernel"):
            sides["ipykernel"] = Side(_ipykernel(variables))
        found = await alternate(sides, settings.times(30, 6))
    return list(_figures(found))


def _figures(found: dict[str, Rounds]) -> Iterator[Figure]:
    what, ours = f"whole process of sandbox run -c '{_CODE}'", found["ours"]
    bare = f"python3 -c '{_CODE}', the same interpreter"
    yield compare(what, ours, bare, found["python"], better=False, goals=(Goal("ratio", "<=", _TIMES_THE_COST),))
    if "ipykernel" in found:
        goal = Goal("ratio", ">=", _TIMES_FASTER)
        yield compare(what, ours, f"ipykernel: start, reply to {_CODE}", found["ipykernel"], goals=(goal,))


def _sandbox() -> list[str]:
    """The installed command; the module where the package is only on the path."""
    installed = Path(sys.executable).with_name("sandbox")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "sandbox"]


def _process(arguments: list[str]) -> Measure:
    async def run() -> float:
        begin = time.perf_counter()
        ended = subprocess.run(arguments, capture_output=True, check=False)  # noqa: ASYNC221 - nothing else is to run
        seconds = time.perf_counter() - begin
        if ended.returncode or ended.stdout != b"1\n":
            raise RuntimeError(f"{arguments} printed {ended.stdout!r} and {ended.stderr.decode(errors='replace')}")
        return seconds

    return run


def _ipykernel(variables: dict[str, str]) -> Measure:
    async def start() -> float:
        return await seconds_to_first_result(variables, _CODE)

    return start
