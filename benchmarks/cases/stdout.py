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
from sandbox.engine.thread import EngineThread

_LINE = 100
_PIECE = 1_000_000
_LINES = "line = 'x' * {length}\nfor _ in range({count}): print(line)"
_PIECES = "import sys\npiece = ('x' * {length} + '\\n') * {lines}\nfor _ in range({count}): sys.stdout.write(piece)"
# Three times the default limit of a stream: the text that is kept, its pieces until they are joined, and what is on
# its way.
_MOST_GROWTH = 30e6
_TIME_NOTE = "ours runs in a sandbox that is there, the peer's time includes the start of its interpreter"
_KEPT_NOTE = "the most that the process with the engine grew; an execution keeps what was printed, up to the limit"


async def measure(settings: Settings) -> list[Figure]:
    size = settings.size(100, 10) * _PIECE
    programs = {
        f"in lines of {_LINE}": _LINES.format(length=_LINE - 1, count=size // _LINE),
        f"in pieces of {_PIECE:,}": _PIECES.format(length=_LINE - 1, lines=_PIECE // _LINE, count=size // _PIECE),
    }
    figures = []
    async with running_engine(parked=0) as engine:
        # First of all: what is kept meanwhile leaves memory that could be used again without growth.
        memory = await _memory(engine, list(programs.values()), size)
        async with sandbox(engine, output=1000, timeout=120) as box:
            for kind, program in programs.items():
                sides = {"ours": Side(_run(box, program, size)), "subprocess": Side(_subprocess(program, size))}
                found = await alternate(sides, settings.times(5))
                figures.append(_figure(size, kind, found))
    return [*figures, *memory]


async def _memory(engine: EngineThread, programs: list[str], size: int) -> list[Figure]:
    """Of the host, at the default limit and at one that lets everything through."""
    what, goal = f"host memory while {size // _PIECE} MB are printed", Goal("ours", "<=", _MOST_GROWTH)
    async with sandbox(engine, timeout=120) as box:
        grown = [
            [max([await _growth(box, program, min(size, int(box.options.output * _PIECE))) for program in programs])]
        ]
    figures = [compare(f"{what}, limit 10 MB", grown, unit="bytes", goals=(goal,), note=_KEPT_NOTE)]
    async with sandbox(engine, output=1000, timeout=120) as box:
        grown = [[max([await _growth(box, program, size) for program in programs])]]
    return [*figures, compare(f"{what}, limit 1,000 MB", grown, unit="bytes", note=_KEPT_NOTE)]


def _figure(size: int, kind: str, found: dict[str, Rounds]) -> Figure:
    return compare(
        f"{size // _PIECE} MB of stdout, {kind}",
        found["ours"],
        "subprocess with a pipe, same program",
        found["subprocess"],
        better=False,
        goals=(Goal("ratio", "<=", 2),),
        note=_TIME_NOTE,
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
    """Stream what is printed, keep none of it here; return how much this process grew meanwhile."""
    before = proc.forget_peak()
    seen = 0
    async for event in box.stream(program):
        seen += len(getattr(event, "text", None) or "")
    _check(seen, size)
    return proc.peak() - before


def _check(seen: int, size: int) -> None:
    if seen != size:
        raise RuntimeError(f"{seen} characters came of {size}")
