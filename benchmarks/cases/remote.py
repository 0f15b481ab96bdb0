"""A line in a sandbox on a server of this machine, against a uvicorn that only echoes JSON, with the same client.

The echo is asked in two ways: in the caller's own event loop, which is as fast as that client can be, and from the
thread that remote sandboxes have their connections in, so that synchronous and asynchronous callers share them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp

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
    with _server() as (url, key), _echo() as echo:
        async with (
            _box(url, key, persist=False) as box,
            _box(url, key, persist=True) as stored,
            aiohttp.ClientSession() as session,
        ):
            sides = {
                _WHAT: Side(_run(box), settings.size(100, 50), warm_up=100),
                _STORED: Side(_run(stored), settings.size(100, 50), warm_up=50),
                _ECHO: Side(_ask(session, echo), settings.size(100, 50), warm_up=100),
                _ECHO_APART: Side(_ask_apart(echo), settings.size(100, 50), warm_up=100),
            }
            found = await alternate(sides, settings.times(20, 4))
    return [
        compare(what, found[what], peer, found[peer], better=False, goals=(_GOAL,), note=_NOTE)
        for what in (_WHAT, _STORED)
        for peer in (_ECHO, _ECHO_APART)
    ]


@contextlib.asynccontextmanager
async def _box(url: str, key: str, *, persist: bool) -> AsyncIterator[RemoteSandbox]:
    box = await RemoteSandbox(url, key, persist=persist)
    try:
        yield box
    finally:
        await box.delete()


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


@contextlib.contextmanager
def _server() -> Iterator[tuple[str, str]]:
    """A server on a data directory of its own; its URL and key."""
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o711)
        command = [sys.executable, "-m", "sandbox", "serve", "--port", "0", "--data", home, "--log-level", "error"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                key = process.stdout.readline().split()[-1]
                yield process.stdout.readline().split()[-1], key
            finally:
                process.terminate()


@contextlib.contextmanager
def _echo() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.echo"]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((root, os.environ.get("PYTHONPATH", "")))}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
