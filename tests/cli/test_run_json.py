"""`sandbox run --json`: one object, with keys that stay."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli

KEYS = {
    "exit_code", "status", "stdout", "stderr", "results", "error", "cause", "state", "artifacts", "files", "truncated",
    "warnings", "usage", "execution_time", "isolation", "network", "enforced",
    "session", "restored_to", "lost_names",
}  # fmt: skip


def run(cli: Cli, *arguments: str) -> dict[str, Any]:
    """Run with --json: the object is all that is printed, and the exit code is in it."""
    done = cli("run", "--json", *arguments)
    assert done.stdout.count("\n") == 1
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["exit_code"] == done.returncode
    assert answer.keys() == KEYS
    return answer


def test_output_results_and_what_confined_it(cli: Cli) -> None:
    answer = run(cli, "-c", "import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7")
    assert (answer["status"], answer["stdout"], answer["stderr"]) == ("ok", "out\n", "err\n")
    assert [(result["main"], result["data"]["text/plain"]) for result in answer["results"]] == [(True, "42")]
    assert answer["error"] is answer["cause"] is None
    assert (answer["state"], answer["network"], answer["truncated"], answer["warnings"]) == ("kept", "none", [], [])
    assert "seccomp" in answer["enforced"]
    assert 0 < answer["execution_time"] < 30
    assert answer["usage"].keys() == {"cpu_seconds", "peak_memory"}


def test_an_error_with_its_traceback(cli: Cli) -> None:
    answer = run(cli, "-c", "1 / 0")
    assert (answer["status"], answer["exit_code"], answer["stderr"]) == ("error", 1, "")
    assert answer["error"]["type"] == "ZeroDivisionError"
    assert answer["error"]["message"] == "division by zero"
    assert answer["error"]["traceback"].startswith('Traceback (most recent call last):\n  File "<string>", line 1')


def test_a_cause_with_its_limit(cli: Cli) -> None:
    answer = run(cli, "--timeout", "0.3", "-c", "while True: pass")
    assert (answer["status"], answer["exit_code"]) == ("timeout", 124)
    assert (answer["cause"]["kind"], answer["cause"]["limit"]) == ("timeout", 0.3)


def test_files_and_artifacts(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1")
    code = "import os\nos.mkdir('artifacts')\nopen('artifacts/a.txt', 'w').write('a')\nopen('data.csv', 'a').write('2')"
    answer = run(cli, "--file", "data.csv", "--artifacts", "out", "-c", code)
    assert answer["files"] == {"created": ["artifacts/a.txt"], "modified": ["data.csv"], "deleted": []}
    (artifact,) = answer["artifacts"]
    assert (artifact["name"], artifact["path"], artifact["size"]) == ("a.txt", "out/a.txt", 1)
    assert (tmp_path / artifact["path"]).read_text() == "a"
    assert run(cli, "-c", "import os; os.mkdir('artifacts'); open('artifacts/a', 'w')")["artifacts"][0]["path"] is None


def test_images_come_as_base64(cli: Cli) -> None:
    code = "class Image:\n    def _repr_png_(self): return b'\\x89PNG'\nImage()"
    (result,) = run(cli, "-c", code)["results"]
    assert base64.b64decode(result["data"]["image/png"]) == b"\x89PNG"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "error"),
    [
        (["--memory", "1", "-c", "1"], 2, "UsageError"),
        (["--memory", "lots", "-c", "1"], 2, "UsageError"),
        (["--memroy", "1", "-c", "1"], 2, "UsageError"),
        (["--artifacts", "/dev/null", "-c", "1"], 2, "UsageError"),
        (["missing.py"], 2, "UsageError"),
        (["--environment", "/nowhere", "-c", "1"], 2, "UsageError"),
    ],
)
def test_what_never_ran_has_the_same_keys(cli: Cli, arguments: list[str], exit_code: int, error: str) -> None:
    answer = run(cli, *arguments)
    assert (answer["status"], answer["exit_code"], answer["error"]["type"]) == ("not_run", exit_code, error)
    assert answer["error"]["message"]
