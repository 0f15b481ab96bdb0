"""A range for attacks: sandboxes in which attacks run, and controls that are the same but for what is switched off.

An attack is a function in src/sandbox/attack/hostile, which is loaded in the worker as a package: attacks are written,
linted and typed as ordinary code. An `Outcome` says what came of one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox import Environment, SandboxStartError
from sandbox.attack.bait import Bait, laid
from sandbox.attack.scene import Outcome, Scene, attack_in
from sandbox.engine.metrics import host_pid
from sandbox.engine.thread import EngineThread
from sandbox.sync import LocalSandbox

LEVEL = os.environ.get("SANDBOX_ISOLATION", "auto")
# How long another session may wait for an answer, on a machine that has other work too.
PATIENCE = 3.0
_SECONDS = 20.0
_SYSTEM_PYTHON = "/usr/bin/python3"


class Range(Scene):
    """Sandboxes by their options, on an engine of their own that parks no workers."""

    def __init__(self, bait: Bait) -> None:
        # Not below pytest's directories: those are closed to the uids that root's workers have.
        self._home = open_directory()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SANDBOX_HOME", str(self._home))
            engine = EngineThread(parked=0)
        super().__init__(engine, bait, LEVEL)
        self._controls: tuple[tuple[Any, ...], Range] | None = None

    # --- sandboxes ---

    def new_box(self, **options: Any) -> LocalSandbox:
        """A started sandbox that nobody else uses. Skips the test where the level is not to be had."""
        level = options.get("isolation", LEVEL)
        options.setdefault("environment", _environment(level))
        try:
            return super().new_box(**options)
        except SandboxStartError as error:
            if level in {LEVEL, "auto", "none"} or options.get("without"):
                raise
            pytest.skip(f"level {level} is not to be had here: {error}")

    def control_box(self, **options: Any) -> LocalSandbox:
        """A sandbox with something switched off. Its zygote ends when the next control is asked for."""
        key = (tuple(sorted(options.get("without", ()))), options.get("isolation"))
        if self._controls is None or self._controls[0] != key:
            self.end_controls()
            self._controls = key, Range(self.bait)
        return self._controls[1].box(**options)

    def attack_in_control(self, name: str, arguments: Any, options: Mapping[str, Any]) -> Outcome:
        """The same, with arguments that may be the control's own, such as its neighbour's."""
        box = self.control_box(**options)
        assert self._controls is not None
        return attack_in(box, name, *self._controls[1].resolved(arguments, **options))

    def end_controls(self) -> None:
        if self._controls is not None:
            self._controls[1].close()
            self._controls = None

    @property
    def level(self) -> str:
        """The level that attacks meet."""
        return str(self.box().isolation)

    def pid_of(self, box: LocalSandbox) -> int:
        """The worker's pid on the host."""
        for one in (self, *([self._controls[1]] if self._controls else ())):
            session = one.engine._engine.sessions._sessions.get(box.session_id)
            if session is not None and session.cell is not None:
                return host_pid(session.cell.worker.pidfd)
        raise AssertionError(f"{box.session_id} has no worker")

    # --- attacks ---

    def attack(self, name: str, /, *args: Any, **options: Any) -> Outcome:
        """Run an attack under everything that is in force."""
        return attack_in(self.box(**options), name, *args)

    def control(self, name: str, /, *args: Any, **options: Any) -> Outcome:
        """Run the same attack with the restrictions in `without` switched off, or at another level."""
        return attack_in(self.control_box(**options), name, *args)

    def close(self) -> None:
        self.end_controls()
        super().close()
        self.engine.close()
        assert list((self._home / "run").glob("*")) == [], "the engine left its directory behind"
        shutil.rmtree(self._home)


def open_directory(parent: str | None = None) -> Path:
    """A new directory that every uid may pass through."""
    path = Path(tempfile.mkdtemp(prefix="sandbox-range-", dir=parent))
    path.chmod(0o711)
    return path


def _environment(isolation: str) -> Environment | str:
    """The running interpreter, without packages; at level `landlock` one that a worker's own uid can reach."""
    if isolation == "landlock" and os.geteuid() == 0 and not _reachable(sys.base_prefix, sys.prefix):
        if not os.access(_SYSTEM_PYTHON, os.X_OK):
            pytest.skip("this interpreter lies in a directory that only root may enter, and there is no other")
        return _SYSTEM_PYTHON
    return Environment(warm=())


def _reachable(*paths: str) -> bool:
    """Whether everybody may enter the directories above these paths."""
    parents = [parent for path in paths for parent in (Path(path), *Path(path).parents)]
    return all(parent.stat().st_mode & 0o001 for parent in parents)


@pytest.fixture(scope="module")
def bait() -> Iterator[Bait]:
    """What attacks are to find, if they can. It is there before the module's engine."""
    with laid() as bait:
        yield bait


@pytest.fixture(scope="module")
def lab(_home: None, bait: Bait) -> Iterator[Range]:
    """The range of a test module. What was started in it is ended with it."""
    lab = Range(bait)
    yield lab
    lab.close()


BoxWith = Callable[..., LocalSandbox]
Served = Callable[[], contextlib.AbstractContextManager[None]]


@pytest.fixture
def box_with(lab: Range) -> Iterator[BoxWith]:
    """Makes sandboxes that are deleted afterwards."""
    made: list[LocalSandbox] = []

    def box_with(**options: Any) -> LocalSandbox:
        made.append(lab.new_box(**options))
        return made[-1]

    yield box_with
    for box in made:
        box.delete()


@pytest.fixture
def served(lab: Range) -> Served:
    """A context in which another session asks again and again, and must have each answer in time."""

    @contextlib.contextmanager
    def served() -> Iterator[None]:
        waits: list[float] = []
        done = threading.Event()
        thread = threading.Thread(target=_ask, args=(lab.box(), waits, done))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        assert waits
        assert max(waits) < PATIENCE

    return served


def _ask(box: LocalSandbox, waits: list[float], done: threading.Event) -> None:
    while not done.is_set():
        begin = time.monotonic()
        answer = box.run("import subprocess; subprocess.run(['/bin/echo', '42'], capture_output=True).stdout")
        waits.append(time.monotonic() - begin if answer.text == "b'42\\n'" else float("inf"))


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that has no event to wait for, such as the end of somebody else's process."""
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


WaitUntil = Callable[[Callable[[], bool], str], None]


@pytest.fixture(name="wait_until")
def _wait_until() -> WaitUntil:
    return wait_until


@pytest.fixture
def common() -> Iterator[Path]:
    """A directory of the host in which every uid may do everything: only the sandbox keeps a worker out of it."""
    path = open_directory("/var/tmp")  # a sandbox has a /tmp of its own, below which it shows nothing
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the host, of the same user as the engine."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


Greeting = Callable[[socket.socket], contextlib.AbstractContextManager[None]]


@pytest.fixture
def greeting() -> Greeting:
    """A context in which a listening socket of the host greets its next caller."""

    @contextlib.contextmanager
    def greeting(server: socket.socket) -> Iterator[None]:
        thread = threading.Thread(target=_greet, args=(server,))
        thread.start()
        yield
        thread.join(10)

    return greeting


def _greet(server: socket.socket) -> None:
    server.settimeout(10)
    accepted, _ = server.accept()
    with accepted:
        accepted.sendall(b"hello")


@contextlib.contextmanager
def memory_watch() -> Iterator[Callable[[], int]]:
    """Yields what tells, at the end, by how many bytes the memory of this process grew at the most."""
    peak = 0
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # let the peak begin anew
    before = _own_memory("VmRSS")
    yield lambda: peak - before
    peak = _own_memory("VmHWM")


def _own_memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


MemoryWatch = Callable[[], contextlib.AbstractContextManager[Callable[[], int]]]


@pytest.fixture(name="memory_watch")
def _memory_watch() -> MemoryWatch:
    return memory_watch


@pytest.fixture
def needs_level_landlock(lab: Range) -> None:
    """Skip where the level `landlock` is not to be had; see `Range.new_box`."""
    lab.box(isolation="landlock")
