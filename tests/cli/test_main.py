"""Help, versions, and errors that are one message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sandbox

from .conftest import Cli

COMMANDS = ("run", "repl", "shell", "sessions", "mcp", "doctor")


def test_the_version(cli: Cli) -> None:
    done = cli("--version")
    assert (done.returncode, done.stdout) == (0, f"sandbox {sandbox.__version__}\n")


def test_the_help_names_every_command(cli: Cli) -> None:
    done = cli("--help")
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
    assert "examples:" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_the_terminal_and_shows_examples_or_exit_codes(cli: Cli, arguments: list[str], columns: int) -> None:
    done = cli(*arguments, COLUMNS=str(columns))
    assert done.returncode == 0
    assert done.stdout.startswith("usage: sandbox ")
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert "examples:" in done.stdout or "exit code:" in done.stdout


def test_help_of_run_documents_every_exit_code_and_key(cli: Cli) -> None:
    text = cli("run", "--help").stdout
    assert all(code in text for code in ("124", "128 + n", "130", "137", "141"))
    assert all(key in text for key in ("exit_code", "not_run", "enforced", "usage", "truncated"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "usage: sandbox"),
        (["rum"], "there is no command 'rum'"),
        (["run"], "nothing to run"),
        (["run", "missing.py"], "can't open 'missing.py': No such file or directory"),
        (["run", "."], "is a directory"),
        (["run", "--memroy", "1", "x.py"], "--memroy"),
        (["run", "--memory", "much", "-c", "1"], "is not a size such as 512, 512M, 2G or 1.5G"),
        (["run", "--memory", "1", "-c", "1"], "sandbox: --memory 1 is not a number of MB"),
        (["run", "--memory", "1.2M", "-c", "1"], "in whole MB"),
        (["run", "--timeout", "-5", "-c", "1"], "timeout"),
        (["run", "--timeout", "0", "-c", "1"], "argument --timeout: '0' is not a number of seconds such as 30"),
        (["run", "--timeout", "nan", "-c", "1"], "argument --timeout: 'nan' is not a number of seconds such as 30"),
        (["run", "--cpus", "two", "-c", "1"], "argument --cpus: 'two' is not a number of cpus such as 0.5 or 2"),
        (["run", "--cpus", "9999", "-c", "1"], "sandbox: --cpus 9999.0 is not a number of cpus from"),
        (["run", "--processes", "1.5", "-c", "1"], "argument --processes: '1.5' is not a whole number such as 128"),
        (["run", "--env", "A", "-c", "1"], "--env A: write it as NAME=VALUE"),
        (["run", "--env", "1A=2", "-c", "1"], "not the name of an environment variable"),
        (["run", "--mount", "/tmp", "-c", "1"], "write it as HOST:INSIDE"),
        (["run", "--mount", "/nowhere:/data", "-c", "1"], "/nowhere"),
        (["run", "--mount", "/tmp:relative", "-c", "1"], "must be an absolute path"),
        (["run", "--mount", "x:y:rx", "-c", "1"], "--mount x:y:rx: 'rx' must be an absolute path, as in HOST:/data"),
        (["run", "--artifacts", "/dev/null/x", "-c", "1"], "--artifacts /dev/null/x: nothing can be kept there: Not a"),
        (["repl", "--artifacts", "/dev/null"], "--artifacts /dev/null: nothing can be kept there: "),
        (["run", "--file", "missing.csv", "-c", "1"], "there is no file 'missing.csv'"),
        (["run", "--file", "/:x", "-c", "1"], "is a directory"),
        (["run", "--file", "/etc/passwd:../x", "-c", "1"], "outside"),
        (["run", "--with", "a", "--environment", "b", "-c", "1"], "not allowed with"),
        (["repl", "--network", "all"], "invalid choice"),
        (["doctor", "--nothing"], "--nothing"),
    ],
)
def test_a_wrong_command_line_is_one_message_and_2(cli: Cli, arguments: list[str], says: str) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert says in done.stderr + ("" if arguments else done.stdout)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "repl"])
def test_what_cannot_be_started_is_one_message_and_3(cli: Cli, command: str, tmp_path: Path) -> None:
    done = cli(command, "--environment", str(tmp_path), *(["-c", "1"] if command == "run" else []))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"sandbox: environment '{tmp_path}' is not a virtual environment")
    assert done.stderr.count("\n") == 1


def test_code_that_is_not_text_is_one_message(environment: dict[str, str]) -> None:
    command = [sys.executable.encode(), b"-m", b"sandbox", b"run", b"-c", b"print('\xff')"]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False, env=environment)
    assert (done.returncode, done.stderr) == (2, b"sandbox: an argument is not text in UTF-8\n")


def test_a_mistake_of_ours_is_a_message_too(environment: dict[str, str]) -> None:
    code = (
        "from sandbox.cli import main, run\n"
        "def broken(arguments): raise ZeroDivisionError('oh')\n"
        "run.main = broken\nmain.main(['run', '-c', '1'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False, env=environment
    )
    assert done.returncode == 3
    assert done.stderr.startswith("sandbox: a mistake of this program, please report it: ZeroDivisionError: oh (")
    assert done.stderr.count("\n") == 1


def test_a_run_imports_nothing_that_only_other_commands_need(environment: dict[str, str]) -> None:
    """Each of these costs 5 to 150 ms."""
    heavy = {"argparse", "rich", "prompt_toolkit", "pygments", "_ssl", "sandbox.cli.repl", "sandbox.engine.doctor"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "sandbox", "run", "-c", "print(1)"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "sandbox.engine.engine" in imported
    assert imported & heavy == set()
