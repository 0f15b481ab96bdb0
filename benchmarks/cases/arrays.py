"""A large array: saved for the first time, then looked at, changed in one place, and changed all over."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import running_engine
from benchmarks.peers.saving import NAMES, SavingPeer, saving_peer, wanted
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from benchmarks.stored import Pair, Sizes, bytes_stored, own_home, pair
from sandbox.engine.thread import EngineThread

_OURS = "ours"
_IMPORT = "import numpy"
_MAKE = "big = numpy.random.default_rng(0).random({count})"
_PLACES = "at = first = 0"
UNCHANGED, CONTIGUOUS, SCATTERED = "touched and unchanged", "1 % changed in one place", "1 % of its pages changed"
_CELLS = {
    # An element of each page: nothing touches all of it in less time, and so the difference has little to hide in.
    UNCHANGED: "big[::512].sum()",
    CONTIGUOUS: "at = (at + big.size // 100) % (big.size * 98 // 100); big[at : at + big.size // 100] += 1.0",
    SCATTERED: "first = (first + 512) % 51_200; big[first::51_200] += 1.0",
}
_MOST_SECONDS = {UNCHANGED: 0.001, CONTIGUOUS: 0.003, SCATTERED: 0.015}
_MOST_BYTES = {CONTIGUOUS: 1.2e6, SCATTERED: 2e6}
_MOST_SECONDS_AT_FIRST = 0.250
_WARM_UP = 2
_TIME_NOTE = "ours is the difference of two executions, of which one is stored; of the peers, saving alone"
_FIRST_NOTE = f"each in a new session, the peers' in a new process; {_TIME_NOTE}"
_SIZE_NOTE = "by how much what is on the disk has grown"

# Runs a cell; returns the seconds that saving it took, and the bytes.
_Run = Callable[[str], Awaitable[tuple[float, float]]]


async def measure(settings: Settings) -> list[Figure]:
    size = settings.size(100, 4)
    make = _MAKE.format(count=size * 125_000)
    with own_home() as home, surroundings() as variables:
        async with running_engine(parked=0) as engine:
            first = await alternate(_new_sessions(engine, variables, home, make, settings), settings.times(6))
            with contextlib.ExitStack() as stack:
                async with pair(engine) as both:
                    runs = {_OURS: _own(both, home)}
                    for peer in wanted(settings):
                        runs[peer] = _of(stack.enter_context(saving_peer(peer, variables, home)))
                    later = await _later(runs, make, settings)
    return [*_figures(size, first, later)]


# --- the first save ---


def _new_sessions(
    engine: EngineThread, variables: dict[str, str], home: Path, make: str, settings: Settings
) -> dict[str, Side]:
    async def ours() -> float:
        async with pair(engine) as both:
            await both.run(_IMPORT)
            return await both.added(make)

    def of(peer: str) -> Measure:
        async def save() -> float:
            with saving_peer(peer, variables, home) as process:
                process.run(_IMPORT)
                return process.run(make)[0]

        return save

    return {_OURS: Side(ours, 4)} | {peer: Side(of(peer)) for peer in wanted(settings)}


# --- what comes after it, in one session ---


async def _later(runs: Mapping[str, _Run], make: str, settings: Settings) -> dict[str, Rounds]:
    """The seconds by `side: what`, and the bytes by `side: what: bytes`."""
    sides: dict[str, Side] = {}
    sizes: dict[str, Sizes] = {}
    for name, run in runs.items():
        for code in (_IMPORT, make, _PLACES):
            await run(code)
        samples = 1 if name in NAMES else settings.size(8, 4)
        for what, code in _CELLS.items():
            noted = sizes[f"{name}: {what}: bytes"] = Sizes(samples, _WARM_UP)
            sides[f"{name}: {what}"] = Side(_noting(run, code, noted), samples, _WARM_UP)
    seconds = await alternate(sides, settings.times(8))
    return seconds | {name: noted.rounds() for name, noted in sizes.items()}


def _noting(run: _Run, code: str, sizes: Sizes) -> Measure:
    async def measure() -> float:
        seconds, size = await run(code)
        sizes.add(size)
        return seconds

    return measure


def _own(both: Pair, home: Path) -> _Run:
    async def run(code: str) -> tuple[float, float]:
        before = bytes_stored(home)
        seconds = await both.added(code)
        return seconds, bytes_stored(home) - before

    return run


def _of(peer: SavingPeer) -> _Run:
    async def run(code: str) -> tuple[float, float]:
        return peer.run(code)

    return run


# --- the figures ---


def _figures(size: int, first: dict[str, Rounds], later: dict[str, Rounds]) -> Iterator[Figure]:
    yield from _times(f"first save of an array of {size:,} MB", first, "", _MOST_SECONDS_AT_FIRST, _FIRST_NOTE)
    for what in _CELLS:
        told = f"array of {size:,} MB {what}"
        yield from _times(f"{told}: time added", later, f": {what}", _MOST_SECONDS[what], _TIME_NOTE)
        yield from _sizes(f"{told}: bytes stored", later, what)


def _times(what: str, found: dict[str, Rounds], of: str, most: float, note: str) -> Iterator[Figure]:
    """Against each peer, then alone."""
    ours = found[f"{_OURS}{of}"]
    for peer in (peer for peer in NAMES if f"{peer}{of}" in found):
        yield compare(what, ours, NAMES[peer], found[f"{peer}{of}"], note=note)
    yield compare(f"{what}, the time itself", ours, goals=(Goal("ours", "<=", most),), note=note)


def _sizes(told: str, found: dict[str, Rounds], what: str) -> Iterator[Figure]:
    """Against the peer that stores whole sessions alone: kishu may store nothing, and no ratio can be told of that."""
    most = _MOST_BYTES.get(what)
    if most is not None:
        ours = found[f"{_OURS}: {what}: bytes"]
        goals = (Goal("ours", "<=", most),)
        for peer in (peer for peer in NAMES if f"{peer}: {what}" in found):
            yield compare(told, ours, NAMES[peer], found[f"{peer}: {what}: bytes"], unit="bytes", note=_SIZE_NOTE)
        yield compare(f"{told}, the size itself", ours, unit="bytes", goals=goals, note=_SIZE_NOTE)
