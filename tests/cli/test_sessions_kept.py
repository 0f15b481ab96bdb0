"""`--session` of `run` and `repl`: what they do is stored, and goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest

from .conftest import COMMAND, DEADLINE, Cli

CRASH = "import ctypes; x = 0; open('late.txt', 'w').close(); ctypes.string_at(0)"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o711)
    return home


@pytest.fixture
def kept(cli: Cli, home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `sandbox` with these arguments and a store of its own."""

    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return cli(*arguments, given=given, SANDBOX_HOME=str(home))

    return run


Kept = Callable[..., subprocess.CompletedProcess[str]]


def log(kept: Kept, session: str) -> list[dict[str, Any]]:
    done = kept("sessions", "log", session, "--json")
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["checkpoints"])


def listed(kept: Kept) -> list[str]:
    return [one["id"] for one in json.loads(kept("sessions", "--json").stdout)["sessions"]]


def test_variables_and_files_go_on_in_the_next_process(kept: Kept) -> None:
    first = kept("run", "--session", "one", "-c", "x = [1]; open('a.txt', 'w').write('written')")
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    second = kept("run", "--session", "one", "-c", "x.append(2); print(x, open('a.txt').read())")
    assert (second.returncode, second.stdout, second.stderr) == (0, "[1, 2] written\n", "")
    assert [one["execution"] for one in log(kept, "one")] == [1, 2]


def test_without_a_session_nothing_is_stored(kept: Kept, home: Path) -> None:
    assert kept("run", "-c", "x = 1").returncode == 0
    assert kept("repl", given="x = 1\n").returncode == 0
    assert not (home / "store").exists()


def test_a_script_finds_its_arguments_and_what_was_brought_and_both_stay(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("data")
    (tmp_path / "s.py").write_text("import sys\nprint(sys.argv, open('data.txt').read())\n")
    done = kept("run", "--session", "one", "--file", "data.txt", "s.py", "a")
    assert (done.returncode, done.stdout) == (0, "['s.py', 'a'] data\n")
    again = kept("run", "--session", "one", "-c", "import os; print(sorted(os.listdir()))")
    assert again.stdout == "['data.txt', 's.py']\n"


def test_the_exit_code_is_that_of_the_code(kept: Kept) -> None:
    assert kept("run", "--session", "one", "-c", "x = 1; raise SystemExit(4)").returncode == 4
    failed = kept("run", "--session", "one", "-c", "y = x / 0")
    assert (failed.returncode, "ZeroDivisionError" in failed.stderr) == (1, True)
    assert kept("run", "--session", "one", "-c", "print(x)").stdout == "1\n"


def test_after_a_crash_the_variables_are_those_before_it_and_that_is_said(kept: Kept) -> None:
    kept("run", "--session", "one", "-c", "x = 1")
    done = kept("run", "--session", "one", "-c", CRASH)
    assert done.returncode == 128 + signal.SIGSEGV
    assert "sandbox: the variables are as they were after execution 1\n" in done.stderr
    answer = json.loads(kept("run", "--session", "one", "--json", "-c", CRASH).stdout)
    assert (answer["session"], answer["state"], answer["restored_to"]) == ("one", "restored", 1)
    assert kept("run", "--session", "one", "-c", "print(x)").stdout == "1\n"
    assert [one["state_of"] for one in log(kept, "one")] == [1, 1, 1, 4]


def test_what_cannot_be_stored_is_named(kept: Kept) -> None:
    code = "gen = (n for n in range(3)); next(gen)"
    done = kept("run", "--session", "one", "-c", code)
    assert done.stderr == "sandbox: not stored: gen. `sandbox sessions show` says why\n"
    answer = json.loads(kept("run", "--session", "one", "--json", "-c", "1").stdout)
    assert answer["lost_names"] == ["gen"]
    assert "StateLost" in kept("run", "--session", "one", "-c", "gen").stderr


def test_artifacts_of_a_session_are_not_said_to_be_dropped(kept: Kept) -> None:
    code = "import os; os.mkdir('artifacts'); open('artifacts/a.txt', 'w').write('a')"
    assert "dropped with the sandbox" in kept("run", "-c", code).stderr
    assert kept("run", "--session", "one", "-c", code).stderr == ""


def test_a_name_that_no_session_can_have_is_2(kept: Kept) -> None:
    for command in (["run", "--session", "../x", "-c", "1"], ["repl", "--session", ""]):
        done = kept(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert "cannot be a session's id" in done.stderr


def test_a_session_that_another_process_holds_is_3(kept: Kept, home: Path, environment: dict[str, str]) -> None:
    environment["SANDBOX_HOME"] = str(home)
    command = [*COMMAND, "run", "--session", "one", "-c", "print('held', flush=True); import time; time.sleep(600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        done = kept("run", "--session", "one", "-c", "print('never')")
        process.kill()
    assert (done.returncode, done.stdout) == (3, "")
    assert f"the session 'one' is open in process {process.pid} " in done.stderr
    assert kept("run", "--session", "one", "-c", "print('now')").stdout == "now\n"


# --- repl -----------------------------------------------------------------------------------------------------------


def test_each_line_of_a_repl_is_stored_and_so_is_what_commands_did(kept: Kept) -> None:
    done = kept(
        "repl", "--session", "one", given="x = 1\ngen = (n for n in [1]); next(gen)\nx\n!echo late > late.txt\n"
    )
    assert done.returncode == 0
    assert done.stderr.count("sandbox: not stored: gen.") == 1
    assert [one["execution"] for one in log(kept, "one")] == [1, 2, 3, None]
    more = kept("repl", "--session", "one", given="x + 41\nopen('late.txt').read()\n")
    assert more.stdout == "42\n'late\\n'\n"


def test_a_repl_says_that_a_crash_was_undone(kept: Kept) -> None:
    done = kept("repl", "--session", "one", given=f"x = 1\n{CRASH}\nx\n")
    assert done.stdout == "1\n"
    assert "sandbox: the variables are as they were after execution 1\n" in done.stderr
    assert "fresh worker" not in done.stderr


def test_files_that_were_brought_into_a_repl_are_stored(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("data")
    assert kept("repl", "--session", "one", "--file", "data.txt", given="").returncode == 0
    assert kept("run", "--session", "one", "-c", "print(open('data.txt').read())").stdout == "data\n"


def test_a_repl_in_which_nothing_was_done_leaves_no_session(kept: Kept) -> None:
    assert kept("repl", "--session", "one", given="").returncode == 0
    assert listed(kept) == []


def test_a_repl_on_a_terminal_says_what_it_goes_on_with(home: Path, environment: dict[str, str]) -> None:
    settings = {**environment, "SANDBOX_HOME": str(home), "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}
    settings.pop("COLUMNS")
    for says in (
        r"The session one begins; it is stored\.",
        r"The session one goes on after 1 execution; it is stored\.",
    ):
        child = pexpect.spawn(
            COMMAND[0], [*COMMAND[1:], "repl", "--session", "one"], env=settings, timeout=DEADLINE, encoding="utf-8"
        )
        child.expect(says)
        child.expect(r"\x1b\[\?2004h")
        child.send("x = 1\r")
        child.expect(r"\x1b\[\?2004h")
        child.sendeof()
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
    assert (home / "store" / "store.db").exists()
    assert os.listdir(home / "run") == []
