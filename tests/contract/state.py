"""What the tests of state share: both flavours' plain methods, forks that are cleaned up, and other processes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

from tests.contract import conftest

import sandbox

_SECONDS = 60
_BEGIN = """
import os, sys, time
from sandbox.sync import LocalSandbox
from sandbox.core.execution_context import PersistentExecutionContext
def say(*what):
    print(*what, flush=True)
"""


def plain(box: Any) -> Any:
    """The sandbox itself: those of its methods that are not asynchronous are so in both flavours."""
    return box._inner if isinstance(box, conftest.Awaitable) else box


async def value(box: Any, code: str) -> str:
    """The text of the last expression's value."""
    execution = await box.run(code)
    assert execution.text is not None, code
    return str(execution.text)


async def restart(box: Any) -> None:
    """Stop and start: the next execution is in another worker."""
    await box.stop()
    await box.start()


def pack_bytes(directory: Path) -> int:
    """Bytes of the packs below a directory, of which upkeep may remove some meanwhile."""
    total = 0
    for path in directory.rglob("*.pack"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


@asynccontextmanager
async def forks(box: Any, n: int = 1, **options: object) -> AsyncIterator[list[Any]]:
    """Forks of a sandbox, in its flavour; they are deleted at the end."""
    made = await box.fork(n, **options)
    wrap: Callable[[Any], Any] = conftest.Awaitable if isinstance(box, conftest.Awaitable) else lambda one: one
    children = [wrap(one) for one in made]
    try:
        yield children
    finally:
        for child in children:
            if plain(child)._opened is not None:
                await child.delete()


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Ask again until it is so."""
    deadline = time.monotonic() + 20
    while not await true():
        assert time.monotonic() < deadline, "it never came to be"


class Process:
    """Another process of a user's, which has `say`, LocalSandbox and PersistentExecutionContext."""

    def __init__(self, code: str, *arguments: object, home: Path | None = None) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(sandbox.__file__).parents[1])}
        if home is not None:
            environment["SANDBOX_HOME"] = str(home)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN + textwrap.dedent(code), *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def end(self) -> str:
        """What it still prints, after it has ended well."""
        printed, _ = self._process.communicate(timeout=_SECONDS)
        assert self._process.returncode == 0, printed
        return printed.rstrip("\n")

    def kill(self) -> list[str]:
        """SIGKILL; return the lines that it had printed by then."""
        self._process.kill()
        return self._process.communicate(timeout=_SECONDS)[0].splitlines()

    def ended(self) -> int:
        """Its exit code, however it ends."""
        self._process.communicate(timeout=_SECONDS)
        return self._process.returncode

    def lines_within(self, seconds: float) -> list[str]:
        """The lines that it prints for so long, and waits no longer."""
        assert self._process.stdout is not None
        lines, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and select.select([self._process.stdout], [], [], left)[0]:
            lines.append(self.line())
        return lines


def elsewhere(code: str, *arguments: object, home: Path | None = None) -> str:
    """What another process prints that runs this and ends."""
    with Process(code, *arguments, home=home) as process:
        return process.end()
