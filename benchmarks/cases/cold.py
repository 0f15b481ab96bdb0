"""A whole process that runs one line: `sandbox run -c "print(1)"`, with an engine started and ended in it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time

from benchmarks import peers
from benchmarks.figures import Figure, Goal, compare
from benchmarks.peers.ipykernel import seconds_to_first_result
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings

_CODE = "print(1)"
_PYTHON = [sys.executable, "-c", _CODE]
_SANDBOX = [sys.executable, "-m", "sandbox", "run", "-c", _CODE]


async def measure(settings: Settings) -> list[Figure]:
    if importlib.util.find_spec("sandbox.cli") is None:
        print("  cold is skipped: there is no command line yet", file=sys.stderr)
        return []
    with surroundings() as variables:
        sides = {"ours": Side(_process(_SANDBOX), 4), "python": Side(_process(_PYTHON), 4)}
        if settings.peers and peers.present("ipykernel"):
            sides["ipykernel"] = Side(_ipykernel(variables))
        found = await alternate(sides, settings.times(10))
    what = 'whole process of sandbox run -c "print(1)"'
    figures = [
        compare(
            what,
            found["ours"],
            'python -c "print(1)"',
            found["python"],
            better=False,
            goals=(Goal("ratio", "<=", 12),),
            note="the same interpreter",
        )
    ]
    if "ipykernel" in found:
        goal = Goal("ratio", ">=", 2)
        figures.append(compare(what, found["ours"], "ipykernel: start, reply", found["ipykernel"], goals=(goal,)))
    return figures


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
