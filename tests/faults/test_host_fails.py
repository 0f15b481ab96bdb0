"""What the host lacks or answers wrongly: descriptors, processes, memory, a disk that works, a clock that goes on."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.living import kill_worker

from sandbox import Environment, SandboxError, StoreError
from sandbox.engine.execution import Execution
from sandbox.engine.thread import EngineThread
from sandbox.store import packs
from sandbox.store.database import Database
from sandbox.store.store import Store
from sandbox.sync import LocalSandbox

_LARGE = "import os; large = os.urandom(4_000_000)"


@pytest.fixture
def engine_apart(own_home: Path) -> Iterator[EngineThread]:
    engine = EngineThread(parked=0)
    yield engine
    engine.close()
    assert list((own_home / "run").iterdir()) == []


@pytest.fixture
def box(engine_apart: EngineThread) -> Iterator[LocalSandbox]:
    box = LocalSandbox(engine=engine_apart, environment=Environment(warm=())).start()
    box.run("x = [1]; y = x")
    yield box
    box.delete()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# --- descriptors ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """This process may open so many more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    fillers = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 64, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                fillers.append(os.open("/dev/null", os.O_RDONLY))
        for _ in range(count):
            os.close(fillers.pop())
        yield
    finally:
        for fd in fillers:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


_CALLS: dict[str, Callable[[LocalSandbox], Any]] = {
    "run": lambda box: box.run(f"{_LARGE}; x.append(2)", check=False),
    "command": lambda box: box.command.run("true"),
    "write": lambda box: box.files.write("file", b"data"),
    "read": lambda box: box.files.read("kept"),
    "artifact": lambda box: box.run("os.makedirs('artifacts', exist_ok=True); open('artifacts/a', 'w').write('a')"),
    "variables": lambda box: box.variables(),
    "another": lambda box: LocalSandbox(engine=box._connection.transport._engine).start(),  # type: ignore[attr-defined]
    "restore": lambda box: box.run("os._exit(1)", check=False) and box.run("x", check=False),
}


@pytest.mark.parametrize("left", [0, 3])
@pytest.mark.parametrize("call", _CALLS.values(), ids=_CALLS)
def test_where_no_file_can_be_opened_a_call_fails_with_a_type_and_works_afterwards(
    box: LocalSandbox, call: Callable[[LocalSandbox], Any], left: int
) -> None:
    box.run("import os")
    box.files.write("kept", b"kept")
    before = descriptors()
    others = None
    with descriptors_left(left), contextlib.suppress(SandboxError, OSError):
        others = call(box)
    if isinstance(others, LocalSandbox):
        others.delete()
    seen = [box.run("x[0], y is x", check=False) for _ in range(2)][-1]
    assert seen.text == "(1, True)", seen
    assert box.files.read("kept") == b"kept"
    deadline = time.monotonic() + 20
    while descriptors() > before + 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert descriptors() <= before + 2, "what failed has left descriptors open"


# --- a disk that fails ------------------------------------------------------------------------------------------------


class Failing:
    """A function that fails with this errno for what belongs to the store, until it is mended."""

    def __init__(self, true: Callable[..., Any], number: int) -> None:
        self.true, self.number, self.failed = true, number, 0

    def __call__(self, fd: int, *arguments: Any) -> Any:
        if os.readlink(f"/proc/self/fd/{fd}").endswith(".pack"):
            self.failed += 1
            raise OSError(self.number, os.strerror(self.number))
        return self.true(fd, *arguments)


@pytest.mark.parametrize("name", ["pwrite", "fdatasync"])
def test_a_pack_that_cannot_be_written_or_synced_is_not_saved_and_saved_with_the_next(
    box: LocalSandbox, monkeypatch: pytest.MonkeyPatch, name: str, own_home: Path
) -> None:
    with monkeypatch.context() as patch:
        failing = Failing(getattr(os, name), errno.EIO)
        patch.setattr(os, name, failing)
        done = box.run(f"{_LARGE}; x.append(2)")
    if not failing.failed:
        pytest.skip(f"packs are written without {name}")
    assert "was not saved" in "".join(done.warnings), done.warnings
    assert done.state == "kept"
    following = box.run("x, y is x, len(large)")
    assert (following.text, following.warnings) == ("([1, 2], True, 4000000)", ())
    assert box.run("os._exit(1)", check=False).state == "restored"
    assert box.run("x, y is x, len(large)").text == following.text
    with Store(own_home / "store") as store:
        assert store.verify().ok


def test_a_database_that_fails_is_not_saved_and_saved_with_the_next(
    box: LocalSandbox, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    with monkeypatch.context() as patch:
        failed = []

        def run(self: Database, query: str, *values: object) -> Any:
            if query.startswith("INSERT INTO checkpoints"):
                failed.append(query)
                raise StoreError(f"{self.path}: disk I/O error")
            return true(self, query, *values)

        true = Database.run
        patch.setattr(Database, "run", run)
        done = box.run("x.append(2)")
    assert failed
    assert "was not saved" in "".join(done.warnings), done.warnings
    assert box.run("x, y is x").text == "([1, 2], True)"
    assert box.run("import os; os._exit(1)", check=False).state == "restored"
    assert box.run("x, y is x").text == "([1, 2], True)"
    with Store(own_home / "store") as store:
        assert store.verify().ok


def test_a_pack_that_cannot_be_read_is_an_error_and_everything_is_there_when_it_can(
    box: LocalSandbox, engine_apart: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.run(f"{_LARGE}; print(len(large))")
    kill_worker(engine_apart, box.session_id)
    with monkeypatch.context() as patch:
        for name in ("open_to_read", "header_at"):
            patch.setattr(packs, name, lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
        with contextlib.suppress(SandboxError, OSError):
            box.run("x")
    assert box.run("x, y is x, len(large)").text == "([1], True, 4000000)"


# --- a clock that jumps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-1e9, -1.0, 1e9])
def test_a_clock_that_jumps_ends_nothing_and_loses_nothing(
    engine_apart: EngineThread, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    with LocalSandbox(engine=engine_apart, environment=Environment(warm=()), timeout=5.0, idle_timeout=60.0) as box:
        box.run("n = 1")
        true = time.time
        monkeypatch.setattr(time, "time", lambda: true() + seconds)
        assert box.run("n += 1; n").text == "2"
        assert box.metrics.get("uptime") >= 0
        kill_worker(engine_apart, box.session_id)
        assert box.run("n").text == "2"
        box.stop()
        assert box.start().run("n += 1; n").text == "3"
        assert [record["code"] for record in box.get_execution_history()] == ["n += 1; n", "n", "n += 1; n", "n = 1"]
        assert [one.number for one in box.checkpoints()][-1] == max(one.number for one in box.checkpoints())
        box.delete()


# --- processes and memory ---------------------------------------------------------------------------------------------

_WITHOUT_PROCESSES = """
import resource, sys
from sandbox import SandboxError
from sandbox.engine.execution import Execution
from sandbox.engine.thread import EngineThread
from sandbox.sync import LocalSandbox
engine = EngineThread(parked=0)
hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
resource.setrlimit(resource.RLIMIT_NPROC, (1, hard))
try:
    LocalSandbox(engine=engine).start()
    print("started")
except SandboxError as error:
    print("refused:", type(error).__name__)
resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
print(LocalSandbox(engine=engine, persist=False).start().run("6 * 7").text)
engine.close()
"""


def _as_a_program(code: str, home: Path) -> str:
    environment = {**os.environ, "SANDBOX_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert list((home / "run").iterdir()) == []
    return done.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may have as many processes as it likes")
def test_where_no_process_can_be_started_a_start_fails_with_a_type_and_works_afterwards(own_home: Path) -> None:
    assert _as_a_program(_WITHOUT_PROCESSES, own_home).splitlines()[-1] == "42"


@pytest.mark.parametrize("place", ["_collect", "_counted", "_finished", "_request_run"])
def test_where_the_host_has_no_memory_left_callers_are_answered_and_the_engine_goes_on(
    box: LocalSandbox, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Memory that is short in truth ends libraries too, so it is said to be short: once, at a step of an execution."""

    def short(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Execution, place, short)
        with pytest.raises(SandboxError, match="Out of memory"):
            box.run("x.append(2)")
    following = box.run("x[0], y is x")
    assert (following.text, following.state) == ("(1, True)", "restored")
