"""A line in a sandbox on a server of this machine, against a uvicorn that only echoes JSON, with the same client.

The echo is asked in two ways: in the caller's own event loop, as asynchronous remote sandboxes are, and from the thread
that synchronous ones share.
"""

from __future__ import annotations

import asyncio
import time

import aiohttp

from benchmarks import serving
from benchmarks.figures import Figure, Goal, compare
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from sandbox import RemoteSandbox

_CODE = "x = 1"
_WHAT = f'remote warm run("{_CODE}"), nothing stored'
_STORED = f'remote warm run("{_CODE}"), each one stored'
_ECHO, _ECHO_APART = "uvicorn echoing JSON, aiohttp", "uvicorn echoing JSON, aiohttp in a thread of its own"
_GOAL = Goal("ratio", "<=", 2.5)
_NOTE = "one client on loopback, one call after the other"


async def measure(settings: Settings) -> list[Figure]:
    with serving.server() as server, serving.echo() as url:
        async with (
            serving.box(server, persist=False) as box,
            serving.box(server) as stored,
            aiohttp.ClientSession() as session,
        ):
            sides = {
                _WHAT: Side(_run(box), settings.size(100, 50), warm_up=100),
                _STORED: Side(_run(stored), settings.size(100, 50), warm_up=50),
                _ECHO: Side(_ask(session, f"{url}/"), settings.size(100, 50), warm_up=100),
                _ECHO_APART: Side(_ask_apart(f"{url}/"), settings.size(100, 50), warm_up=100),
            }
            found = await alternate(sides, settings.times(20, 4))
    return [
        compare(what, found[what], peer, found[peer], better=False, goals=(_GOAL,), note=_NOTE)
        for what in (_WHAT, _STORED)
        for peer in (_ECHO, _ECHO_APART)
    ]


def _run(box: RemoteSandbox) -> Measure:
    async def run() -> float:
        begin = time.perf_counter()
        await box.run(_CODE)
        return time.perf_counter() - begin

    return run


def _ask(session: aiohttp.ClientSession, url: str) -> Measure:
    async def ask() -> float:
        begin = time.perf_counter()
        await _echoed(session, url)
        return time.perf_counter() - begin

    return ask


def _ask_apart(url: str) -> Measure:
    from sandbox.remote.client import _thread

    thread = _thread()

    async def ask() -> float:
        begin = time.perf_counter()
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_echoed(thread.session, url), thread.loop))
        return time.perf_counter() - begin

    return ask


async def _echoed(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(url, json={"code": _CODE}) as response:
        await response.json()
