"""A large file to a sandbox on a server and back, against what Starlette alone does; and what memory that takes."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks import proc, serving
from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from sandbox import RemoteSandbox

_UP, _DOWN = "a file uploaded to a server", "the file downloaded"
_PEER_UP, _PEER_DOWN = "Starlette, aiohttp: upload", "Starlette, aiohttp: download"
_CHUNK = 1024 * 1024
_MOST_BYTES = 64e6


async def measure(settings: Settings) -> list[Figure]:
    size = settings.size(1_000_000_000, 64_000_000)
    with tempfile.TemporaryDirectory() as temporary, serving.server() as server, serving.echo() as url:
        local = Path(temporary) / "file"
        _fill(local, size)
        async with serving.box(server, persist=False, disk=4 * size >> 20) as box, aiohttp.ClientSession() as session:
            sides = {
                _UP: Side(_upload(box, local), warm_up=0),
                _PEER_UP: Side(_put(session, f"{url}/file", local), warm_up=0),
                _DOWN: Side(_download(box, local), warm_up=0),
                _PEER_DOWN: Side(_get(session, f"{url}/file", local), warm_up=0),
            }
            before, ours = proc.forget_peak(server.pid), proc.forget_peak()
            found = await alternate(sides, settings.times(3, 2))
            grown, own = proc.peak(server.pid) - before, proc.peak() - ours
    rates = {name: [[size / 1e6 / one for one in some] for some in rounds] for name, rounds in found.items()}
    return [_against(_UP, _PEER_UP, rates), _against(_DOWN, _PEER_DOWN, rates), *_memory(grown, own, size)]


def _against(what: str, peer: str, rates: dict[str, Rounds]) -> Figure:
    goals = (Goal("ratio", ">=", 0.5),)
    return compare(what, rates[what], peer, rates[peer], unit="MB/s", goals=goals, note="piece by piece, on loopback")


def _memory(server: float, client: float, size: int) -> list[Figure]:
    goals, note = (Goal("ours", "<=", _MOST_BYTES),), f"the most while {size / 1e6:,.0f} MB went up and down"
    return [
        compare("memory that this takes in the server", [[server]], unit="bytes", goals=goals, note=note),
        compare("memory that this takes in the client", [[client]], unit="bytes", goals=goals, note=note),
    ]


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for start in range(0, size, _CHUNK):
            file.write(os.urandom(min(_CHUNK, size - start)))


def _upload(box: RemoteSandbox, local: Path) -> Measure:
    async def upload() -> float:
        begin = time.perf_counter()
        await box.files.upload(local, "file")
        return time.perf_counter() - begin

    return upload


def _download(box: RemoteSandbox, local: Path) -> Measure:
    async def download() -> float:
        begin = time.perf_counter()
        await box.files.download("file", local.with_name("back"))
        return time.perf_counter() - begin

    return download


def _put(session: aiohttp.ClientSession, url: str, local: Path) -> Measure:
    async def put() -> float:
        begin = time.perf_counter()
        with local.open("rb") as file:
            async with session.put(url, data=file) as answer:
                answer.raise_for_status()
        return time.perf_counter() - begin

    return put


def _get(session: aiohttp.ClientSession, url: str, local: Path) -> Measure:
    async def get() -> float:
        begin = time.perf_counter()
        async with session.get(url) as answer:
            with local.with_name("peer").open("wb") as file:
                async for piece in answer.content.iter_chunked(_CHUNK):
                    file.write(piece)
        return time.perf_counter() - begin

    return get
