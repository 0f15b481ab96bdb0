"""Many clients of one server at once, each with a sandbox of its own: what they get done, and the slowest wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from statistics import median, quantiles

from benchmarks import serving
from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import running_engine
from benchmarks.settings import Settings
from sandbox import LocalSandbox, RemoteSandbox
from sandbox.sdk.session import SessionSandbox

_CODE = "x = 1"
_SHARE, _SPREAD = 0.4, 20.0
_MOST_SECONDS = 200.0
_CREATED_AT_ONCE = 4


async def measure(settings: Settings) -> list[Figure]:
    clients, each = settings.size(200, 20), 25
    remote: Rounds = []
    local: Rounds = []
    spread: Rounds = []
    for _ in range(settings.times(3, 1)):
        async with asyncio.timeout(_MOST_SECONDS):
            seconds, waits = await _remote(clients, each)
            remote.append([clients * each / seconds])
            spread.append([quantiles(waits, n=100)[-1] / median(waits)])
            seconds, _ = await _local(clients, each)
            local.append([clients * each / seconds])
    what = f"{clients} clients at once, {clients * each:,} executions, each one stored"
    note = "each client has a sandbox of its own; every execution has answered rightly"
    return [
        compare(
            what, remote, "as many local sandboxes at once", local, unit="/s", note=note,
            goals=(Goal("ratio", ">=", _SHARE),),
        ),
        compare(
            "how many times p50 is p99 of these", spread, unit="x", note=note, goals=(Goal("ours", "<=", _SPREAD),)
        ),
    ]  # fmt: skip


async def _remote(clients: int, each: int) -> tuple[float, list[float]]:
    with serving.server("--workers", str(clients)) as server:
        boxes = [RemoteSandbox(server.url, server.key) for _ in range(clients)]
        return await _worked(boxes, each)


async def _local(clients: int, each: int) -> tuple[float, list[float]]:
    async with running_engine(parked=2) as engine:
        return await _worked([LocalSandbox(engine=engine) for _ in range(clients)], each)


async def _worked(boxes: Sequence[SessionSandbox], each: int) -> tuple[float, list[float]]:
    """How long all took, and each execution."""
    turn = asyncio.Semaphore(_CREATED_AT_ONCE)
    await asyncio.gather(*(_started(box, turn) for box in boxes))
    begin = time.perf_counter()
    waits = await asyncio.gather(*(_one(box, number, each) for number, box in enumerate(boxes)))
    seconds = time.perf_counter() - begin
    await asyncio.gather(*(box.delete() for box in boxes))
    return seconds, [wait for some in waits for wait in some]


async def _started(box: SessionSandbox, turn: asyncio.Semaphore) -> None:
    async with turn:
        await box.start()
        await box.run(_CODE)


async def _one(box: SessionSandbox, number: int, each: int) -> list[float]:
    waits = []
    for count in range(each):
        begin = time.perf_counter()
        execution = await box.run(f"x = {number} + {count}; x")
        waits.append(time.perf_counter() - begin)
        if execution.text != str(number + count):
            raise RuntimeError(f"{execution.text!r} came where {number + count} was expected")
    return waits
