"""Limits: what happens to code that takes too much, and that it happens to nobody else."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import sandbox
from sandbox.engine import watch
from sandbox.inside.contain.policy import NAMESPACES

if TYPE_CHECKING:
    from tests.security.conftest import BoxWith, Range, Served, WaitUntil

    from sandbox.sync import Execution, LocalSandbox

_UNCOUNTED = ("cgroup",)


@pytest.fixture(params=["control groups", "rlimits and watching"])
def without(request: pytest.FixtureRequest, lab: Range) -> tuple[str, ...]:
    """What to leave off: nothing, or the control groups, so that what is left must hold the limits."""
    if request.param != "control groups":
        return _UNCOUNTED
    if "cgroup" not in lab.box().enforced:
        pytest.skip("there are no control groups here that this user may use")
    return ()


def run(box: LocalSandbox, code: str) -> Execution:
    return box.run(f"import attacks, os, time\n{code}", check=False)


# --- memory ---------------------------------------------------------------------------------------------------------


def test_memory_of_all_processes_together_is_limited(
    lab: Range, box_with: BoxWith, without: tuple[str, ...], served: Served
) -> None:
    """Each of the eight takes far less than the limit. The control is the same with a limit that they fit into."""
    attack = "attacks.hold_memory_in_children(8, 40 << 20)"
    box = box_with(memory=128, without=without)
    with served():
        execution = run(box, f"print({attack})")
    if execution.cause is None:
        # The kernel ended some of the eight, and not the worker.
        assert int(execution.stdout) <= 3
    else:
        assert (execution.cause, execution.cause.limit) == ("memory", 128)
    assert box.run("6 * 7").text == "42"
    assert run(box_with(memory=1024, without=without), f"print({attack})").stdout == "8\n"


def test_a_too_large_allocation_is_a_memory_error(lab: Range, box_with: BoxWith) -> None:
    """The limit of the process itself is met first, and the variables stay. Without it, the worker is ended."""
    box = box_with(memory=128)
    box.run("kept = 41")
    execution = run(box, f"bytearray({4 << 30})")
    assert (execution.cause, execution.exception and execution.exception.error_type) == ("memory", "MemoryError")
    assert (execution.state, box.run("kept + 1").text) == ("kept", "42")
    control = lab.control_box(without=("rlimits",), memory=128).run(f"bytearray({4 << 30})", check=False)
    assert (control.cause, control.state) == ("memory", "restored")


@pytest.mark.parametrize("fill", ["held = []; step = lambda: held.append('x' * 10000)", "held = ()", "held = {}"])
def test_a_worker_whose_variables_fill_its_memory_goes_on(box_with: BoxWith, fill: str) -> None:
    """What is left of it is enough to tell of the error, to save the other variables and to take the next request."""
    box = box_with(memory=256)
    box.run("kept = 41")
    step = {"held = ()": "held = (held,)", "held = {}": "held[len(held)] = str(len(held))"}.get(fill, "step()")
    execution = run(box, f"{fill}\nwhile True: {step}")
    assert (execution.cause, execution.state, execution.stderr) == ("memory", "kept", "")
    after = run(box, "kept += 1\nkept")
    assert (after.status, after.state, after.text, after.stderr) == ("ok", "kept", "42", "")
    assert run(box, "del held\nkept").text == "42"


def test_a_worker_that_cannot_go_on_says_that_it_is_memory(box_with: BoxWith) -> None:
    """Code can give up the rest that is kept for the worker. No traceback of ours is among what it printed."""
    box = box_with(memory=64)
    limit = "import resource as r\nsoft = r.getrlimit(r.RLIMIT_DATA)[0]\nr.setrlimit(r.RLIMIT_DATA, (soft, soft))\n"
    fill = "for size in (1 << 20, 1 << 14, 600, 1):\n    try:\n        while True: held = ('x' * size, held)\n"
    ran = [run(box, f"{limit}held = ()\n{fill}    except MemoryError: pass"), run(box, "1")]
    said = " ".join([*(str(one.exception) for one in ran), *(text for one in ran for text in one.warnings)])
    assert "it needed more than 64 MB of memory" in said
    assert [one.stderr for one in ran] == ["", ""]
    assert box.run("6 * 7").text == "42"


async def test_what_a_parked_worker_shares_with_its_zygote_is_not_counted_as_its_own(
    make: Callable[..., sandbox.LocalSandbox],
) -> None:
    """Where no control group counts, whoever looks at the memory would else end what its own limit holds."""
    for _ in range(3):  # the first may be launched for it
        box = make(memory=64)
        await box.start()
        execution = await box.run("import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()", check=False)
        assert (execution.status, execution.state) == ("error", "kept"), execution.cause


@pytest.mark.parametrize("memory", [64, 256])
def test_a_recursion_without_limit_ends_as_an_error(box_with: BoxWith, memory: int) -> None:
    box = box_with(memory=memory)
    execution = run(box, "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()")
    assert (execution.status, execution.state, execution.stderr) == ("error", "kept", ""), execution.warnings
    assert execution.exception is not None
    assert "frames in the middle of the traceback are left out" in execution.exception.traceback
    assert box.run("6 * 7").text == "42"


def test_what_an_execution_takes_is_measured(box_with: BoxWith, without: tuple[str, ...]) -> None:
    box = box_with(without=without, timeout=2)
    idle, busy = box.run("1").usage, box.run("sum(range(10**7))").usage
    child = box.run("import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(10**7))']);").usage
    assert idle.cpu_seconds < 0.05 < min(busy.cpu_seconds, child.cpu_seconds)
    big = box.run("x = bytearray(b'x' * (200 << 20)); del x").usage
    assert 0 < idle.peak_memory < 200 << 20 < big.peak_memory
    lost = run(box, "import signal; signal.signal(2, signal.SIG_IGN)\nwhile True: pass")
    assert (lost.status, lost.usage.cpu_seconds > 0.5) == ("timeout", True)


def test_what_one_process_takes_bit_by_bit_is_limited(
    lab: Range, box_with: BoxWith, without: tuple[str, ...], served: Served
) -> None:
    box = box_with(memory=128, without=without)
    with served():
        execution = run(box, "held = []\nwhile True: held.append(bytearray(b'x' * 1000000))")
    assert execution.cause == "memory"
    assert box.run("6 * 7").text == "42"


@pytest.mark.needs_namespaces
@pytest.mark.parametrize("where", ["/tmp", "/dev/shm"])
def test_files_in_memory_are_limited(
    lab: Range, box_with: BoxWith, where: str, without: tuple[str, ...], served: Served
) -> None:
    box = box_with(memory=64, without=without)
    with served():
        execution = run(box, f"for n in range(20): open(f'{where}/{{n}}', 'wb').write(bytes(10 << 20))")
    # Where they are counted as the sandbox's memory, that may be what is used up first.
    assert execution.cause in {"disk", "memory"}
    assert box.run("6 * 7").text == "42"


@pytest.mark.needs_namespaces
def test_the_number_of_files_in_memory_is_limited(box_with: BoxWith) -> None:
    """An inode is memory of the kernel that no limit of size counts."""
    execution = run(box_with(memory=64), "for n in range(100000): open(f'/tmp/{n}', 'w').close()")
    assert (execution.cause, execution.exception and execution.exception.message[:10]) == ("disk", "[Errno 28]")


def test_memory_of_commands_is_limited(lab: Range, box_with: BoxWith, without: tuple[str, ...], served: Served) -> None:
    """A command is no descendant of the worker."""
    code = "import time; held = [bytes(b'x' * 1000000) for _ in range(60)]; time.sleep(1)"
    interpreter = lab.attack("interpreter").value[2]
    script = " & ".join([f'({interpreter} -c "{code}" && echo held)'] * 4) + " & wait"
    with served():
        command = box_with(memory=128, without=without).command.shell(script)
    # The kernel ends some of the four, the engine the whole command.
    assert command.cause == "memory" or command.stdout.count("held") <= 2
    assert box_with(memory=512, without=without).command.shell(script).stdout.count("held") == 4


def test_shared_memory_is_counted(lab: Range, box_with: BoxWith, without: tuple[str, ...], served: Served) -> None:
    box = box_with(memory=128, without=without)
    with served():
        execution = run(box, "attacks.share_memory(20, 20 << 20)")
    assert execution.cause == "memory"
    # Shared by many, it counts once.
    assert run(box_with(memory=256, without=without), "print(attacks.share_with_children(8, 60 << 20))").stdout == "8\n"


def test_what_is_left_running_is_limited_too(
    box_with: BoxWith, without: tuple[str, ...], wait_until: WaitUntil
) -> None:
    """Nothing is under way that could be interrupted: its worker goes, and the next execution says why."""
    box = box_with(memory=128, without=without)
    run(box, "attacks.in_background('hold_memory_in_children', 8, 40 << 20, 600)")
    wait_until(lambda: box.metrics.get("memory_usage") < 134, "it still has it")
    assert box.run("6 * 7").text == "42"


def test_a_disk_filled_in_the_background_ends_the_worker(box_with: BoxWith, wait_until: WaitUntil) -> None:
    box = box_with(disk=16)
    run(box, "attacks.in_background('fill', 'f')")
    wait_until(lambda: box.metrics.get("processes") == 0, "it goes on")
    again = box.run("6 * 7")
    assert again.text == "42"
    assert "16 MB" in " ".join(again.warnings)


# --- processes ------------------------------------------------------------------------------------------------------


def test_a_fork_bomb_is_contained(lab: Range, box_with: BoxWith, without: tuple[str, ...], served: Served) -> None:
    box = box_with(processes=32, without=without)
    with served():
        execution = run(box, "attacks.fork_until_refused()")
    assert (execution.cause, execution.cause and execution.cause.limit) == ("processes", 32)
    # The control: so many are no problem where they are allowed.
    assert run(box_with(processes=64, without=without), "print(attacks.children_at_once(40))").stdout == "40\n"
    assert run(box_with(processes=32, without=without), "print(attacks.children_at_once(40))").cause == "processes"


def test_a_fork_bomb_that_never_stops_is_ended(
    lab: Range, box_with: BoxWith, without: tuple[str, ...], served: Served
) -> None:
    box = box_with(processes=32, timeout=0.5, without=without)
    with served():
        execution = run(box, "attacks.fork_for_ever()")
    assert execution.cause in {"timeout", "processes", "memory"}
    assert box.run("6 * 7").text == "42"


def test_a_thread_bomb_is_contained(lab: Range, box_with: BoxWith, without: tuple[str, ...], served: Served) -> None:
    box = box_with(processes=32, without=without)
    with served():
        execution = run(box, "attacks.start_threads(100)")
    # Where the kernel counts for the sandbox alone, a thread too many is an error. Else the engine counts, and ends it.
    assert execution.cause == "processes"
    counted = lab.level == NAMESPACES or os.geteuid() == 0 or not without
    assert execution.state == ("kept" if counted else "restored")
    assert run(box_with(processes=128, without=without), "print(attacks.start_threads(100))").stdout == "100\n"


def test_a_fork_bomb_takes_no_processes_from_others(lab: Range, box_with: BoxWith, without: tuple[str, ...]) -> None:
    """The kernel counts the processes of a user, and they may all be the same one."""
    bomb, other = box_with(processes=24, without=without), box_with(processes=64, without=without)
    thread = threading.Thread(target=run, args=(bomb, "attacks.fork_until_refused()"))
    thread.start()
    for _ in range(5):
        assert run(other, "print(attacks.children_at_once(50, 0))").stdout == "50\n"
    thread.join()


# --- disk -----------------------------------------------------------------------------------------------------------

_FILLS = {
    "files of one directory's name": "os.mkdir('__pycache__'); attacks.fill('__pycache__/f')",
    "files below many directories": "os.makedirs('d/' * 100); attacks.fill('d/' * 100 + 'f')",
    "files in a closed directory": "os.mkdir('d'); attacks.fill_and_close('d')",
}


@pytest.mark.parametrize("code", _FILLS.values(), ids=_FILLS)
def test_a_full_disk_is_a_typed_cause(lab: Range, box_with: BoxWith, code: str, served: Served) -> None:
    box = box_with(disk=16)
    with served():
        execution = run(box, code)
    assert (execution.cause, execution.cause and execution.cause.limit) == ("disk", 16)
    assert box.run("6 * 7").text == "42"
    assert run(box_with(disk=1024), "attacks.fill('f', count=20, pause=0); print('done')").stdout == "done\n"


def test_temporary_files_count_too(box_with: BoxWith) -> None:
    """Where there is no /tmp of its own in memory, they are on the same disk. Removed at once and kept open, too."""
    fill = "import tempfile\nwith tempfile.NamedTemporaryFile(delete={}) as file:\n"
    fill += "    while True: file.write(bytes(1 << 20)); time.sleep(0.005)"
    for delete in (True, False):
        execution = run(box_with(disk=16, memory=64), fill.format(delete))
        assert execution.cause in {"disk", "memory"}, execution


def test_too_many_files_are_a_full_disk(
    lab: Range, box_with: BoxWith, monkeypatch: pytest.MonkeyPatch, served: Served
) -> None:
    monkeypatch.setattr(watch, "MOST_ENTRIES", 2000)
    box = box_with()
    with served():
        execution = run(box, "for n in range(100000): open(str(n), 'w').close()")
    assert execution.cause == "disk"
    assert box.run("6 * 7").text == "42"


# --- cpu time -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes cannot be busy at once on one cpu")
def test_two_busy_processes_get_no_more_than_the_cpus_allowed(box_with: BoxWith, without: tuple[str, ...]) -> None:
    seconds = 0.6
    attack = f"attacks.try_to_leave_its_cpus(); print(attacks.spin_in_children(2, {seconds}))"
    assert float(run(box_with(cpus=1, without=without), attack).stdout) < 1.3 * seconds
    # One of some, since others may be busy too. It shows that two get more than one where they may.
    box = box_with(cpus=2, without=without)
    assert any(float(run(box, attack).stdout) > 1.3 * seconds for _ in range(6))


# --- what the kernel counts for a user ------------------------------------------------------------------------------


@pytest.mark.needs_namespaces
def test_a_worker_cannot_use_up_what_its_user_shares_with_others(lab: Range, box_with: BoxWith) -> None:
    """In the control it takes what there is, for as long as it lives."""
    most = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text("ascii"))
    assert 1 <= lab.attack("take_inotify_instances", most).value <= 16
    box = box_with(without=("user_limits",))
    assert int(run(box, f"print(attacks.take_inotify_instances({most}))").stdout) > most // 2


def test_output_beyond_the_limit_is_cut(box_with: BoxWith) -> None:
    box = box_with(output=1)
    execution = run(box, "import sys; [print('x' * 100000) for _ in range(50)]; print('kept', file=sys.stderr)")
    assert (execution.cause, execution.truncated, execution.status) == ("output", ("stdout",), "ok")
    assert len(execution.stdout) <= 1_000_000
    assert execution.stderr == "kept\n"
    assert run(box_with(output=10), "print('x' * 2000000)").truncated == ()
