"""How files come into a sandbox and out of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from .conftest import Cli

_WRITES = (
    "import os\nos.makedirs('artifacts/sub')\nopen('artifacts/a.csv', 'w').write('new')\n"
    "open('artifacts/sub/b.txt', 'w').write('b')\nopen('other.txt', 'w').write('c')"
)


@pytest.mark.parametrize(
    ("given", "inside"),
    [("data.csv", "data.csv"), ("data.csv:in/x.csv", "in/x.csv"), ("data.csv:in/", "in/data.csv"), ("a:b", "a:b")],
)
def test_a_file_is_brought_in(cli: Cli, tmp_path: Path, given: str, inside: str) -> None:
    (tmp_path / "data.csv").write_bytes(b"1\0\xff" * 1000)
    (tmp_path / "a:b").write_bytes(b"1\0\xff" * 1000)
    code = "import sys; print(open(sys.argv[1], 'rb').read() == b'1\\0\\xff' * 1000)"
    assert cli("run", "--file", given, "-c", code, inside).stdout == "True\n"


def test_what_was_brought_is_not_listed_as_written(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1")
    (tmp_path / "script.py").write_text(_WRITES)
    done = cli("run", "--file", "data.csv", "--list-files", "--artifacts", "out", "script.py")
    listed = [line for line in done.stderr.splitlines() if "artifact " not in line]
    assert listed == [
        "sandbox: created artifacts/a.csv",
        "sandbox: created artifacts/sub/b.txt",
        "sandbox: created other.txt",
    ]


def test_artifacts_are_kept_and_their_paths_printed(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", "--artifacts", "out", "-c", _WRITES)
    assert sorted(done.stderr.splitlines()) == ["sandbox: artifact out/a.csv", "sandbox: artifact out/sub/b.txt"]
    assert (tmp_path / "out" / "a.csv").read_text() == "new"
    assert (tmp_path / "out" / "sub" / "b.txt").read_text() == "b"
    assert not (tmp_path / "out" / "other.txt").exists()


def test_a_figure_that_is_shown_is_an_artifact(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    done = cli("run", "--artifacts", "out", "-c", code)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "sandbox: artifact out/figure-1.png\n"
    assert (tmp_path / "out" / "figure-1.png").read_bytes().startswith(b"\x89PNG")


def test_artifacts_that_are_not_kept_are_named(cli: Cli) -> None:
    done = cli("run", "-c", _WRITES)
    assert done.stderr.startswith("sandbox: dropped with the sandbox: ")
    assert "a.csv" in done.stderr
    assert "--artifacts DIR" in done.stderr


def test_code_cannot_choose_which_file_of_the_user_to_replace(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mine")
    done = cli("run", "--artifacts", ".", "-c", _WRITES)
    assert (tmp_path / "a.csv").read_text() == "mine"
    assert (tmp_path / "a-2.csv").read_text() == "new"
    assert "a-2.csv  (a.csv was there already" in done.stderr


def test_the_user_can_let_artifacts_replace_files(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mine")
    cli("run", "--artifacts", ".", "--replace", "-c", _WRITES)
    assert (tmp_path / "a.csv").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "sub"]


@pytest.mark.parametrize("flags", [[], ["--replace"]])
def test_an_artifact_never_goes_through_a_link(cli: Cli, tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "target").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to("../elsewhere")
    (tmp_path / "out" / "a.csv").symlink_to("../target")
    done = cli("run", "--artifacts", "out", *flags, "-c", _WRITES)
    assert "sub/b.txt was not kept: " in done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "target").read_text() == "mine"


def test_names_of_artifacts_cannot_write_to_the_terminal(cli: Cli, tmp_path: Path) -> None:
    code = "import os\nos.mkdir('artifacts')\nopen('artifacts/\\x1b[2J\\n\\u202e', 'w')"
    done = cli("run", "--artifacts", "out", "--list-files", "-c", code)
    assert "\x1b" not in done.stderr
    assert os.listdir(tmp_path / "out") == [r"\x1b[2J\n\u202e"]


def test_a_directory_that_keeps_nothing_is_said_before_the_code_runs(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for flag, reason in (("file", "Not a directory|File exists"), ("file/below", "Not a directory")):
        done = cli("run", "--artifacts", flag, "-c", "print('ran')")
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(f"sandbox: --artifacts {flag}: nothing can be kept there: ({reason})\n", done.stderr)
    assert cli("run", "--artifacts", "new/out", "-c", "1").returncode == 0
    assert list((tmp_path / "new" / "out").iterdir()) == []


def test_what_can_be_kept_is_kept_beside_what_cannot(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "sub").touch()
    done = cli("run", "--artifacts", ".", "-c", _WRITES)
    assert done.returncode == 0
    assert "sub/b.txt was not kept: Not a directory" in done.stderr
    assert (tmp_path / "a.csv").read_text() == "new"


@pytest.mark.parametrize("flags", [[], ["--replace"]])
def test_a_session_never_replaces_what_it_has_kept_itself(cli: Cli, tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv").write_text("of before")
    (tmp_path / "out" / "a-2.csv").write_text("of before")
    cell = "import os; os.makedirs('artifacts', exist_ok=True); open('artifacts/a.csv', 'w').write('{}');\n"
    done = cli("repl", "--artifacts", "out", *flags, given="".join(map(cell.format, "123")) + "%artifacts\n")
    kept = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    if flags:
        assert kept == {"a.csv": "1", "a-2.csv": "2", "a-3.csv": "3"}
        assert "was there already" not in done.stderr
    else:
        assert sorted(kept.values()) == ["1", "2", "3", "of before", "of before"]
    assert len(set(done.stdout.splitlines())) == 3
