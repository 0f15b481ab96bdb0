"""`sandbox repl` in a real pseudo terminal."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from .conftest import COMMAND, DEADLINE

READY = r"\x1b\[\?2004h"  # bracketed paste is switched on whenever a prompt begins
pytestmark = pytest.mark.usefixtures("nothing_is_left")


class Terminal:
    """A session, and what it shows."""

    def __init__(self, environment: dict[str, str], *flags: str) -> None:
        # There is nobody to answer when the prompt asks the terminal where its cursor is.
        settings = {**environment, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}
        settings.pop("COLUMNS")
        self.child = pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], "repl", *flags],
            env=settings,
            dimensions=(30, 80),
            timeout=DEADLINE,
            encoding="utf-8",
        )
        self.child.expect(READY)
        self.greeting = self.child.before or ""

    def enter(self, text: str) -> str:
        """Type a cell; return what was shown until the next prompt."""
        self.child.send(text)
        self.child.expect(READY)
        return self.child.before or ""

    def leave(self) -> int | None:
        self.child.sendeof()
        self.child.expect(pexpect.EOF)
        self.child.close()
        status: int | None = self.child.exitstatus
        return status


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Terminal]:
    session = Terminal(environment)
    yield session
    session.child.close(force=True)


def test_a_conversation(terminal: Terminal) -> None:
    assert "isolation" in terminal.greeting
    assert "Ctrl-D leaves" in terminal.greeting
    terminal.enter("x = 12300\r")
    assert "12345" in terminal.enter("x + 45\r")
    assert "ZeroDivisionError" in terminal.enter("x / 0\r")
    assert "54321" in terminal.enter("!echo $((54320 + 1))\r")
    assert terminal.leave() == 0


def test_a_block_goes_on_until_an_empty_line(terminal: Terminal) -> None:
    terminal.child.send("for n in range(3):\r")
    terminal.child.expect(r"\.\.\. ?")
    # The second line is indented by itself.
    assert "n was 2" in terminal.enter("print('n', 'was', n)\r\r")
    assert terminal.leave() == 0


def test_pasted_statements_run_together(terminal: Terminal) -> None:
    shown = terminal.enter("\x1b[200~def f():\n    return 'pas' + 'ted'\n\nprint(f())\x1b[201~\r")
    assert "pasted" in shown
    assert terminal.leave() == 0


def test_tab_completes_from_the_live_session(terminal: Terminal) -> None:
    terminal.enter("a_rather_long_name = 12300 + 45\r")
    terminal.child.send("a_rather_l\t")
    terminal.child.expect("ong_name")
    assert "12345" in terminal.enter("\r")
    assert terminal.leave() == 0


def test_ctrl_c_interrupts_what_runs_and_keeps_the_variables(terminal: Terminal) -> None:
    terminal.enter("x = 12345\r")
    terminal.child.send("import time; print('be' + 'gun'); time.sleep(600)\r")
    terminal.child.expect("begun\r\n")
    terminal.child.sendintr()
    terminal.child.expect("KeyboardInterrupt")
    terminal.child.expect(READY)
    assert "12345" in terminal.enter("x\r")
    assert terminal.leave() == 0


def test_ctrl_c_interrupts_a_shell_line(terminal: Terminal) -> None:
    # Not `echo; sleep`: a shell that is just starting a program lets an interrupt wait until that program ends.
    terminal.child.send("!python3 -c \"import time; print('be' + 'gun', flush=True); time.sleep(600)\"\r")
    terminal.child.expect("begun\r\n")
    terminal.child.sendintr()
    terminal.child.expect("exit code")
    terminal.child.expect(READY)
    assert terminal.leave() == 0


def test_ctrl_c_clears_the_line_and_ctrl_d_leaves(terminal: Terminal) -> None:
    terminal.child.send("1 / 0")
    terminal.child.sendintr()
    terminal.child.expect(READY)
    assert "ZeroDivisionError" not in terminal.enter("\r")
    assert terminal.leave() == 0


def test_ctrl_c_twice_gets_away_from_code_that_does_not_stop(terminal: Terminal) -> None:
    terminal.child.send("import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\r")
    terminal.child.expect(READY)
    terminal.child.send("print('be' + 'gun'); time.sleep(600)\r")
    terminal.child.expect("begun\r\n")
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        terminal.child.sendintr()
        if terminal.child.expect([READY, pexpect.TIMEOUT], timeout=0.2) == 0:
            break
    assert "12345" in terminal.enter("12300 + 45\r")
    assert terminal.leave() == 0


def test_a_line_that_was_left_open_does_not_hide_the_prompt(terminal: Terminal) -> None:
    assert "op" + "en\r\n" in terminal.enter("print('op' + 'en', end='')\r")
    assert terminal.leave() == 0


def test_history_is_kept_for_this_user_alone(terminal: Terminal, environment: dict[str, str]) -> None:
    terminal.enter("y = 'in the history'\r")
    assert terminal.leave() == 0
    path = Path(os.environ["SANDBOX_HOME"]) / "repl-history"
    assert "+y = 'in the history'" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Terminal(environment)
    again.enter("\x1b[A\r")  # the up key
    assert "in the history" in again.enter("y + '!'\r")
    assert again.leave() == 0


def test_exit_with_a_code(terminal: Terminal) -> None:
    terminal.child.send("exit(5)\r")
    terminal.child.expect(pexpect.EOF)
    terminal.child.close()
    assert terminal.child.exitstatus == 5
