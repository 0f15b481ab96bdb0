"""What storing a session costs: the same executions with and without it, in turns, and the bytes on the disk."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from benchmarks.figures import Rounds
from benchmarks.ours import sandbox
from sandbox import LocalSandbox
from sandbox.engine.paths import data_dir
from sandbox.engine.thread import EngineThread

LEAST = 1e-6
_BLOCK = 512


@contextlib.contextmanager
def own_home() -> Iterator[Path]:
    """A home for an engine of its own, where homes are: what is stored in it is what was measured."""
    before = os.environ.get("SANDBOX_HOME")
    data_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=data_dir()) as name:
        home = Path(name)
        home.chmod(0o711)  # as the engine makes it: its workers pass through
        os.environ["SANDBOX_HOME"] = name
        try:
            yield home
        finally:
            if before is None:
                del os.environ["SANDBOX_HOME"]
            else:
                os.environ["SANDBOX_HOME"] = before


def bytes_stored(home: Path) -> float:
    """What packs and database take on the disk; the database's log, which has a fixed length, is not in it."""
    packs = sum(path.stat().st_blocks * _BLOCK for path in home.glob("store/packs/*/*"))
    with contextlib.closing(sqlite3.connect(f"file:{home}/store/store.db?mode=ro", uri=True)) as database:
        (pages,), (size,) = (database.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "page_size"))
    return float(packs + pages * size)


class Pair:
    """Two sandboxes for the same executions, of which one is stored."""

    def __init__(self, stored: LocalSandbox, plain: LocalSandbox) -> None:
        self.stored, self.plain = stored, plain
        self._stored_first = False

    async def run(self, code: str) -> None:
        """Prepare both."""
        await self.stored.run(code)
        await self.plain.run(code)

    async def added(self, code: str) -> float:
        """Run it in both; return by how much longer the stored one took.

        A difference that the machine's noise has turned around counts as the least there is: it moves no median.
        """
        return max(await self.difference(code), LEAST)

    async def difference(self, code: str) -> float:
        """The same, whatever it is. Another one of the two begins each time."""
        self._stored_first = not self._stored_first
        boxes = (self.stored, self.plain) if self._stored_first else (self.plain, self.stored)
        seconds = {box is self.stored: await seconds_of(box, code) for box in boxes}
        return seconds[True] - seconds[False]


async def seconds_of(box: LocalSandbox, code: str) -> float:
    """Run code; return how long it took."""
    begin = time.perf_counter()
    await box.run(code)
    return time.perf_counter() - begin


@contextlib.asynccontextmanager
async def pair(engine: EngineThread, **options: object) -> AsyncIterator[Pair]:
    """Two started sandboxes with these options; their sessions are deleted afterwards."""
    async with sandbox(engine, persist=True, **options) as stored, sandbox(engine, **options) as plain:
        yield Pair(stored, plain)


class Sizes:
    """Bytes that come along with the seconds of a side: kept, and told by rounds as `alternate` tells the seconds."""

    def __init__(self, samples: int, warm_up: int) -> None:
        self._samples, self._skipped = samples, warm_up
        self._found: list[float] = []

    def add(self, size: float) -> None:
        self._found.append(size)

    def rounds(self) -> Rounds:
        found = self._found[self._skipped :]
        return [found[start : start + self._samples] for start in range(0, len(found), self._samples)]
