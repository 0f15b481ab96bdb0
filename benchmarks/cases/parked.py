"""A server that knows many more sandboxes than it has workers for: what one that sleeps takes to answer, and memory."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Self

import aiohttp

from benchmarks import proc, serving
from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.settings import Settings
from sandbox import RemoteSandbox

_WORKERS = 100
_AT_ONCE = 2
_LISTED = 10
_WAKE_SECONDS, _MOST_BYTES, _FLAT = 0.05, 300e6, 1.5


async def measure(settings: Settings) -> list[Figure]:
    """Sandboxes are made until there are `few`, and measured; then until there are `most`, and measured again."""
    few, most = settings.size(1000, 40), settings.size(10_000, 120)
    workers, times = settings.size(_WORKERS, 20), settings.size(100, 20)
    with serving.server("--workers", str(workers)) as server:
        async with _Owner(server) as owner:
            idle = proc.pss(server.pid)
            await owner.make(few, workers)
            wakes, lists = await owner.wakes(times), await owner.lists(times)
            await owner.make(most, workers)
            more_wakes, more_lists = await owner.wakes(times), await owner.lists(times)
            grown = proc.pss(server.pid) - idle
    note = f"{workers} workers; sandboxes are woken at random"
    goals = (Goal("ours", "<=", _WAKE_SECONDS),)
    return [
        compare(f"{few:,} sandboxes known, one that is parked runs a line", wakes, goals=goals, note=note),
        _flat(f"{most:,} sandboxes known, one that is parked runs a line", more_wakes, f"{few:,} known", wakes),
        _flat(f"{most:,} sandboxes known, {_LISTED} of an owner listed", more_lists, f"{few:,} known", lists),
        compare(
            f"the server's memory for {most:,} sandboxes known, {workers} of them with workers", [[grown]],
            unit="bytes", goals=(Goal("ours", "<=", _MOST_BYTES),), note="beyond what it had with none",
        ),
    ]  # fmt: skip


def _flat(what: str, ours: Rounds, peer_name: str, peer: Rounds) -> Figure:
    return compare(what, ours, peer_name, peer, better=False, goals=(Goal("ratio", "<=", _FLAT),))


class _Owner:
    """Makes sandboxes and asks for them; each has a variable and nothing else."""

    def __init__(self, server: serving.Server) -> None:
        self._server = server
        self._boxes: list[RemoteSandbox] = []
        self._awake = 0

    async def __aenter__(self) -> Self:
        key = self._server.key_of("other")
        self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"})
        for _ in range(_LISTED):
            await RemoteSandbox(self._server.url, key).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def make(self, count: int, workers: int) -> None:
        """Until there are so many; all but the last `workers` sleep then."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> None:
            async with turn:
                box = RemoteSandbox(self._server.url, self._server.key, session_id=f"box-{number}")
                await box.start()
                await box.run(f"x = {number}")
                self._boxes.append(box)

        await asyncio.gather(*(one(number) for number in range(len(self._boxes), count)))
        self._awake = workers

    async def wakes(self, times: int) -> Rounds:
        """How long some of those that sleep take to answer, one after the other."""
        asleep = self._boxes[: -self._awake]
        taken = []
        for box in random.Random(0).sample(asleep, times):
            begin = time.perf_counter()
            execution = await box.run("x")
            taken.append(time.perf_counter() - begin)
            if f"box-{execution.text}" != box.session_id:
                raise RuntimeError(f"{box.session_id} has x = {execution.text}")
            self._boxes.remove(box)
            self._boxes.append(box)
        return [taken]

    async def lists(self, times: int) -> Rounds:
        """How long an owner of few sandboxes, among those of others, takes to list them."""
        taken = []
        for _ in range(times):
            begin = time.perf_counter()
            async with self._session.get(f"{self._server.url}/v1/sandboxes") as answer:
                found = await answer.json()
            taken.append(time.perf_counter() - begin)
            if len(found["sandboxes"]) != _LISTED:
                raise RuntimeError(f"{len(found['sandboxes'])} are listed")
        return [taken]
