"""When spare workers are started to try what was saved, and that whatever happens in them costs no more than a name."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from sandbox import LocalSandbox, SandboxStartError
from sandbox.engine import trial
from sandbox.engine.launcher import Launcher
from sandbox.engine.thread import EngineThread

GOOD = "class Good:\n    def __setstate__(self, state): self.__dict__.update(state)\n"
BAD = "class Bad:\n    def __setstate__(self, state): raise ValueError('no')\n"
# What speaks for the spare worker while it is unpickled: on every socket that it has.
_SAYS = """
import json, os, stat, struct
def say(*messages):
    data = b''.join(one if type(one) is bytes else framed(json.dumps(one).encode()) for one in messages)
    for fd in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.write(fd, data)
        except OSError:
            pass
def framed(body): return struct.pack('<I', len(body)) + body
class Liar:
    def __setstate__(self, state):
        say(*lies())
x = Liar(); x.n = 1; fine = [1]
"""
Launched = list[str]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Launched:
    """The networks of the workers that were launched since."""
    found: Launched = []
    launch = Launcher.launch

    async def counted(self: Launcher, options: object, *given: object) -> object:
        found.append(options.network)  # type: ignore[attr-defined]
        return await launch(self, options, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Launcher, "launch", counted)
    return found


@pytest.fixture
def unparked() -> Iterator[EngineThread]:
    """An engine that starts workers only when it needs them."""
    engine = EngineThread(parked=0)
    yield engine
    engine.close()


@pytest.fixture
async def alone(unparked: EngineThread, launched: Launched) -> AsyncIterator[LocalSandbox]:
    async with LocalSandbox(engine=unparked, name="alone") as box:
        await box.run("1")
        launched.clear()
        yield box
        await box.delete()


async def test_a_plain_session_has_no_spare_workers(alone: LocalSandbox, launched: Launched) -> None:
    for cell in (
        "import numpy as np, pandas as pd, re, datetime\nfrom dataclasses import dataclass\nfrom enum import Enum",
        "frame = pd.DataFrame({'a': np.arange(100.0)}); total = frame.a.sum(); when = datetime.datetime.now()",
        "class Point:\n    def __init__(s, x): s.x = x\n    def __eq__(s, o): return s.x == o.x\np = [Point(1)]",
        "@dataclass(frozen=True)\nclass Pair:\n    a: int\npairs = {Pair(1): Pair(2)}\nclass E(Enum): A = 1\ne = E.A",
        "def f(n): return n * total\nclass Wrong(Exception):\n    def __init__(s, a, b): pass\nw = Wrong(1, 2)",
        "p[0].x = 2; frame['b'] = frame.a * 2; pattern = re.compile('a')",
    ):
        assert (await alone.run(cell)).state.lost_names == ()
    assert launched == []


async def test_a_type_is_tried_once(alone: LocalSandbox, launched: Launched) -> None:
    await alone.run(f"{GOOD}x = Good(); x.n = 1")
    assert len(launched) == 1
    for cell in ("y = Good(); y.n = 2", "x.n = 3", "z = [Good(), x]"):
        assert (await alone.run(cell)).state.lost_names == ()
    assert len(launched) == 1
    await alone.run(f"{GOOD}w = Good()")
    assert len(launched) == 2


async def test_what_failed_is_looked_at_twice_and_then_only_when_it_has_changed(
    alone: LocalSandbox, launched: Launched
) -> None:
    """Without the rest of the session, and as a restore would do it."""
    assert (await alone.run(f"{BAD}x = Bad(); x.n = 1")).state.lost_names == ("x",)
    assert len(launched) == 2
    for cell in ("x.n", "x", "y = 1", "globals()['x']"):
        assert (await alone.run(cell)).state.lost_names == ("x",)
    assert len(launched) == 2


async def test_a_session_that_is_not_stored_has_no_trials(unparked: EngineThread, launched: Launched) -> None:
    async with LocalSandbox(engine=unparked, persist=False) as box:
        assert (await box.run(f"{BAD}x = Bad(); x.n = 1")).state.lost_names == ()
        await box.delete()
    assert len(launched) == 1


async def test_a_load_without_an_end_is_lost_after_a_while(box: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "STEP_SECONDS", 1.0)
    execution = await box.run(
        f"{GOOD}class Hangs:\n    def __setstate__(self, state):\n        while True: pass\n"
        "good = Good(); good.n = 1; x = Hangs(); x.n = 1"
    )
    assert (execution.status, execution.state.lost_names) == ("ok", ("x",))
    assert execution.warnings == ("x is lost when this session is restored: loading it takes longer than 1 s",)
    await box.stop()
    await box.start()
    assert (await box.run("good.n")).text == "1"
    assert "longer than 1 s" in str((await box.run("x.n", check=False)).exception)


@pytest.mark.parametrize(
    "eats",
    [
        "self.held = [bytearray(1 << 20) for _ in range(10_000)]",
        "import mmap\n        self.held = [mmap.mmap(-1, 1 << 20) for _ in range(1000)]\n"
        "        for one in self.held: one[:] = bytes(1 << 20)\n"
        "        import time; time.sleep(9)",  # without a control group it is looked at from time to time
    ],
    ids=["its own", "shared"],
)
async def test_a_load_that_takes_too_much_memory_is_lost(make: Callable[..., LocalSandbox], eats: str) -> None:
    box = await make(memory=256)
    execution = await box.run(f"class Eats:\n    def __setstate__(self, state):\n        {eats}\nx = Eats(); x.n = 1")
    assert (execution.status, execution.state.lost_names) == ("ok", ("x",))
    assert "emory" in execution.warnings[0]
    assert (await box.run("x.n")).text == "1"


@pytest.mark.parametrize(
    "lies",
    {
        "bytes that are no frame": "[b'\\xff' * 100]",
        "a frame that has no end": "[struct.pack('<I', 1 << 20)]",
        "an event that is none": "[{'event': 'no'}]",
        "the end of an execution": "[{'event': 'end', 'number': 1, 'error': None}]",
        "another delta": "[{'event': 'saved', 'number': 1, 'bytes': 1 << 40}]",
        "too many names": "[{'event': 'trying', 'names': ['x'] * 20_000}]",
        "a name that is too long": "[{'event': 'checked', 'lost': [lost('x' * 1000)]}]",
        "a name that cannot be written": '[framed(b\'{"event": "trying", "names": ["\\\\ud800"]}\')]',
        "names that nobody has": "[{'event': 'checked', 'lost': [lost('no'), lost('x\\x1b[2J'), lost('../x')]}]",
        "ten thousand names": "[{'event': 'checked', 'lost': [lost(str(n) * 20, 'r' * 900) for n in range(10_000)]}]",
        "that it tries what is fine": "[{'event': 'trying', 'names': ['fine', 'nobody']}, b'\\xff' * 100]",
        "many times that it tries": "[{'event': 'trying', 'names': ['x']}] * 20_000",
        "that all is well": "[{'event': 'checked'}]",
    }.items(),
    ids=lambda lie: lie[0],
)
async def test_what_a_spare_worker_says_does_no_harm(
    box: LocalSandbox, lies: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can have its own session lose what the session would have lost: and that says so, and goes on."""
    monkeypatch.setattr(trial, "STEP_SECONDS", 2.0)
    code = (
        f"def lost(n, r=''): return {{'name': n, 'type': 't', 'reason': r, 'since': 1}}\ndef lies(): return {lies[1]}"
    )
    execution = await box.run(f"{code}\n{_SAYS}")
    assert execution.status == "ok"
    assert set(execution.state.lost_names) <= {"x", "fine"}
    assert all(one.isprintable() for one in execution.warnings)
    assert len(execution.warnings) <= 6
    assert (await box.run("x.n, fine")).text == "(1, [1])"
    assert (await box.run("y = 1; y")).state == "kept"


async def test_no_spare_worker_is_no_failure_and_said_once(box: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise SandboxStartError("there is no memory")

    monkeypatch.setattr(trial.Spares, "get", refuse)
    first = await box.run(f"{GOOD}x = Good(); x.n = 1")
    assert (first.status, first.state, first.state.lost_names) == ("ok", "kept", ())
    assert first.warnings == ("whether everything can be restored could not be tried: there is no memory",)
    second = await box.run("y = Good(); y.n = 2")
    assert second.warnings == ()
    await box.stop()
    await box.start()
    assert (await box.run("x.n + y.n")).text == "3"


@contextlib.asynccontextmanager
async def trying(box: LocalSandbox, engine: EngineThread) -> AsyncIterator[asyncio.Task[object]]:
    """While a trial is under way that would take long."""
    task = asyncio.create_task(
        box.run("class Hangs:\n    def __setstate__(self, s):\n        while True: pass\nx = Hangs(); x.n = 1")
    )
    sessions = engine._engine.sessions
    deadline = time.monotonic() + 20
    while not sessions.trials.spares.sessions:
        assert time.monotonic() < deadline, "no trial began"
        await asyncio.sleep(0.01)
    yield task


async def test_an_interrupt_gives_a_trial_up(box: LocalSandbox, engine: EngineThread) -> None:
    async with trying(box, engine) as task:
        await box.interrupt()
        execution = await task
    assert execution.status == "ok"  # type: ignore[attr-defined]
    assert execution.warnings == ("whether everything can be restored could not be tried: it was given up",)  # type: ignore[attr-defined]
    assert (await box.run("x.n")).warnings == ()


async def test_what_a_trial_hung_on_when_it_was_given_up_is_lost(
    box: LocalSandbox, engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the session could not be restored: that would hang on it too."""
    begun, begin = threading.Event(), trial._Step.begin

    def noted(step: trial._Step, names: tuple[str, ...]) -> None:
        begin(step, names)
        begun.set()

    monkeypatch.setattr(trial._Step, "begin", noted)
    monkeypatch.setattr(trial, "_HANGS_SECONDS", -1.0)
    await box.run("fine = [1]")
    async with trying(box, engine) as task:
        assert await asyncio.to_thread(begun.wait, 20)
        await box.interrupt()
        execution: Any = await task
    assert (execution.status, execution.state.lost_names) == ("ok", ("x",))
    assert execution.warnings[0].endswith("could not be tried: it was given up")
    assert execution.warnings[1].startswith("x is lost when this session is restored: loading it had not ended after")
    assert (await box.run("x.n, fine")).text == "(1, [1])", "it is there as long as its worker is"
    await box.stop()
    await box.start()
    assert (await box.run("fine")).text == "[1]"
    assert "given up" in str((await box.run("x", check=False)).exception)


async def test_a_session_that_is_stopped_does_not_wait_for_its_trial(unparked: EngineThread) -> None:
    box = await LocalSandbox(engine=unparked)
    async with trying(box, unparked) as task:
        begin = time.monotonic()
        await box.stop()
        assert time.monotonic() - begin < trial.STEP_SECONDS
        assert (await task).status == "ok"  # type: ignore[attr-defined]


async def test_an_engine_that_closes_ends_its_spare_workers() -> None:
    engine = EngineThread(parked=0)
    box = await LocalSandbox(engine=engine)
    async with trying(box, engine) as task:
        await asyncio.to_thread(engine.close)
        with contextlib.suppress(Exception):
            await task


@pytest.mark.needs_namespaces
async def test_a_spare_worker_has_no_network(unparked: EngineThread, launched: Launched) -> None:
    """And that something does not load without one says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        box = await LocalSandbox(engine=unparked, network="host")
        execution = await box.run(
            "import socket\nclass Connects:\n    def __setstate__(self, state):\n"
            f"        self.name = socket.create_connection(('127.0.0.1', {port})).getpeername()\n"
            "x = Connects(); x.n = 1"
        )
        assert (execution.state.lost_names, execution.warnings) == ((), ())
        assert launched[-1] == "none"
        with pytest.raises(BlockingIOError):
            server.accept()
        await box.stop()
        await box.start()
        assert (await box.run("x.name[0]")).text == "'127.0.0.1'"
        await box.delete()
