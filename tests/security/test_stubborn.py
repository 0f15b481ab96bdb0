"""Code that will not stop, code that ends its own worker, and what is left running when both are gone."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.security.conftest import Range, Served, WaitUntil

    from sandbox.sync import Execution, LocalSandbox

_PATIENCE = 3.0
_GRACE = 2.0
_CAP_SYS_RESOURCE = 24


def run(box: LocalSandbox, code: str) -> Execution:
    return box.run(f"import attacks, os, time\n{code}", check=False)


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


def test_code_that_will_not_stop_is_ended_when_its_time_is_up(lab: Range, served: Served) -> None:
    """All at once, because each takes the grace period."""

    def attack(code: str) -> tuple[str | None, float, str | None]:
        box = lab.new_box(timeout=0.3)
        try:
            execution = run(box, code)
            return execution.cause, execution.execution_time, box.run("6 * 7", timeout=60).text
        finally:
            box.delete()

    with served(), ThreadPoolExecutor(len(_STUBBORN)) as pool:
        found = dict(zip(_STUBBORN, pool.map(attack, _STUBBORN.values()), strict=True))
    assert {name: cause for name, (cause, _, _) in found.items()} == dict.fromkeys(_STUBBORN, "timeout")
    assert max(seconds for _, seconds, _ in found.values()) < 0.3 + _GRACE + _PATIENCE
    assert {answer for _, _, answer in found.values()} == {"42"}


def test_a_worker_that_does_not_read_keeps_no_caller_waiting(lab: Range) -> None:
    """Code can be longer than a socket holds, and a thread that was left running may hold the interpreter's lock."""
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
    "a stack that overflows": "import sys; sys.setrecursionlimit(9**9); x = []\nfor _ in range(10**6): x = [x]\nstr(x)",
    "a broken interpreter": "import ctypes; ctypes.memset(id(None), 0, 16); print(None)",
}


@pytest.mark.parametrize("code", _ENDINGS.values(), ids=_ENDINGS)
def test_a_worker_that_ends_itself_is_a_typed_cause(lab: Range, code: str) -> None:
    box = lab.new_box(timeout=5.0, memory=256)
    execution = run(box, code)
    # Newer interpreters notice some of these, and raise.
    assert (execution.cause, execution.state) in {("crashed", "restored"), (None, "kept")}
    assert execution.exception is not None
    assert box.run("6 * 7").text == "42"
    box.delete()


def test_a_crash_leaves_no_core_dump(lab: Range) -> None:
    assert lab.attack("in_child", "abort").value["core"] == 0
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    if hard == 0 or pattern.startswith(("|", "@")):
        pytest.skip("this machine makes no core dumps that a test could see")
    lab.end_controls()  # processes inherit the limit
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        assert lab.control("in_child", "abort", without=("rlimits",)).value["core"] == 1
    finally:
        lab.end_controls()
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


# --- what outlives ----------------------------------------------------------------------------------------------------


def test_what_a_command_leaves_running_ends_with_the_sandbox(lab: Range, wait_until: WaitUntil) -> None:
    seconds = f"7{os.getpid()}"
    box = lab.new_box()
    handle = box.command.start("/bin/sh", ["-c", f"setsid sleep {seconds} & exec sleep {seconds}"])
    wait_until(lambda: len(sleeping(seconds)) == 2, "they were never there")
    assert handle.command > 0
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
    assert run(box, "os._exit(1)").state == "restored"
    assert box.files.read("kept") == b"kept"
    box.delete()


def test_limits_cannot_be_raised(lab: Range) -> None:
    """It takes a right that no user namespace gives: so the control is the host's root, without isolation."""
    assert lab.attack("raise_limits").value == []
    rights = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    if not int(rights.split()[1], 16) >> _CAP_SYS_RESOURCE & 1:
        pytest.skip("this user may not raise limits itself")
    assert lab.control("raise_limits", isolation="none").value != []
