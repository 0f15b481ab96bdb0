"""The MCP server over stdio, beside the smallest server of the same library.

The sides alternate; each sample of a start is a process of its own.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.peers.mcp_minimal import NOTHING, Talk, server
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings

_COMMAND = [sys.executable, "-P", "-m", "sandbox", "mcp"]
_MOST_ADDED, _MOST_START, _MOST_FIRST = 1.5e-3, 1.5, 0.1
_MINIMAL = "the same library's minimal server"


async def measure(settings: Settings) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o711)
        directory = Path(name)
        return [*await _calls(settings, directory), *await _starts(settings, directory)]


async def _calls(settings: Settings, directory: Path) -> Iterator[Figure]:
    with ExitStack() as stack:
        ours = stack.enter_context(server(_COMMAND, _variables(directory)))
        minimal = stack.enter_context(server(NOTHING, {}))
        ours.begin()
        minimal.begin()
        count = settings.size(40, 10)
        sides = {
            "execute": Side(_call(ours, "execute"), count, warm_up=20),
            "nothing": Side(_call(minimal, "nothing"), count, warm_up=20),
        }
        found = await alternate(sides, settings.times(12))
    return _of_calls(found)


def _of_calls(found: dict[str, Rounds]) -> Iterator[Figure]:
    what, nothing = 'MCP execute("1"), stored, over stdio', "a tool that does nothing"
    yield compare(what, found["execute"], f"{nothing}, {_MINIMAL}", found["nothing"], better=False)
    added = [
        [_median(execute) - _median(other)] for execute, other in zip(found["execute"], found["nothing"], strict=True)
    ]
    yield compare("what that adds to such a tool", added, goals=(Goal("ours", "<=", _MOST_ADDED),))


async def _starts(settings: Settings, directory: Path) -> Iterator[Figure]:
    firsts: list[float] = []
    sides = {
        "ours": Side(_start(_COMMAND, directory, firsts)),
        "minimal": Side(_start(NOTHING, directory, None)),
    }
    found = await alternate(sides, settings.times(10))
    return _of_starts(found, firsts[1:])


def _of_starts(found: dict[str, Rounds], firsts: list[float]) -> Iterator[Figure]:
    goal = Goal("ratio", "<=", _MOST_START)
    what = "start of sandbox mcp until it has answered initialize"
    yield compare(what, found["ours"], _MINIMAL, found["minimal"], better=False, goals=(goal,))
    first = Goal("ours", "<=", _MOST_FIRST)
    yield compare("first execution of a fresh server, after initialize", [[one] for one in firsts], goals=(first,))


def _variables(directory: Path) -> dict[str, str]:
    return {"SANDBOX_HOME": str(directory / "home")}


def _call(talk: Talk, tool: str) -> Measure:
    async def call() -> float:
        return talk.call(tool, code="1")

    return call


def _start(command: list[str], directory: Path, firsts: list[float] | None) -> Measure:
    async def start() -> float:
        begin = time.perf_counter()
        with server(command, _variables(directory)) as talk:
            talk.begin()
            seconds = time.perf_counter() - begin
            if firsts is not None:
                firsts.append(talk.call("execute", code="1"))
        return seconds

    return start


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
