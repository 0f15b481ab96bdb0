"""An execution that could not be saved says so, and loses nothing but itself; the next one saves everything."""

from __future__ import annotations

import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from tests.engine.living import kill_worker, kill_zygote, until

from sandbox import StoreError
from sandbox.engine.thread import EngineThread
from sandbox.store.store import Store
from sandbox.sync import LocalSandbox
from sandbox.sync.execution import Execution

LARGE = "import os; large = os.urandom(4_000_000)"


@pytest.fixture
def engine_apart(own_home: Path) -> Iterator[EngineThread]:
    engine = EngineThread(parked=0)
    yield engine
    engine.close()


# --- whoever sends is killed in the middle ---------------------------------------------------------------------------

# Sends a part of what it has to, says so by a file, and then nothing more.
_STUCK = """
import os, sys, time
checkpoints = next(module for name, module in sys.modules.items() if name.endswith("python.checkpoints"))
def stuck(self):
    rest = memoryview(b"".join(self._pieces))[:int({part} * sum(map(len, self._pieces)))]
    while rest:
        rest = rest[os.write(self._fd, rest):]
    open("stuck", "w").close()
    time.sleep(600)
checkpoints._Announced._send = stuck
"""


@pytest.mark.parametrize("victim", ["worker", "sandbox-zygote", "sandbox-keeper"])
@pytest.mark.parametrize("size", ["a few bytes", "megabytes"])
@pytest.mark.parametrize("part", [0.0, 0.6])
def test_a_process_that_is_killed_while_variables_are_sent_costs_that_execution_only(
    engine_apart: EngineThread, victim: str, size: str, part: float
) -> None:
    box = LocalSandbox(engine=engine_apart).start()
    box.run("x = [1]; y = x; import numpy as np; array = np.zeros(300_000)")
    change = "x.append(2); open('file', 'w').write('2')" + ("; array += 1" if size == "megabytes" else "")
    stuck = Path(box._started.workspace_dir) / "stuck"
    with in_the_background(lambda: box.run(f"{change}\n{_STUCK.format(part=part)}", check=False)) as answer:
        until(stuck.exists)
        if victim == "worker":
            kill_worker(engine_apart, box.session_id)
        else:
            kill_zygote(engine_apart, [box.session_id], victim)
        done = answer()
    assert (done.number, done.state, done.state.restored_to) == (2, "restored", 1)
    assert "could not be saved and is lost" in "".join(done.warnings)
    following = box.run("x.append(3); x, y is x, float(array.sum()), open('file').read()")
    assert (following.text, following.state) == ("([1, 3], True, 0.0, '2')", "kept")
    box.stop()
    assert box.start().run("x, y is x, float(array.sum()), open('file').read()").text == following.text
    box.delete()


@contextmanager
def in_the_background(call: Callable[[], Execution]) -> Iterator[Callable[[], Execution]]:
    """Run something in a thread; its result is what the yielded function waits for."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(call)
        yield lambda: future.result(60)


# --- there is no room, or no right ------------------------------------------------------------------------------------


@contextmanager
def a_quota(box: LocalSandbox, engine: EngineThread, home: Path) -> Iterator[None]:
    kept = engine._engine.sessions.known(box.session_id).kept
    assert kept is not None
    before = kept.session.quota.limits
    kept.session.quota.limits = before._replace(session_bytes=1_000_000)
    yield
    kept.session.quota.limits = before


@contextmanager
def files_that_may_not_grow(box: LocalSandbox, engine: EngineThread, home: Path) -> Iterator[None]:
    """As on a full disk, without any rights; the workers have limits of their own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def a_full_disk(box: LocalSandbox, engine: EngineThread, home: Path) -> Iterator[None]:
    filler = home / "store" / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(64 << 20))
    yield
    filler.unlink()


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def small_disk(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The store lies on a file system of its own, smaller than what it may take."""
    monkeypatch.setenv("SANDBOX_STORAGE", "1000")
    store = own_home / "store"
    store.mkdir(mode=0o700)
    try:
        mount("-t", "tmpfs", "-o", "size=32m,mode=700", "tmpfs", str(store))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this root may not mount: {error.stderr.decode()}")
    yield
    subprocess.run(["umount", str(store)], check=True)


Trouble = Callable[[LocalSandbox, EngineThread, Path], AbstractContextManager[None]]


def not_saved_and_then_saved(engine: EngineThread, home: Path, trouble: Trouble) -> None:
    box = LocalSandbox(engine=engine).start()
    box.run("x = [1]; y = x; open('file', 'w').write('1')")
    with trouble(box, engine, home):
        done = box.run(f"{LARGE}; x.append(2); open('file', 'w').write('2')")
        assert (done.number, done.state) == (2, "kept"), "it works on"
        assert "was not saved" in "".join(done.warnings), done.warnings
        assert box.run("x, y is x, len(large)").text == "([1, 2], True, 4000000)"
    box.run("pass")
    box.stop()
    following = box.start().run("x, y is x, len(large), open('file').read()")
    assert (following.text, following.warnings) == ("([1, 2], True, 4000000, '2')", ())
    with trouble(box, engine, home):
        box.run(f"{LARGE}; x.append(3)")
        kill_worker(engine, box.session_id)
    restored = box.run("x, y is x, len(large), open('file').read()")
    assert (restored.text, restored.state) == (following.text, "restored"), "what was not saved dies with its worker"
    with Store(home / "store") as store:
        assert store.verify().ok
    box.delete()


@pytest.mark.parametrize("trouble", [a_quota, files_that_may_not_grow])
def test_an_execution_for_which_there_is_no_room_is_saved_with_the_next(
    engine_apart: EngineThread, own_home: Path, trouble: Trouble
) -> None:
    not_saved_and_then_saved(engine_apart, own_home, trouble)


@pytest.mark.needs_root
def test_an_execution_on_a_full_disk_is_saved_with_the_next(
    small_disk: None, engine_apart: EngineThread, own_home: Path
) -> None:
    not_saved_and_then_saved(engine_apart, own_home, a_full_disk)


@pytest.mark.needs_root
def test_where_nothing_can_be_stored_nothing_runs_unless_it_need_not_be(
    small_disk: None, engine_apart: EngineThread, own_home: Path
) -> None:
    mount("-o", "remount,ro", str(own_home / "store"))
    box = LocalSandbox(engine=engine_apart, session_id="kept")
    with pytest.raises(StoreError, match="Read-only"):
        box.start()
    with LocalSandbox(engine=engine_apart, persist=False) as other:
        assert other.run("6 * 7").text == "42"
    mount("-o", "remount,rw", str(own_home / "store"))
    box.start().run("x = 2")
    box.stop()
    assert box.start().run("x").text == "2"
    box.delete()
