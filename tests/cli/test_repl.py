"""`sandbox repl` fed from a pipe: cell by cell, as typed."""

from __future__ import annotations

from pathlib import Path

from .conftest import Cli


def test_values_are_printed_and_variables_live_on(cli: Cli) -> None:
    done = cli("repl", given="x = 6\nx * 7\nNone\n'text'\nfor n in range(2):\n    print(n)\n\nprint('last', end='')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n'text'\n0\n1\nlast", "")


def test_an_error_shows_its_traceback_and_the_session_goes_on(cli: Cli) -> None:
    done = cli("repl", given="x = 1\nx / 0\nx\n")
    assert (done.returncode, done.stdout) == (1, "1\n")
    assert done.stderr.startswith('Traceback (most recent call last):\n  File "<cell 2>", line 1, in <module>')


def test_top_level_await_and_the_last_value(cli: Cli) -> None:
    assert cli("repl", given="import asyncio\nawait asyncio.sleep(0, 'done')\n_ + '!'").stdout == "'done'\n'done!'\n"


def test_a_shell_line_runs_beside_the_session(cli: Cli) -> None:
    done = cli("repl", given="open('x', 'w').close()\n!ls; echo $((6 * 7)); echo err >&2\n!exit 3\n")
    assert (done.returncode, done.stdout) == (1, "x\n42\n")
    assert done.stderr == "err\nsandbox: exit code 3\n"


def test_files_and_artifacts_are_listed(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("12345")
    code = "import os\nos.mkdir('artifacts')\nopen('artifacts/a', 'w').write('a')\n%files\n%artifacts\n"
    done = cli("repl", "--file", "data.csv", "--artifacts", "out", given=code)
    assert [line.split() for line in done.stdout.splitlines()[1:-1]][-1] == ["5", "data.csv"]
    assert "artifacts/a" in done.stdout
    assert done.stdout.splitlines()[-1] == "out/a"
    assert done.stderr == "sandbox: artifact out/a\n"
    assert (tmp_path / "out" / "a").read_text() == "a"


def test_help_and_what_there_is_not(cli: Cli) -> None:
    done = cli("repl", given="%help\n%vars\n")
    assert "%files" in done.stdout
    assert done.stderr == "sandbox: there is no %vars; %help lists what there is\n"


def test_exit_leaves_with_its_code(cli: Cli) -> None:
    assert cli("repl", given="1 / 0\nexit()\nprint('never')\n").stdout == ""
    done = cli("repl", given="import sys\nsys.exit(4)\nprint('never')\n")
    assert (done.returncode, done.stdout, done.stderr) == (4, "", "")
    done = cli("repl", given="import sys\nsys.exit('a text')\n")
    assert (done.returncode, done.stderr) == (1, "a text\n")


def test_a_worker_that_dies_is_said_and_replaced(cli: Cli) -> None:
    done = cli("repl", given="x = 1\nimport os; os._exit(3)\n'x' in globals()\n")
    assert done.stdout == "False\n"
    assert "sandbox: the variables are lost: the next line begins in a fresh worker\n" in done.stderr


def test_a_limit_is_explained(cli: Cli) -> None:
    done = cli("repl", "--timeout", "0.3", given="while True: pass\n\n'still here'\n")
    assert done.stdout == "'still here'\n"
    assert "sandbox: timeout: it did not end in 0.3 s. Give it longer with --timeout SECONDS" in done.stderr
    assert "did not end in 0.3 s" in cli("repl", "--timeout", "0.3", given="!sleep 600\n").stderr


def test_displayed_values_come_in_order(cli: Cli) -> None:
    assert cli("repl", given="print(1); display(2); print(3)\n").stdout == "1\n2\n3\n"


def test_what_comes_before_a_mistake_is_run(cli: Cli) -> None:
    done = cli("repl", given="print('first')\nx = 2\nx\nprint(x\n")
    assert (done.returncode, done.stdout) == (1, "first\n2\n")
    assert "SyntaxError" in done.stderr
