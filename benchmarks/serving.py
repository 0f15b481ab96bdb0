"""Servers to measure, each a process of its own on a data directory of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sandbox import RemoteSandbox

_ROOT = Path(__file__).parents[1]


class Server(NamedTuple):
    """Where one is, a key for it, and its process."""

    url: str
    key: str
    pid: int
    home: str

    def key_of(self, owner: str) -> str:
        """A key for another owner."""
        done = subprocess.run(
            [sys.executable, "-m", "sandbox", "keys", "create", owner, "--owner", owner], capture_output=True,
            env={**os.environ, "SANDBOX_HOME": self.home}, text=True, check=True,
        )  # fmt: skip
        return next(word for word in done.stdout.split() if word.startswith("sbx_"))


@contextlib.contextmanager
def server(*arguments: str) -> Iterator[Server]:
    """`sandbox serve` with these flags more."""
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o711)
        flags = ("--port", "0", "--data", home, "--log-level", "error", *arguments)
        with subprocess.Popen(
            [sys.executable, "-m", "sandbox", "serve", *flags], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                key = process.stdout.readline().split()[-1]
                yield Server(process.stdout.readline().split()[-1], key, process.pid, home)
            finally:
                process.terminate()


@contextlib.asynccontextmanager
async def box(there: Server, *, persist: bool = True, **options: Any) -> AsyncIterator[RemoteSandbox]:
    """A sandbox on a server, deleted at the end."""
    made = await RemoteSandbox(there.url, there.key, persist=persist, **options)
    try:
        yield made
    finally:
        await made.delete()


@contextlib.contextmanager
def echo() -> Iterator[str]:
    """The URL of `benchmarks.echo`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(_ROOT), os.environ.get("PYTHONPATH", "")))}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
