"""`sandbox shell` in sessions of this machine, on a real pseudo-terminal."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.shell import Seat

from sandbox.cli.seat import Escape

from .conftest import COMMAND, DEADLINE, Cli

pytestmark = pytest.mark.usefixtures("nothing_is_left")
Sit = Callable[..., Seat]


@pytest.fixture
def sit(environment: dict[str, str], cli: Cli) -> Iterator[Sit]:
    """Begins a session `desk`, and sits down in front of it."""
    assert cli("run", "--session", "desk", "-c", "x = 12300").returncode == 0
    seats: list[Seat] = []

    def down(*arguments: str) -> Seat:
        seats.append(Seat(environment, *arguments))
        return seats[-1]

    yield down
    for seat in seats:
        seat.close()
    cli("sessions", "rm", "--yes", "desk")


def test_a_shell_has_this_terminals_size_and_its_changes(sit: Sit) -> None:
    seat = sit("desk", "sh")
    seat.enter("stty size; echo term-$TERM")
    seat.sees(r"30 100\r\nterm-xterm\r\n")
    seat.enter("trap 'stty size; echo changed' WINCH; echo set-$((40 + 2))")
    seat.sees("set-42")
    seat.child.setwinsize(20, 70)
    seat.enter("")  # a shell looks at its traps after a command
    seat.sees(r"20 70\r\nchanged")
    seat.enter("exit 5")
    assert seat.left() == 5


def test_ctrl_c_and_ctrl_d_are_for_the_program_inside(sit: Sit) -> None:
    seat = sit("desk", "sh")
    seat.enter("python3 -c \"import time; print('be' + 'gun', flush=True); time.sleep(600)\"")
    seat.sees("begun")
    seat.child.sendintr()
    seat.sees("KeyboardInterrupt")
    seat.enter("echo still-$((40 + 2))")
    seat.sees("still-42")
    seat.child.send("\x04")
    assert seat.left() == 0


def test_what_a_shell_does_to_files_is_stored_and_variables_stay(sit: Sit, cli: Cli) -> None:
    seat = sit("des")  # the beginning of its id
    seat.enter("echo 45 > more.txt; exit")
    assert seat.left() == 0
    done = cli("run", "--session", "desk", "-c", "print(x + int(open('more.txt').read()))")
    assert (done.returncode, done.stdout) == (0, "12345\n"), done.stderr


def test_it_ends_in_order_when_it_is_told_to(sit: Sit, cli: Cli) -> None:
    seat = sit("desk", "sh", "-c", "echo 45 > more.txt; echo be''gun; cat")
    seat.sees("begun")
    pid = seat.child.pid
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    os.kill(int(child), signal.SIGTERM)
    assert seat.left() == 128 + signal.SIGTERM
    assert cli("run", "--session", "desk", "-c", "print(open('more.txt').read())").stdout == "45\n\n"


def test_one_gets_away_from_a_program_that_does_not_end(sit: Sit) -> None:
    seat = sit("desk", "sh", "-c", "trap '' HUP INT; echo be''gun; while true; do read line; done")
    seat.sees("begun")
    seat.child.sendintr()
    seat.enter("a line")
    seat.child.send("~.")
    assert seat.left() == 128 + signal.SIGHUP


def test_a_program_that_a_signal_ends_says_so_by_its_exit_code(sit: Sit) -> None:
    seat = sit("desk", "sh", "-c", "kill -9 $$")
    seat.sees("ended by signal 9")
    assert seat.left() == 137


def test_a_session_that_there_is_not_is_not_made(sit: Sit, cli: Cli) -> None:
    seat = sit("other")
    seat.sees("there is no session 'other'")
    assert seat.left() == 2
    assert "other" not in cli("sessions").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["desk"], "needs a terminal"),
        ([], "required"),
        (["--server", "http://127.0.0.1:1", "--memory", "2G", "desk"], "--memory cannot go with --server"),
        (["--server", "http://127.0.0.1:1", "--with", "polars", "desk"], "--with cannot go with --server"),
        (["--timeout", "3", "desk"], "--timeout"),
    ],
)
def test_a_wrong_command_line_is_one_message(cli: Cli, arguments: list[str], says: str) -> None:
    done = cli("shell", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_output_that_is_no_terminal_is_an_error_too(environment: dict[str, str]) -> None:
    ours, theirs = os.openpty()
    try:
        done = subprocess.run(
            [*COMMAND, "shell", "desk"], stdin=theirs, capture_output=True, timeout=DEADLINE, check=False,
            env=environment,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"needs a terminal" in done.stderr


@pytest.mark.parametrize(
    ("typed", "passed", "found"),
    [
        ([b"ls ~.\r"], b"ls ~.\r", False),
        ([b"~."], b"", True),
        ([b"a\r", b"~", b"."], b"a\r", True),
        ([b"a\r~~."], b"a\r~.", False),
        ([b"a\r~/b\r"], b"a\r~/b\r", False),
        ([b"a\r~\r~."], b"a\r~\r", True),
        ([b"a\n", b"~", b"x."], b"a\n~x.", False),
    ],
)  # fmt: skip
def test_only_enter_tilde_and_dot_one_after_another_lead_away(typed: list[bytes], passed: bytes, found: bool) -> None:
    escape = Escape()
    assert b"".join(map(escape.feed, typed)) == passed
    assert escape.found is found
