"""100 MB of standard output, in lines and in large pieces, until all of it is in hand as text."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks import proc
from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import running_engine, sandbox
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from sandbox import LocalSandbox

_LINE = 100
_PIECE = 1_000_000
_LINES = "line = 'x' * {length}\nfor _ in range({count}): print(line)"
_PIECES = "import sys\npiece = ('x' * {length} + '\\n') * {lines}\nfor _ in range({count}): sys.stdout.write(piece)"
# Half of what is printed: a host that kept what it passes on would need twice that.
_MOST_GROWTH = 50e6


async def measure(settings: Settings) -> list[Figure]:
    size = settings.size(100, 10) * _PIECE
    programs = {
        "one million lines": _LINES.format(length=_LINE - 1, count=size // _LINE),
        "pieces of 1 MB": _PIECES.format(length=_LINE - 1, lines=_PIECE // _LINE, count=size // _PIECE),
    }
    figures = []
    async with running_engine(parked=0) as engine, sandbox(engine, output=1000, timeout=120) as box:
        for kind, program in programs.items():
            sides = {"ours": Side(_run(box, program, size)), "subprocess": Side(_subprocess(program, size))}
            found = await alternate(sides, settings.times(5))
            figures.append(_figure(size, kind, found))
        grown = [[await _growth(box, program, size) for program in programs.values()]]
    goals = (Goal("ours", "<=", _MOST_GROWTH),) if not settings.quick else ()
    figures.append(
        compare(
            f"host memory while {size // _PIECE} MB are streamed",
            grown,
            unit="bytes",
            goals=goals,
            note="the most that the process grew while it passed all of it on and kept none",
        )
    )
    return figures


def _figure(size: int, kind: str, found: dict[str, Rounds]) -> Figure:
    return compare(
        f"{size // _PIECE} MB of stdout, {kind if size == 100 * _PIECE else kind.replace('one million ', '')}",
        found["ours"],
        "subprocess with a pipe, same program",
        found["subprocess"],
        better=False,
        goals=(Goal("ratio", "<=", 2),),
    )


def _run(box: LocalSandbox, program: str, size: int) -> Measure:
    async def run() -> float:
        begin = time.perf_counter()
        execution = await box.run(program)
        text = execution.stdout
        seconds = time.perf_counter() - begin
        _check(len(text), size)
        return seconds

    return run


def _subprocess(program: str, size: int) -> Measure:
    async def run() -> float:
        begin = time.perf_counter()
        ended = subprocess.run(  # noqa: ASYNC221 - nothing else is to run meanwhile
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True
        )
        seconds = time.perf_counter() - begin
        _check(len(ended.stdout), size)
        return seconds

    return run


async def _growth(box: LocalSandbox, program: str, size: int) -> float:
    before = proc.forget_peak()
    seen = 0
    async for event in box.stream(program):
        seen += len(getattr(event, "text", None) or "")
    _check(seen, size)
    return proc.peak() - before


def _check(seen: int, size: int) -> None:
    if seen != size:
        raise RuntimeError(f"{seen} characters came of {size}")
