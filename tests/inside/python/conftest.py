"""Environments whose zygotes are there before a test begins, so that they are not taken for something it left."""

from __future__ import annotations

import time

import pytest

import sandbox.sync
from sandbox import Environment
from sandbox.engine.thread import EngineThread


@pytest.fixture(scope="session")
def cold(engine: EngineThread) -> Environment:
    """An environment that imports nothing ahead of time."""
    return _started(engine)


@pytest.fixture(scope="session")
def warm_ipython(engine: EngineThread) -> Environment:
    """An environment whose workers have IPython from their first line on."""
    return _started(engine, "IPython.display")


def _started(engine: EngineThread, *warm: str) -> Environment:
    """An environment with these warm imports, its zygote started and its pool full."""
    environment = Environment(warm=warm)
    with sandbox.sync.LocalSandbox(environment=environment) as box:
        box.run("1")
        box.delete()
    deadline = time.monotonic() + 60
    while engine.busy() and time.monotonic() < deadline:
        time.sleep(0.01)
    return environment
