"""Runs the command line as users do: as a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sandbox

DEADLINE = 30.0
COMMAND = [sys.executable, "-m", "sandbox"]

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment() -> dict[str, str]:
    """What the processes get: this package, wherever they run, and a width that does not vary."""
    return {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(Path(sandbox.__file__).parent.parent)}


@pytest.fixture
def cli(tmp_path: Path, environment: dict[str, str]) -> Cli:
    """Runs `sandbox` with these arguments to its end, in a directory of its own."""

    def run(*arguments: str, given: str | bytes = b"", **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *arguments],
            input=given.encode() if isinstance(given, str) else given,
            capture_output=True,
            timeout=DEADLINE,
            check=False,
            cwd=tmp_path,
            env={**environment, **variables},
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts `sandbox` with pipes; what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str, **options: int) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        command = [*COMMAND, *arguments]
        process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
            command, cwd=tmp_path, env=environment, bufsize=0, **pipes
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    """Waits until no engine but this process's own has a directory: a keeper cleans up after its engine is gone."""
    runs = Path(os.environ["SANDBOX_HOME"]) / "run"
    before = set(runs.glob("*"))
    yield
    deadline = time.monotonic() + DEADLINE
    while (left := set(runs.glob("*")) - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == set()
