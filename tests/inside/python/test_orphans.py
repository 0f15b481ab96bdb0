"""Processes that end without anybody who waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox import LocalSandbox

_SETUP = """
import os, subprocess, sys, time
def leave_orphans(count):
    # Each shell puts a program into the background and ends first; the pipe ends with the last of them.
    read, write = os.pipe()
    for _ in range(count):
        subprocess.run(["/bin/sh", "-c", "(exec sleep 0) & exit 0"], pass_fds=[write], check=True)
    os.close(write)
    os.read(read, 1)
    os.close(read)
def ended():
    children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    peek = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return sum(os.waitid(os.P_PID, int(pid), peek) is not None for pid in children)
"""


async def test_a_session_can_start_programs_in_the_background_for_ever(box: LocalSandbox) -> None:
    await box.run(_SETUP)
    for _ in range(8):
        await box.run("leave_orphans(20)")
    assert int((await box.run("ended()")).text or "") < 30


async def test_a_child_that_is_not_yet_waited_for_still_tells_how_it_ended(box: LocalSandbox) -> None:
    await box.run(_SETUP)
    start = "own = [subprocess.Popen([sys.executable, '-Sc', 'raise SystemExit(3)']) for _ in range(30)]"
    await box.run(start)
    waiting = "end = time.monotonic() + 20\nwhile ended() < 30 and time.monotonic() < end: time.sleep(0.01)\nended()"
    assert (await box.run(waiting)).text == "30"
    assert (await box.run("{process.wait() for process in own}")).text == "{3}"


async def test_a_few_children_without_an_object_can_be_waited_for_later(box: LocalSandbox) -> None:
    await box.run(_SETUP)
    await box.run("pids = [os.fork() for _ in range(1)]\nif 0 in pids: os._exit(4)")
    assert (await box.run("os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1])")).text == "4"


async def test_the_outputs_can_be_opened_by_name(box: LocalSandbox) -> None:
    """Programs are told to write to /dev/stdout. Where the host is root, the pipes behind it were root's."""
    execution = await box.run(
        "for name in ('out', 'err'):\n    with open(f'/dev/std{name}', 'w') as file: print(name, file=file)"
    )
    assert (execution.stdout, execution.stderr) == ("out\n", "err\n")
    done = await box.command.shell("echo a > /dev/stdout; echo b > /dev/stderr")
    assert (done.stdout, done.stderr) == ("a\n", "b\n")


async def test_an_execution_can_start_many_programs_in_the_background(box: LocalSandbox) -> None:
    execution = await box.run(
        f"{_SETUP}\nfor _ in range(300): subprocess.run(['/bin/sh', '-c', '(exec true) & exit 0'])"
    )
    assert execution.stderr == ""


async def test_a_child_that_code_has_forked_is_its_own_while_there_is_room(box: LocalSandbox) -> None:
    fork = "pids = []\nfor _ in range(40):\n    pids.append(os.fork())\n    if pids[-1] == 0: os._exit(4)\n"
    wait = "{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids}"
    execution = await box.run(f"{_SETUP}\n{fork}\nfor _ in range(3): subprocess.run(['/bin/true'])\n{wait}")
    assert execution.text == "{4}"
