"""Whatever is killed, and whenever: callers get a typed answer in bounded time, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import LocalSandbox, SandboxCrashedError
from sandbox.engine.metrics import host_pid
from sandbox.engine.thread import EngineThread
from sandbox.engine.zygote import Zygote

_SECONDS = 20.0
_HOST = """
import asyncio, sys
from sandbox import LocalSandbox

CODE = '''
import subprocess, time
subprocess.Popen(["sleep", "{marker}"])
open("file", "w").write("x" * 100000)
print("on", flush=True)
time.sleep(600)
'''

async def main():
    boxes = [LocalSandbox(timeout=None) for _ in range({count})]
    await asyncio.gather(*(box.start() for box in boxes))
    ready = asyncio.Event()
    waiting_for = set(range(len(boxes)))
    def on(number):
        waiting_for.discard(number)
        if not waiting_for:
            ready.set()
    tasks = [
        asyncio.create_task(box.run(CODE, on_stdout=lambda text, n=number: on(n))) for number, box in enumerate(boxes)
    ]
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    print("READY", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tmp_path.chmod(0o711)
    return tmp_path


def _host(home: Path, count: int, marker: str) -> subprocess.Popen[str]:
    code = _HOST.replace("{count}", str(count)).replace("{marker}", marker)
    env = {**os.environ, "SANDBOX_HOME": str(home)}
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env)
    assert host.stdout is not None
    assert host.stdout.readline() == "READY\n"
    return host


def _kill(host: subprocess.Popen[str]) -> None:
    host.kill()
    host.wait()
    assert host.stdout is not None
    host.stdout.close()


def _commands_with(marker: str) -> list[int]:
    """Pids of processes whose arguments hold `marker`."""
    return [int(path.name) for path in _processes() if marker.encode() in _read(path / "cmdline")]


def _of(home: Path) -> list[str]:
    """Keepers, zygotes and workers that hold something below `home`, by their open log."""
    return [path.name for path in _processes() if _read(path / "comm").startswith(b"sandbox-") and _holds(path, home)]


def _holds(process: Path, home: Path) -> bool:
    try:
        return any(str(home) in os.readlink(fd) for fd in (process / "fd").iterdir())
    except OSError:
        return False


def _processes() -> Iterator[Path]:
    return (path for path in Path("/proc").iterdir() if path.name.isdigit())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _groups_of(host: int) -> list[str]:
    return [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/enhanced-sandbox-{host}-*")]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_killing_the_host_in_the_middle_of_50_sandboxes_leaves_nothing(home: Path) -> None:
    marker = f"6{os.getpid()}1"
    host = _host(home, 50, marker)
    assert len(_commands_with(marker)) >= 50
    _kill(host)
    _until(lambda: not _commands_with(marker))
    _until(lambda: not _of(home))
    _until(lambda: not any((home / "run").iterdir()))
    _until(lambda: not _groups_of(host.pid))


def test_killing_the_host_and_its_keeper_at_once_leaves_files_that_the_next_engine_sweeps(home: Path) -> None:
    marker = f"6{os.getpid()}2"
    host = _host(home, 3, marker)
    keepers = [int(pid) for pid in _of(home) if _read(Path("/proc", pid, "comm")).startswith(b"sandbox-keeper")]
    for pid in keepers:
        os.kill(pid, signal.SIGKILL)
    _kill(host)
    _until(lambda: not _commands_with(marker))
    assert any((home / "run").iterdir())
    code = "from sandbox.sync import LocalSandbox\nwith LocalSandbox() as box: print(box.run('1').text)"
    env = {**os.environ, "SANDBOX_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True, timeout=60)
    assert done.stdout == "1\n"
    assert not any((home / "run").iterdir())
    assert not _groups_of(host.pid)


def test_an_engine_that_ends_normally_leaves_nothing(home: Path) -> None:
    code = (
        "from sandbox.sync import LocalSandbox\nbox = LocalSandbox().start()\nbox.run('x = 1')\nprint(box.session_id)"
    )
    env = {**os.environ, "SANDBOX_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True, timeout=60)
    assert done.stderr == ""
    assert not any((home / "run").iterdir())
    assert not _of(home)


def test_a_forked_copy_of_the_host_does_not_keep_a_dead_engine_alive(home: Path) -> None:
    code = (
        "import os, sys, time\nfrom sandbox.sync import LocalSandbox\nbox = LocalSandbox().start()\nbox.run('1')\n"
        "if os.fork() == 0:\n    print(os.getpid(), flush=True)\n    time.sleep(600)\nelse:\n    time.sleep(600)"
    )
    env = {**os.environ, "SANDBOX_HOME": str(home)}
    host = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True, env=env)
    assert host.stdout is not None
    copy = int(host.stdout.readline())
    try:
        _kill(host)
        _until(lambda: not any((home / "run").iterdir()))
        assert not _of(home)
    finally:
        os.kill(copy, signal.SIGKILL)


def test_a_forked_copy_of_the_host_gets_an_engine_of_its_own(home: Path) -> None:
    code = (
        "import os, sys\nfrom sandbox.sync import LocalSandbox\nbox = LocalSandbox().start()\nbox.run('1')\n"
        "pid = os.fork()\nif pid == 0:\n    print(LocalSandbox().start().run('2').text, flush=True)\n    sys.exit()\n"
        "assert os.waitpid(pid, 0)[1] == 0\nprint(box.run('3').text)"
    )
    env = {**os.environ, "SANDBOX_HOME": str(home)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True, timeout=60)
    assert done.stdout == "2\n3\n"
    assert done.stderr == ""
    assert not any((home / "run").iterdir())


def _worker_pid(engine: EngineThread, box: LocalSandbox) -> int:
    cell = engine._engine.sessions.known(box.session_id).cell
    assert cell is not None
    return host_pid(cell.worker.pidfd)


def _zygote(engine: EngineThread, box: LocalSandbox) -> Zygote:
    cell = engine._engine.sessions.known(box.session_id).cell
    assert cell is not None
    return cell.zygote


async def test_what_the_engines_parent_ignores_is_not_ignored_inside() -> None:
    """As under `nohup`, and in the background of a shell."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGQUIT)}
    try:
        engine = EngineThread(parked=0)
        async with LocalSandbox(engine=engine, persist=False) as box:
            ignored = "[n.name for n in signal.valid_signals() if signal.getsignal(n) == signal.SIG_IGN]"
            assert (await box.run(f"import signal; sorted({ignored})")).text == "['SIGPIPE', 'SIGXFSZ']"
            assert (await box.command.shell("kill -HUP $$; echo still")).exit_code == -signal.SIGHUP
        await asyncio.to_thread(engine.close)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def test_a_worker_killed_in_an_execution_is_a_crash_and_the_next_call_works(
    engine: EngineThread, box: LocalSandbox
) -> None:
    running = asyncio.create_task(box.run("import time\nprint('on', flush=True)\ntime.sleep(60)"))
    await asyncio.sleep(0.2)
    os.kill(_worker_pid(engine, box), signal.SIGKILL)
    with pytest.raises(SandboxCrashedError, match="SIGKILL"):
        await running
    assert (await box.run("1 + 1")).text == "2"


async def test_a_worker_killed_while_idle_is_replaced_and_the_loss_is_told(
    engine: EngineThread, box: LocalSandbox
) -> None:
    await box.run("x = 1")
    cell = engine._engine.sessions.known(box.session_id).cell
    assert cell is not None
    os.kill(host_pid(cell.worker.pidfd), signal.SIGKILL)
    _until(lambda: not cell.worker.alive)
    execution = await box.run("x")
    assert (execution.text, execution.state, execution.state.restored_to) == ("1", "restored", 1)


async def test_a_killed_zygote_ends_its_workers_and_the_next_call_gets_another(
    make: Callable[..., LocalSandbox],
) -> None:
    engine = EngineThread()
    try:
        first, second = LocalSandbox(engine=engine), LocalSandbox(engine=engine)
        await asyncio.gather(first.start(), second.start())
        await first.files.write("kept", "1")
        zygote = _zygote(engine, first)
        pids = [
            pid
            for pid in _children(zygote._process.pid)
            if _read(Path("/proc", str(pid), "comm")) == b"sandbox-zygote\n"
        ]
        running = asyncio.create_task(first.run("import time\ntime.sleep(60)"))
        await asyncio.sleep(0.2)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(SandboxCrashedError):
            await asyncio.wait_for(running, _SECONDS)
        assert (await asyncio.wait_for(first.run("open('kept').read()"), _SECONDS)).text == "'1'"
        assert (await asyncio.wait_for(second.run("2"), _SECONDS)).state == "lost"
        assert _zygote(engine, first) is not zygote
    finally:
        await asyncio.to_thread(engine.close)


async def test_a_killed_keeper_costs_its_workers_only(make: Callable[..., LocalSandbox]) -> None:
    engine = EngineThread()
    try:
        box = LocalSandbox(engine=engine)
        await box.start()
        await box.files.write("kept", "1")
        os.kill(_zygote(engine, box)._process.pid, signal.SIGKILL)
        for _ in range(100):
            execution = await asyncio.wait_for(box.run("open('kept').read()", check=False), _SECONDS)
            if execution.ok and execution.state == "lost":
                break
        assert execution.text == "'1'"
    finally:
        await asyncio.to_thread(engine.close)


def _children(pid: int) -> list[int]:
    return [int(child) for child in _read(Path("/proc", str(pid), "task", str(pid), "children")).split()]


async def test_closing_the_engine_answers_everybody_who_waits() -> None:
    engine = EngineThread()
    boxes = [LocalSandbox(engine=engine) for _ in range(3)]
    await asyncio.gather(*(box.start() for box in boxes))
    tasks = [asyncio.create_task(box.run("import time\ntime.sleep(60)")) for box in boxes]
    waiting = [asyncio.create_task(box.run("1")) for box in boxes]
    await asyncio.sleep(0.2)
    await asyncio.wait_for(asyncio.to_thread(engine.close), _SECONDS)
    outcomes = await asyncio.wait_for(asyncio.gather(*tasks, *waiting, return_exceptions=True), _SECONDS)
    assert all(isinstance(outcome, Exception) for outcome in outcomes), outcomes


async def test_a_cancelled_run_interrupts_the_code_and_keeps_the_variables(box: LocalSandbox) -> None:
    await box.run("x = 1")
    running = asyncio.create_task(
        box.run("import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    x = 2\n    raise")
    )
    await asyncio.sleep(0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await asyncio.wait_for(box.run("x"), _SECONDS)).text == "2"


async def test_leaving_a_stream_early_interrupts_the_code(box: LocalSandbox) -> None:
    stream = box.stream("import time\nfor n in range(600):\n    print(n, flush=True)\n    time.sleep(0.1)")
    async for _ in stream:
        break
    await stream.aclose()
    execution = await asyncio.wait_for(box.run("n"), _SECONDS)
    assert int(execution.text or "600") < 20


async def test_a_cancelled_start_leaves_nothing(engine: EngineThread) -> None:
    for delay in (0.0, 0.001, 0.003, 0.006):
        box = LocalSandbox(environment=None, memory=777)
        starting = asyncio.create_task(box.start())
        await asyncio.sleep(delay)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
            await box.delete()  # it was faster
