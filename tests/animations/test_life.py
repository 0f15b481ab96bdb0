"""The zygote that has Manim, what is forked from it, and what hostile code makes of that."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import warnings
from typing import Any

import pytest
from tests.animations.conftest import DOT, HALVES, Make, decoded, still
from tests.web.conftest import until

from sandbox import (
    Environment,
    LocalSandbox,
    SandboxClosedError,
    SandboxCrashedError,
    SandboxError,
    SandboxExecutionError,
    SandboxInterruptedError,
    SandboxStartError,
)
from sandbox.engine import ends
from sandbox.engine.animations import warm
from sandbox.engine.animations.rendering import Rendering
from sandbox.engine.animations.warm import WarmZygotes
from sandbox.engine.forker import Forked, Forker, Offspring
from sandbox.engine.launcher import Cell
from sandbox.engine.metrics import host_pid
from sandbox.engine.thread import EngineThread
from sandbox.engine.zygote import Zygote

IMPORTED = "import sys\nprint('manim' in sys.modules, 'pandas' in sys.modules)\n"


def warm_of(engine: EngineThread) -> WarmZygotes:
    return engine._engine.sessions.warm


def cell_of(engine: EngineThread, box: LocalSandbox) -> Cell:
    cell = engine._engine.sessions.known(box.session_id).cell
    assert cell is not None
    return cell


async def until_gone(pid: int) -> None:
    async def gone() -> bool:
        return not os.path.exists(f"/proc/{pid}")  # noqa: ASYNC240

    await until(gone)


async def test_manim_is_imported_before_the_code_runs(box: LocalSandbox, engine: EngineThread) -> None:
    if not cell_of(engine, box).zygote.spec.interpreter.warm:
        pytest.skip("this level has no warm imports")
    told: list[str] = []
    await still(box, IMPORTED + DOT, on_stdout=told.append)
    assert "".join(told).startswith("True")
    assert (await box.run("import sys; 'manim' in sys.modules")).text == "False", "a worker does not have it"


async def test_two_sessions_render_at_once_from_one_zygote(box: LocalSandbox, make: Make, engine: EngineThread) -> None:
    other = await make().start()
    blue = HALVES.replace("PURE_RED", "PURE_BLUE")
    one, two = await asyncio.gather(
        box.animations.create(HALVES, "low_quality"), other.animations.create(blue, "low_quality")
    )
    colours = [decoded(await made.artifact.aread()).at(1.0, 0.25, 0.5) for made in (one, two)]
    assert colours == ["red", "blue"]
    assert len(cell_of(engine, box).zygote.offspring) <= 1
    await other.delete()


async def test_the_zygote_ends_after_a_while_and_another_one_comes(own_engine: EngineThread) -> None:
    async with LocalSandbox(engine=own_engine, persist=False) as box:
        zygote = cell_of(own_engine, box).zygote
        if not zygote.spec.interpreter.warm:
            pytest.skip("this level has no warm imports")
        warm_of(own_engine).idle_seconds = 0.0
        async with LocalSandbox(engine=own_engine, persist=False) as other:
            first, second = await asyncio.gather(still(box), still(other))
            assert (first.scene, second.scene) == ("Dots", "Dots"), "both have waited for the one import"

        async def ended() -> bool:
            return not zygote.offspring

        await until(ended)
        warm_of(own_engine).idle_seconds = 300.0
        await still(box)
        (one,) = zygote.offspring
        assert one.warmed == ["manim"]
        # Killed in the middle, with what it has forked; and the next rendering has another one.
        begun = asyncio.Event()
        endless = "print('begun', flush=True)\nwhile True: pass"
        task = asyncio.create_task(box.animations.create(endless, on_stdout=lambda _text: begun.set()))
        await asyncio.wait_for(begun.wait(), 30)
        (command,) = own_engine._engine.sessions.known(box.session_id).commands.values()
        rendering = host_pid(command._process.pidfd)
        os.kill(host_pid(one._process.pidfd), signal.SIGKILL)
        with pytest.raises(SandboxCrashedError):
            await task
        await until_gone(rendering)
        await still(box)
        (another,) = zygote.offspring
        assert another is not one
        assert (await box.run("1")).text == "1"


def _never(patch: pytest.MonkeyPatch) -> None:
    """Manim takes for ever to be imported."""

    async def started(zygote: Zygote) -> Offspring:
        never: asyncio.Future[Offspring] = asyncio.get_running_loop().create_future()
        return await never

    patch.setattr(warm, "_started", started)


async def _is_rendering(engine: EngineThread, box: LocalSandbox) -> None:
    async def rendering() -> bool:
        return engine._engine.sessions.known(box.session_id).running is not None

    await until(rendering)


async def test_an_interrupt_while_manim_is_imported_is_heard(
    own_engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LocalSandbox(engine=own_engine, persist=False) as box:
        if not cell_of(own_engine, box).zygote.spec.interpreter.warm:
            pytest.skip("this level has no warm imports")
        await box.run("x = 1")
        _never(monkeypatch)
        for end in ("interrupt", "cancel"):
            task = asyncio.create_task(still(box))
            await _is_rendering(own_engine, box)
            if end == "interrupt":
                await box.interrupt()
                with pytest.raises(SandboxInterruptedError, match="before it began"):
                    await asyncio.wait_for(task, 20)
            else:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert (await asyncio.wait_for(box.run("x"), 20)).text == "1"
        assert [one["status"] for one in box.get_execution_history(4)][1::2] == ["interrupted", "interrupted"]


async def test_a_session_is_closed_while_manim_is_imported(
    own_engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LocalSandbox(engine=own_engine, persist=False) as box:
        if not cell_of(own_engine, box).zygote.spec.interpreter.warm:
            pytest.skip("this level has no warm imports")
        _never(monkeypatch)
        task = asyncio.create_task(still(box))
        await _is_rendering(own_engine, box)
        await asyncio.wait_for(asyncio.to_thread(box.cleanup_session), 20)
        with pytest.raises(SandboxClosedError):
            await task


async def test_an_interrupt_of_a_rendering_that_was_only_forked_waits_until_it_can_be_heard(
    box: LocalSandbox, engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = Rendering._started

    async def started(self: Rendering, *what: Any) -> None:
        await asyncio.to_thread(told.wait, 20)
        await tell(self, *what)

    told = threading.Event()
    monkeypatch.setattr(Rendering, "_started", started)
    task = asyncio.create_task(box.animations.create("while True: pass"))

    async def forked() -> bool:
        commands = engine._engine.sessions.known(box.session_id).commands
        return any(command.begun for command in commands.values())

    await until(forked)
    await box.interrupt()
    told.set()
    with pytest.raises(SandboxInterruptedError):
        await asyncio.wait_for(task, 30)
    assert (await box.run("1")).text == "1"


async def test_when_the_worker_ends_so_does_the_rendering(box: LocalSandbox, engine: EngineThread) -> None:
    await box.run("x = 1")
    begun = asyncio.Event()
    endless = "print('begun', flush=True)\nwhile True: pass"
    task = asyncio.create_task(box.animations.create(endless, on_stdout=lambda _text: begun.set()))
    await asyncio.wait_for(begun.wait(), 30)
    session = engine._engine.sessions.known(box.session_id)
    (command,) = session.commands.values()
    rendering = host_pid(command._process.pidfd)
    await asyncio.to_thread(box.cleanup_session)
    with pytest.raises(SandboxClosedError):
        await task
    await until_gone(rendering)


async def test_it_is_confined_as_the_worker_is(box: LocalSandbox) -> None:
    await box.run("SECRET = 1")
    look = """
import os, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
print(status["CapEff"].strip(), status["NoNewPrivs"].strip(), status["Seccomp"].strip())
print(sorted(name for name in os.environ if "SANDBOX_HOME" in name), os.getcwd() == os.environ["HOME"])
for path in ("/etc/shadow", "/root/.bashrc"):
    try: open(path)
    except OSError as error: print(type(error).__name__)
try: open("/usr/mine", "w")
except OSError as error: print(type(error).__name__)
import socket
try: socket.create_connection(("127.0.0.1", 9), 1)
except OSError as error: print(type(error).__name__)
"""
    told: list[str] = []
    await still(box, look + DOT, on_stdout=told.append)
    lines = "".join(told).splitlines()
    assert lines[:2] == ["0000000000000000 1 2", "[] True"]
    assert all(line in {"FileNotFoundError", "PermissionError"} for line in lines[2:4])
    assert lines[4] in {"OSError", "PermissionError"}
    assert lines[5] in {"ConnectionRefusedError", "PermissionError", "OSError"}


SAY = """
import json, os, struct
def say(data):
    control = max(int(name) for name in os.listdir("/proc/self/fd"))
    for name in sorted(map(int, os.listdir("/proc/self/fd")), reverse=True):
        try: kind = os.readlink(f"/proc/self/fd/{name}")
        except OSError: continue
        if kind.startswith("socket:"): control = name
    os.write(control, data)
def event(**values):
    body = json.dumps(values).encode()
    say(struct.pack("<I", len(body)) + body)
def rendered(file, **values):
    event(**{"event": "rendered", "scene": "Forged", "file": file, "thumbnail": "", "animations": 1, "width": 1,
             "height": 1, "fps": 1.0, "frames": 1, "duration": 1.0, **values})
"""


@pytest.mark.parametrize(
    "lie",
    [
        "say(b'\\xff' * 64)",
        "say(struct.pack('<I', 100) + b'x' * 100)",
        "event(event='owned')",
        "event(event='scenes', names=['x' * 1000])",
        "event(event='scenes', names=['x'] * 1000)",
        "rendered('artifacts/x.mp4', width=0)",
        "rendered('artifacts/x.mp4', duration=-1.0)",
        "rendered('artifacts/x.mp4', frames=1 << 70)",
        "rendered('a' * 5000)",
    ],
)
async def test_who_breaks_the_protocol_is_ended(box: LocalSandbox, lie: str) -> None:
    with pytest.raises(SandboxCrashedError, match="it broke the protocol"):
        await box.animations.create(f"{SAY}\n{lie}\nimport time; time.sleep(60)", timeout=50)
    assert (await box.run("1")).text == "1"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../etc/passwd", "artifacts/../../../etc/passwd", "artifacts/no", ""]
)
async def test_a_file_is_only_what_lies_below_artifacts(box: LocalSandbox, path: str) -> None:
    code = f"{SAY}\nrendered({path!r})\nevent(event='done')\nos._exit(0)"
    with pytest.raises(SandboxExecutionError, match="Forged was rendered, and its file was not found") as caught:
        await box.animations.create(code)
    assert caught.value.execution.artifacts == []
    assert await box.animations.list() == []


async def test_a_link_is_not_followed(box: LocalSandbox) -> None:
    link = "os.makedirs('artifacts', exist_ok=True)\nos.symlink('/etc/passwd', 'artifacts/Forged.mp4')"
    code = f"{SAY}\n{link}\nrendered('artifacts/Forged.mp4')\nevent(event='done')\nos._exit(0)"
    with pytest.raises(SandboxExecutionError, match="its file was not found"):
        await box.animations.create(code)
    assert box.list_artifacts() == []


async def test_without_warm_imports_each_rendering_imports_it(own_engine: EngineThread) -> None:
    async with LocalSandbox(engine=own_engine, persist=False, environment=Environment(warm=())) as box:
        told: list[str] = []
        made = await still(box, IMPORTED + DOT, on_stdout=told.append)
        assert made.scene == "Dots"
        assert not cell_of(own_engine, box).zygote.offspring


async def test_what_cannot_be_forked_is_an_error_and_the_session_goes_on(
    box: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_arguments: object) -> Forked:
        raise OSError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(Forker, "fork_command", refuse)
        with pytest.raises(SandboxStartError, match="Resource temporarily unavailable"):
            await still(box)
    assert (await box.run("1")).text == "1"
    assert (await still(box)).scene == "Dots"


async def test_what_the_host_lacks_for_it_is_an_error_and_the_session_goes_on(
    box: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await still(box)

    def refuse(*_arguments: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(ends, "pipe", refuse)
        with pytest.raises(SandboxError, match="Too many open files"):
            await still(box)
    assert (await box.run("1")).text == "1"
    assert (await still(box)).scene == "Dots"


async def test_a_zygote_with_manim_that_takes_no_notice_does_not_hold_up_the_end(own_engine: EngineThread) -> None:
    """The fixture looks for what is left."""
    box = await LocalSandbox(engine=own_engine, persist=False).start()
    cell = cell_of(own_engine, box)
    await still(box)
    for one in cell.zygote.offspring:
        os.kill(host_pid(one._process.pidfd), signal.SIGSTOP)
    await box.delete()
    async with asyncio.timeout(30):
        await asyncio.to_thread(own_engine.close)


async def test_an_engine_that_is_closed_while_manim_is_imported_leaves_nothing(own_engine: EngineThread) -> None:
    box = await LocalSandbox(engine=own_engine, persist=False).start()
    zygote = cell_of(own_engine, box).zygote
    task = asyncio.create_task(still(box))

    async def begun() -> bool:
        return bool(zygote.offspring) or not zygote.spec.interpreter.warm

    await until(begun)
    await asyncio.to_thread(own_engine.close)
    with pytest.raises(SandboxError):
        await task


async def test_a_fork_of_the_session_has_its_animations(box: LocalSandbox) -> None:
    made = await still(box)
    (fork,) = await box.fork()
    try:
        (found,) = await fork.animations.list()
        assert await found.artifact.aread() == await made.artifact.aread()
        assert (await still(fork, DOT.replace("Dots", "More"))).execution == 2
        assert [one.scene for one in await box.animations.list()] == ["Dots"]
    finally:
        await fork.delete()


@pytest.mark.skipif(os.environ.get("SANDBOX_ISOLATION", "auto") != "auto", reason="is about another level")
async def test_without_isolation_it_renders_too(own_engine: EngineThread) -> None:
    box = LocalSandbox(engine=own_engine, isolation="none", environment=Environment(warm=()))
    with warnings.catch_warnings(category=RuntimeWarning, action="ignore"):  # once for each process
        await box.start()
    assert (await still(box)).scene == "Dots"
    await box.delete()


@pytest.mark.usefixtures("manim")
async def test_a_flood_of_progress_does_no_harm(box: LocalSandbox) -> None:
    count = 0

    def counted(_now: object) -> None:
        nonlocal count
        count += 1

    flood = f"{SAY}\nfor n in range(21_000): event(event='progress', scene='x', animation=n, name='', frames=0)\n"
    made = await still(box, flood + DOT, on_progress=counted)
    assert made.scene == "Dots"
    assert 10_000 < count <= 20_000
