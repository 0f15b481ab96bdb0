"""Fixtures for every test: one engine for the run, a sandbox of it, and a check that nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from sandbox import LocalSandbox
from sandbox.core.execution_context import PersistentExecutionContext
from sandbox.engine.thread import EngineThread, close_default_engine, default_engine
from sandbox.sync import NodeSandbox

ISOLATION = os.environ.get("SANDBOX_ISOLATION", "auto")
_SETTLE_SECONDS = 10.0
# What is started inherits what is ignored, and a shell ignores this for what it starts in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        pytest.skip("needs a host that is root")
    if item.get_closest_marker("needs_namespaces") and ISOLATION not in {"auto", "namespaces"}:
        pytest.skip(f"is about namespaces, and this run is at level {ISOLATION}")


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the run's files away from the user's: run directories of their own, the user's cache of environments."""
    before = os.environ.get("SANDBOX_HOME")
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o711)
    os.environ["SANDBOX_HOME"] = str(home)
    yield
    close_default_engine()
    if before is None:
        del os.environ["SANDBOX_HOME"]
    else:
        os.environ["SANDBOX_HOME"] = before
    assert list((home / "run").glob("*")) == [], "the engine left its directory behind"


@pytest.fixture(scope="session")
def engine(_home: None) -> EngineThread:
    """The process's engine, as users get it: its imports are warm and its pool is full."""
    engine = default_engine()
    context = PersistentExecutionContext()
    context.execute_code("1")
    context.cleanup_session()
    _settle(engine, seconds=60)
    return engine


@pytest.fixture(scope="session")
def node(engine: EngineThread) -> EngineThread:
    """The same engine, with what sessions in JavaScript share, which the first of them begins and none ends."""
    with NodeSandbox.create_local() as box:
        box.run("1")
        box.delete()
    _settle(engine, seconds=60)
    return engine


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own, for engines that it starts itself."""
    tmp_path.chmod(0o711)
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
async def box(engine: EngineThread) -> AsyncIterator[LocalSandbox]:
    """A started sandbox with the default options; its session is deleted afterwards."""
    sandbox = LocalSandbox(name="test")
    await sandbox.start()
    yield sandbox
    if sandbox._opened is not None:
        await sandbox.delete()


@pytest.fixture
async def make(engine: EngineThread) -> AsyncIterator[Callable[..., LocalSandbox]]:
    """Makes sandboxes with options; what was started is deleted afterwards."""
    made: list[LocalSandbox] = []

    def make(**options: object) -> LocalSandbox:
        sandbox = LocalSandbox(**options)  # type: ignore[arg-type]
        made.append(sandbox)
        return sandbox

    yield make
    for sandbox in made:
        if sandbox._opened is not None:
            await sandbox.delete()


class Leaks:
    """What the process holds: descriptors by kind, mounts, workspaces, control groups. Parked workers are constant."""

    def __init__(self) -> None:
        # Without the database: SQLite keeps descriptors of a closed connection while another has the same file.
        kinds = (_kind(fd) for fd in os.listdir("/proc/self/fd"))
        self.held: Counter[str] = Counter(kind for kind in kinds if kind and "/store/store.db" not in kind)
        self.held["mounts"] = Path("/proc/self/mountinfo").read_text(encoding="utf-8").count("\n")
        runs = Path(os.environ["SANDBOX_HOME"]) / "run"
        for name, places in (("workspaces", "*/workspaces/*/*"), ("artifacts", "*/artifacts/*")):
            self.held[name] = len(list(runs.glob(places)))
        for noted in runs.glob("*/cgroups"):
            for group in noted.read_text(encoding="utf-8").split():
                self.held["control groups"] += sum(1 for path in Path(group).iterdir() if path.is_dir())

    def since(self, before: Leaks) -> dict[str, int]:
        return dict(self.held - before.held)


def _kind(fd: str) -> str:
    """What a descriptor is, without the number that tells one from another; nothing if it was closed meanwhile."""
    try:
        return re.sub(r"\d+", "N", os.readlink(f"/proc/self/fd/{fd}"))
    except OSError:
        return ""


@pytest.fixture(autouse=True)
async def _leak_check(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fail a test that leaves something behind. The engine, its zygotes and its pool are the run's, not the test's."""
    if "engine" not in request.fixturenames:
        yield
        return
    engine: EngineThread = request.getfixturevalue("engine")
    _settle(engine)
    before = Leaks()
    yield
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        _settle(engine)
        leaks = Leaks().since(before)
        if not leaks or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.02)
    assert not leaks, f"the test left behind: {leaks}"


def _settle(engine: EngineThread, seconds: float = _SETTLE_SECONDS) -> None:
    """Wait until the engine has no work under way: its pool is full and what was ended is gone."""
    deadline = time.monotonic() + seconds
    while engine.busy() and time.monotonic() < deadline:
        time.sleep(0.005)
