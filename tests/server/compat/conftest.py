"""Clients of other servers: the packages that their makers have published, pointed at a server of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Serving

_SECONDS = 60
_FETCH_SECONDS = 30


@pytest.fixture
def key(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> str:
    """A key with an owner of its own, which E2B's clients in this process use."""
    made = serving.key()
    point_at(serving, made, monkeypatch.setenv)
    return made


def point_at(serving: Serving, key: str, set_env: Callable[[str, str], None]) -> None:
    """Have E2B's clients use a server."""
    for name, value in (("E2B_API_URL", serving.url), ("E2B_SANDBOX_URL", serving.url), ("E2B_API_KEY", key)):
        set_env(name, value)


@pytest.fixture
def box(key: str) -> Iterator[Any]:
    """A sandbox of the code interpreter's synchronous client."""
    from e2b_code_interpreter import Sandbox

    made = Sandbox.create()
    yield made
    made.kill()


def until(true: Callable[[], Any]) -> Any:
    """What `true` returns once it is true."""
    deadline = time.monotonic() + _SECONDS
    while not (found := true()):
        assert time.monotonic() < deadline, "it has not come"
    return found


def published(requirement: str, cache: Path) -> Path:
    """Where a published package lies, fetched once, without what it depends on: that may exclude what we depend on."""
    place = cache / requirement.replace("==", "-")
    if not place.exists():
        fetched = cache / f".{requirement}-{os.getpid()}"
        fetch(
            requirement,
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--target",
            str(fetched),
            requirement,
        )
        fetched.rename(place)
    return place


def fetch(what: str, *command: str) -> None:
    """Run what fetches something. Where that is not to be had, the test is skipped."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)
        why = done.stderr.strip()[-200:] if done.returncode != 0 else None
    except subprocess.TimeoutExpired:
        why = f"it took longer than {_FETCH_SECONDS} s"
    if why is not None:
        pytest.skip(f"{what} could not be fetched: {why}")
