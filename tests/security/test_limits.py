"""Limits: what happens to code that takes too much, and that it happens to nobody else."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.inside.contain.policy import NAMESPACES

if TYPE_CHECKING:
    from sandbox.sync import Execution, LocalSandbox
    from tests.security.conftest import Range

# How long another session may wait for an answer, on a machine that has other work too.
_PATIENCE = 3.0
_GRACE = 2.0
_SECONDS = 20.0
_UNCOUNTED = ("cgroup",)


@pytest.fixture(params=["control groups", "rlimits and watching"])
def without(request: pytest.FixtureRequest, lab: Range) -> tuple[str, ...]:
    """What to leave off: nothing, or the control groups, so that what is left must hold the limits."""
    if request.param != "control groups":
        return _UNCOUNTED
    if "cgroup" not in lab.box().enforced:
        pytest.skip("there are no control groups here that this user may use")
    return ()


@contextlib.contextmanager
def others_are_served(lab: Range) -> Iterator[None]:
    """Ask another session again and again meanwhile: each answer must come in time."""
    waits: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            begin = time.monotonic()
            answer = lab.box().run("import subprocess; subprocess.run(['/bin/echo', '42'], capture_output=True).stdout")
            waits.append(time.monotonic() - begin if answer.text == "b'42\\n'" else float("inf"))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert waits
    assert max(waits) < _PATIENCE


@pytest.fixture
def box_with(lab: Range) -> Iterator[Callable[..., LocalSandbox]]:
    """Makes sandboxes that are deleted afterwards."""
    made: list[LocalSandbox] = []

    def box_with(**options: object) -> LocalSandbox:
        made.append(lab.new_box(**options))
        return made[-1]

    yield box_with
    for box in made:
        box.delete()


def run(box: LocalSandbox, code: str) -> Execution:
    return box.run(f"import attacks, os, time\n{code}", check=False)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


# --- memory ---------------------------------------------------------------------------------------------------------


def test_memory_of_all_processes_together_is_limited(
    lab: Range, box_with: Callable[..., LocalSandbox], without: tuple[str, ...]
) -> None:
    """Each of the eight takes far less than the limit. The control is the same with a limit that they fit into."""
    attack = "attacks.hold_memory_in_children(8, 40 << 20)"
    box = box_with(memory=128, without=without)
    with others_are_served(lab):
        execution = run(box, f"print({attack})")
    if execution.cause is None:
        # The kernel ended some of the eight, and not the worker.
        assert int(execution.stdout) <= 3
    else:
        assert (execution.cause, execution.cause.limit) == ("memory", 128)
    assert box.run("6 * 7").text == "42"
    assert run(box_with(memory=1024, without=without), f"print({attack})").stdout == "8\n"


def test_a_too_large_allocation_is_a_memory_error(lab: Range, box_with: Callable[..., LocalSandbox]) -> None:
    """The limit of the process itself: the variables stay. Without it, memory that is never touched is promised."""
    box = box_with(memory=128)
    box.run("kept = 41")
    execution = run(box, f"attacks.in_memory({4 << 30})")
    assert (execution.cause, execution.exception and execution.exception.error_type) == ("memory", "MemoryError")
    assert (execution.state, box.run("kept + 1").text) == ("kept", "42")
    assert lab.control("in_memory", 4 << 30, without=("rlimits",), memory=128).value == 4 << 30


def test_what_one_process_takes_bit_by_bit_is_limited(
    lab: Range, box_with: Callable[..., LocalSandbox], without: tuple[str, ...]
) -> None:
    box = box_with(memory=128, without=without)
    with others_are_served(lab):
        execution = run(box, "held = []\nwhile True: held.append(bytearray(b'x' * 1000000))")
    assert execution.cause == "memory"
    assert box.run("6 * 7").text == "42"


@pytest.mark.needs_namespaces
@pytest.mark.parametrize("where", ["/tmp", "/dev/shm"])
def test_files_in_memory_are_limited(
    lab: Range, box_with: Callable[..., LocalSandbox], where: str, without: tuple[str, ...]
) -> None:
    box = box_with(memory=64, without=without)
    with others_are_served(lab):
        execution = run(box, f"for n in range(20): open(f'{where}/{{n}}', 'wb').write(bytes(10 << 20))")
    # Where they are counted as the sandbox's memory, that may be what is used up first.
    assert execution.cause in {"disk", "memory"}
    assert box.run("6 * 7").text == "42"


@pytest.mark.needs_namespaces
def test_the_number_of_files_in_memory_is_limited(box_with: Callable[..., LocalSandbox]) -> None:
    """An inode is memory of the kernel that no limit of size counts."""
    execution = run(box_with(memory=64), "for n in range(100000): open(f'/tmp/{n}', 'w').close()")
    assert (execution.cause, execution.exception and execution.exception.message[:10]) == ("disk", "[Errno 28]")


# --- processes ------------------------------------------------------------------------------------------------------


def test_a_fork_bomb_is_contained(
    lab: Range, box_with: Callable[..., LocalSandbox], without: tuple[str, ...]
) -> None:
    box = box_with(processes=32, without=without)
    with others_are_served(lab):
        execution = run(box, "attacks.fork_until_refused()")
    assert (execution.cause, execution.cause and execution.cause.limit) == ("processes", 32)
    # The control: so many are no problem where they are allowed.
    assert run(box_with(processes=64, without=without), "print(attacks.children_at_once(40))").stdout == "40\n"
    assert run(box_with(processes=32, without=without), "print(attacks.children_at_once(40))").cause == "processes"


def test_a_fork_bomb_that_never_stops_is_ended(
    lab: Range, box_with: Callable[..., LocalSandbox], without: tuple[str, ...]
) -> None:
    box = box_with(processes=32, timeout=0.5, without=without)
    with others_are_served(lab):
        execution = run(box, "attacks.fork_for_ever()")
    assert execution.cause in {"timeout", "processes", "memory"}
    assert box.run("6 * 7").text == "42"


def test_a_thread_bomb_is_contained(lab: Range, box_with: Callable[..., LocalSandbox], without: tuple[str, ...]) -> None:
    box = box_with(processes=32, without=without)
    with others_are_served(lab):
        execution = run(box, "attacks.start_threads(100)")
    assert (execution.cause, execution.state) == ("processes", "kept")
    assert run(box_with(processes=128, without=without), "print(attacks.start_threads(100))").stdout == "100\n"


# --- disk -----------------------------------------------------------------------------------------------------------

_FILLS = {
    "files": "attacks.fill('f')",
    "files of one directory's name": "os.mkdir('__pycache__'); attacks.fill('__pycache__/f')",
    "files below many directories": "os.makedirs('d/' * 100); attacks.fill('d/' * 100 + 'f')",
    "one large file": "attacks.fill('f', size=1 << 30)",
}


@pytest.mark.parametrize("code", _FILLS.values(), ids=_FILLS)
def test_a_full_disk_is_a_typed_cause(lab: Range, box_with: Callable[..., LocalSandbox], code: str) -> None:
    box = box_with(disk=16)
    with others_are_served(lab):
        execution = run(box, code)
    assert (execution.cause, execution.cause and execution.cause.limit) == ("disk", 16)
    assert box.run("6 * 7").text == "42"
    assert run(box_with(disk=1024), "attacks.fill('f', count=20, pause=0); print('done')").stdout == "done\n"


def test_too_many_files_are_a_full_disk(lab: Range, box_with: Callable[..., LocalSandbox]) -> None:
    box = box_with(timeout=60.0)
    with others_are_served(lab):
        execution = run(box, "for n in range(200000): open(str(n), 'w').close()")
    assert execution.cause == "disk"
    assert box.run("6 * 7").text == "42"


# --- cpu time -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes cannot be busy at once on one cpu")
def test_two_busy_processes_get_no_more_than_the_cpus_allowed(
    box_with: Callable[..., LocalSandbox], without: tuple[str, ...]
) -> None:
    seconds = 0.6
    attack = f"print(attacks.spin_in_children(2, {seconds}))"
    for preamble in ("", "attacks.try_to_leave_its_cpus(); "):
        assert float(run(box_with(cpus=1, without=without), preamble + attack).stdout) < 1.3 * seconds
    # The best of some, since others may be busy too. It shows that two get more than one where they may.
    box = box_with(cpus=2, without=without)
    assert max(float(run(box, attack).stdout) for _ in range(4)) > 1.3 * seconds


# --- time, and code that will not stop ------------------------------------------------------------------------------

_STUBBORN = {
    "ignoring the signal": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "catching the interrupt": "while True:\n    try: time.sleep(60)\n    except KeyboardInterrupt: pass",
    "a busy loop in C": "import ctypes; ctypes.PyDLL(None).sleep(60)",
    "blocking every signal": "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(60)",
    "stopping itself": "import signal; os.kill(os.getpid(), signal.SIGSTOP); time.sleep(60)",
    "a finally that never ends": "try: time.sleep(60)\nfinally: time.sleep(60)",
    "an exit handler": "import atexit; atexit.register(time.sleep, 60); time.sleep(60)",
    "a deadlock of two threads": "attacks.deadlock()",
    "a destructor": "class D:\n    def __del__(self): time.sleep(60)\nd = D(); del d",
}


def test_code_that_will_not_stop_is_ended_when_its_time_is_up(lab: Range) -> None:
    """All at once, because each takes the grace period."""

    def attack(code: str) -> tuple[str | None, float, str | None]:
        box = lab.new_box(timeout=0.3)
        try:
            execution = run(box, code)
            return execution.cause, execution.execution_time, box.run("6 * 7").text
        finally:
            box.delete()

    with others_are_served(lab), ThreadPoolExecutor(len(_STUBBORN)) as pool:
        found = dict(zip(_STUBBORN, pool.map(attack, _STUBBORN.values()), strict=True))
    assert {name: cause for name, (cause, _, _) in found.items()} == dict.fromkeys(_STUBBORN, "timeout")
    assert max(seconds for _, seconds, _ in found.values()) < 0.3 + _GRACE + _PATIENCE
    assert {answer for _, _, answer in found.values()} == {"42"}


def test_a_worker_that_does_not_read_keeps_no_caller_waiting(lab: Range) -> None:
    """Code can be longer than a socket holds, and a thread that an earlier cell left may hold the interpreter's lock."""
    box = lab.new_box(timeout=0.5)
    run(box, "import threading; threading.Thread(target=attacks.hold_the_lock, args=(0.1, 60), daemon=True).start()")
    begin = time.monotonic()
    time.sleep(0.3)  # until it holds the lock; there is nobody inside who could say so
    execution = box.run(f"x = 1 #{'y' * 3_000_000}", check=False)
    assert execution.cause == "timeout"
    assert time.monotonic() - begin < 0.5 + _GRACE + _PATIENCE
    assert box.run("6 * 7").text == "42"
    box.delete()


_ENDINGS = {
    "os._exit": "os._exit(3)",
    "os.abort": "os.abort()",
    "a segmentation fault": "import ctypes; ctypes.string_at(0)",
    "a signal": "import signal; os.kill(os.getpid(), signal.SIGKILL); os.abort()",
    "another program": "os.execv('/bin/true', ['true'])",
    "a stack that overflows": "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "a broken interpreter": "import ctypes; ctypes.memset(id(None), 0, 16); print(None)",
}


@pytest.mark.parametrize("code", _ENDINGS.values(), ids=_ENDINGS)
def test_a_worker_that_ends_itself_is_a_typed_cause(lab: Range, code: str) -> None:
    box = lab.new_box(timeout=5.0, memory=256)
    execution = run(box, code)
    assert (execution.cause, execution.state) in {("crashed", "lost"), ("memory", "lost"), (None, "kept")}
    assert execution.cause is not None or execution.exception is not None
    assert box.run("6 * 7").text == "42"
    box.delete()


def test_a_crash_leaves_no_core_dump(lab: Range) -> None:
    assert lab.attack("in_child", "abort").value["core"] == 0
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    if hard == 0 or pattern.startswith(("|", "@")):
        pytest.skip("this machine makes no core dumps that a test could see")
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        assert lab.control("in_child", "abort", without=("rlimits",)).value["core"] == 1
    finally:
        lab.end_controls()
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


# --- what outlives ----------------------------------------------------------------------------------------------------


def test_what_an_execution_leaves_running_ends_with_the_sandbox(lab: Range) -> None:
    """Also what has made itself independent: another session, another parent, no terminal, signals ignored."""
    seconds = f"6{os.getpid()}"  # a number that nobody else sleeps for
    box = lab.new_box()
    run(box, f"attacks.leave_behind({seconds!r})")
    assert box.run("6 * 7").text == "42"
    wait_until(lambda: len(sleeping(seconds)) == 3, "they were never there")
    box.delete()
    wait_until(lambda: sleeping(seconds) == [], "they outlive the sandbox")


def test_what_a_command_leaves_running_ends_with_the_sandbox(lab: Range) -> None:
    seconds = f"7{os.getpid()}"
    box = lab.new_box()
    box.command.start("/bin/sh", ["-c", f"setsid sleep {seconds} & exec sleep {seconds}"])
    wait_until(lambda: len(sleeping(seconds)) == 2, "they were never there")
    box.delete()
    wait_until(lambda: sleeping(seconds) == [], "they outlive the sandbox")


def sleeping(seconds: str) -> list[int]:
    """The host's processes that run `sleep` with this argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "cmdline").read_bytes() == f"sleep\0{seconds}\0".encode():
                    found.append(int(entry.name))
    return found


def test_a_limit_hit_keeps_what_is_in_the_workspace(lab: Range) -> None:
    box = lab.new_box(memory=64)
    run(box, "open('kept', 'w').write('kept')")
    assert run(box, "os._exit(1)").state == "lost"
    assert box.files.read("kept") == b"kept" or box.files.read("kept") == "kept"
    box.delete()


@pytest.mark.skipif(subprocess.call(["/bin/sh", "-c", "command -v ulimit >/dev/null"]) != 0, reason="no ulimit")
def test_limits_cannot_be_raised(lab: Range) -> None:
    box = lab.box()
    code = (
        "import resource\n"
        "limits = [getattr(resource, name) for name in ('RLIMIT_DATA', 'RLIMIT_FSIZE', 'RLIMIT_NPROC', 'RLIMIT_NOFILE')]\n"
        "raised = []\n"
        "for limit in limits:\n"
        "    try: resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)); raised.append(limit)\n"
        "    except (ValueError, OSError): pass\n"
        "raised"
    )
    assert box.run(code).text == "[]"
    if lab.level == NAMESPACES or os.geteuid() == 0:
        without = ("capabilities", "own_uid", "user_namespace", "rlimits")
        assert lab.control_box(without=without).run(code).text != "[]"
