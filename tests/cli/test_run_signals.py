"""Streaming, interrupts, and readers that go away."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable

import pexpect
import pytest

from .conftest import COMMAND, DEADLINE

Start = Callable[..., subprocess.Popen[bytes]]
pytestmark = pytest.mark.usefixtures("nothing_is_left")
# Written past the stream: an interrupt in the middle of print() may come before or after its line is done. Sleeping
# briefly: Python looks for signals before it sleeps, and one that comes right after that waits until it has slept.
_SLEEPS = "import os, time\nos.write(1, b'begun\\n')\nfor _ in range(6000): time.sleep(0.1)"


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    """Read the first line of its output, if it comes before the deadline."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], DEADLINE)
    assert ready, "nothing was printed before the deadline"
    return process.stdout.readline()


def test_a_line_arrives_before_the_program_ends(start: Start) -> None:
    process = start("run", "-c", _SLEEPS)
    assert first_line(process) == b"begun\n"
    assert process.poll() is None


def test_ctrl_c_interrupts_the_code(start: Start) -> None:
    process = start("run", "-c", _SLEEPS)
    first_line(process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert errors.decode().splitlines()[-1] == "KeyboardInterrupt"
    assert b'File "<string>", line ' in errors


def test_code_that_catches_the_interrupt_goes_on(start: Start) -> None:
    process = start("run", "-c", f"try:\n    {_SLEEPS.replace(chr(10), chr(10) + '    ')}\nfinally: print('tidied')")
    first_line(process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=DEADLINE)
    assert (process.returncode, output) == (130, b"tidied\n")
    process = start("run", "-c", f"try:\n    {_SLEEPS.replace(chr(10), chr(10) + '    ')}\nexcept KeyboardInterrupt: 1")
    first_line(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 0


def test_a_second_ctrl_c_ends_it_at_once(start: Start) -> None:
    process = start("run", "-c", f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{_SLEEPS}")
    first_line(process)
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() - begin < DEADLINE:
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    assert process.returncode == 130
    # The engine's own grace for code that does not stop is 2 s.
    assert time.monotonic() - begin < 1.5


def test_code_that_does_not_stop_is_told_how_to_be_ended(start: Start) -> None:
    process = start("run", "-c", f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{_SLEEPS}")
    first_line(process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == b"sandbox: it is interrupted, and runs on; Ctrl-C ends it at once\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=DEADLINE) == 130


def test_ctrl_c_in_a_terminal_interrupts_the_code(environment: dict[str, str]) -> None:
    child = pexpect.spawn(COMMAND[0], [*COMMAND[1:], "run", "-c", _SLEEPS], env=environment, timeout=DEADLINE)
    child.expect("begun")
    child.sendintr()
    child.expect("KeyboardInterrupt")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


@pytest.mark.parametrize("code", ["for n in range(10**7): print(n)", "while True: print('x' * 5000)"])
def test_a_reader_that_goes_away_ends_the_code_without_a_traceback(start: Start, code: str) -> None:
    process = start("run", "--output", "1000", "-c", code)
    first_line(process)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=DEADLINE) == 141
    assert process.stderr.read() == b""


def test_standard_output_that_is_closed_from_the_start_is_not_taken_for_another_file(
    environment: dict[str, str],
) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "run", "-c", "print(1); raise SystemExit(4)"],
        capture_output=True,
        timeout=DEADLINE,
        check=False,
        env=environment,
    )
    assert (done.returncode, done.stdout, done.stderr) == (4, b"", b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_is_said(environment: dict[str, str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "run", "-c", "print(1)"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=DEADLINE,
            check=False,
            env=environment,
        )
    assert done.returncode == 3
    assert done.stderr == b"sandbox: standard output cannot be written: No space left on device\n"


def test_a_killed_command_line_leaves_nothing(start: Start) -> None:
    process = start("run", "-c", _SLEEPS)
    first_line(process)
    process.kill()
    process.wait()
