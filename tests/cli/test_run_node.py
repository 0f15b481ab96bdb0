"""`sandbox run` with programs in JavaScript and TypeScript."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Cli


def test_a_script_is_run_in_the_language_of_its_name(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "app.mjs"
    script.write_text(
        "import fs from 'fs'\nconst there = [fs.existsSync('app.mjs'), __filename.endsWith('app.mjs')]\n"
        "console.log(process.argv.slice(2), ...there)\n"
        "setTimeout(() => console.log('later'), 50)\n",
        "utf-8",
    )
    done = cli("run", str(script), "one", "two")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[ 'one', 'two' ] true true\nlater\n", "")


def test_code_is_run_in_the_language_that_is_named(cli: Cli) -> None:
    done = cli("run", "--language", "javascript", "-c", "console.error('err'); throw new RangeError('no')")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("err\n")
    assert "RangeError: no" in done.stderr
    done = cli("run", "--language", "javascript", "-c", "process.exit(263)")
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
    done = cli(
        "run", "--language", "javascript", "-c", "class Exit extends Error { name = 'Exit' }; throw new Exit('no')"
    )
    assert (done.returncode, "Exit: no" in done.stderr) == (1, True)


def test_a_session_keeps_its_language(cli: Cli) -> None:
    assert cli("run", "--session", "in-js", "--language", "javascript", "-c", "const x = 41").returncode == 0
    done = cli("run", "--session", "in-js", "--json", "-c", "x + 1")
    assert json.loads(done.stdout)["results"][0]["data"]["text/plain"] == "42"
    refused = cli("run", "--session", "in-js", "--language", "python", "-c", "1")
    assert "is in javascript" in refused.stderr
