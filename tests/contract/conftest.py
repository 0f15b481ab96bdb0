"""One suite for every way to reach an engine. A flavour wraps its sandboxes so that every test can be written once."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from tests.contract.languages import JAVASCRIPT, PYTHON
from tests.serving import Serving

import sandbox
import sandbox.sync
from sandbox.engine.thread import EngineThread
from sandbox.remote import loops
from sandbox.remote.client import close_connections

Open = Callable[..., Any]


class Awaitable:
    """A synchronous object with awaitable methods: each call runs in a thread, as a synchronous program would block."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in {"files", "command", "metrics", "animations", "network"} and hasattr(self._inner, "session_id"):
            return Awaitable(found)
        if not callable(found) or name in _PLAIN:
            return found

        async def call(*args: object, **kwargs: object) -> Any:
            result = await asyncio.to_thread(found, *args, **kwargs)
            if inspect.isgenerator(result):
                raise AssertionError(f"{name} is iterated with `stream_of`")
            return Awaitable(result) if type(result).__name__ in _WRAPPED else result

        return call


# What carries a request is the same for every user and at every level: where those are tested, one way will do.
FLAVOURS = os.environ.get("SANDBOX_TEST_FLAVOURS", "async sync remote").split()
_PLAIN = {
    "list_artifacts", "remove_artifacts", "get_performance_stats", "get_execution_history", "clear_cache",
    "cleanup_session",
}  # fmt: skip
_WRAPPED = {"Execution", "CommandExecution", "CommandHandle", "LocalSandbox"}


async def stream_of(box: Any, *args: object, **kwargs: object) -> list[Any]:
    """Collect everything that `box.stream` yields, in either flavour."""
    if isinstance(box, Awaitable):
        return await asyncio.to_thread(lambda: list(box._inner.stream(*args, **kwargs)))  # type: ignore[attr-defined]
    return [event async for event in box.stream(*args, **kwargs)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every flavour, or those on this machine for what is about its processes and paths.

    Of what is asked of each language Python's over one of them: the rest of the suite is about it.
    """
    if "language" in metafunc.fixturenames:
        pairs = [("async", PYTHON), *((flavour, JAVASCRIPT) for flavour in FLAVOURS)]
        ids = [f"{language.name}-{flavour}" for flavour, language in pairs]
        metafunc.parametrize(("flavour", "language"), pairs, ids=ids)
    elif "flavour" in metafunc.fixturenames:
        here = metafunc.definition.get_closest_marker("here") is not None
        # Of state there is much, and the synchronous way to it is generated from the other.
        unwanted = {"remote" if here else "", "sync" if "test_state" in metafunc.module.__name__ else ""}
        metafunc.parametrize("flavour", [one for one in FLAVOURS if one not in unwanted])


@pytest.fixture(scope="session")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URL of a server, and a key that may do what a user of this machine may."""
    with Serving(tmp_path_factory.mktemp("served")) as serving:
        yield serving.url, serving.key("sandboxes", "host")


@pytest.fixture
async def open_box(flavour: str, request: pytest.FixtureRequest, engine: EngineThread) -> AsyncIterator[Open]:
    """Opens sandboxes over the flavour under test; deletes their sessions afterwards."""
    opened: list[Any] = []
    server = request.getfixturevalue("remote") if flavour == "remote" else None

    async def open_box(**options: object) -> Any:
        box: Any
        if server is not None:
            box = await sandbox.RemoteSandbox(*server, **options)  # type: ignore[arg-type]
        elif flavour == "async":
            box = await sandbox.LocalSandbox(**options)  # type: ignore[arg-type]
        else:
            box = Awaitable(await asyncio.to_thread(sandbox.sync.LocalSandbox(**options).start))  # type: ignore[arg-type]
        opened.append(box)
        return box

    yield open_box
    for box in opened:
        inner: Any = box._inner if isinstance(box, Awaitable) else box
        if inner._opened is not None:
            await box.delete()
    if server is not None:
        close_connections()
        await loops.close()


@pytest.fixture
async def any_box(open_box: Open) -> Any:
    """A started sandbox of the flavour under test."""
    return await open_box(name="contract")
