"""Random programs print the same in a sandbox as in plain Python, also if their process dies between statements."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.endurance import SECONDS, SOAK
from tests.properties.programs import CLEAR, LOOK, START, programs

from sandbox.engine.thread import EngineThread
from sandbox.sync import LocalSandbox

# As a script is run, each program in a namespace of its own; what it printed and raised is one line of JSON.
_PLAIN = """
import contextlib, io, json, sys
for line in sys.stdin:
    out, err, raised = io.StringIO(), io.StringIO(), None
    names = {"__name__": "__main__"}
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for statement in json.loads(line):
            try:
                exec(compile(statement, "<cell>", "exec"), names)
            except BaseException as error:
                raised = [type(error).__name__, str(error)]
                break
    json.dump([out.getvalue(), err.getvalue(), raised], sys.__stdout__)
    print(file=sys.__stdout__, flush=True)
"""
_CELL = re.compile("<cell [0-9]+>")
pytestmark = pytest.mark.timeout(SECONDS)


class Plain:
    """An ordinary Python process that runs programs."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-W", "ignore", "-X", "utf8", "-c", _PLAIN],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, statements: list[str]) -> list[Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(statements) + "\n")
        self._process.stdin.flush()
        found: list[Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def plain() -> Iterator[Plain]:
    plain = Plain()
    yield plain
    plain.close()


@pytest.fixture(scope="module")
def box(engine: EngineThread) -> Iterator[LocalSandbox]:
    with LocalSandbox(engine=engine) as box:
        box.run("import warnings; warnings.simplefilter('ignore')")
        yield box
        box.delete()


def in_sandbox(box: LocalSandbox, cells: list[str], dies_before: int) -> list[Any]:
    """Before one of the cells the process is killed, and the variables are restored."""
    out, err = "", ""
    for number, cell in enumerate(cells):
        if number == dies_before:
            assert box.run("import os; os._exit(1)", check=False).state == "restored"
        done = box.run(cell, check=False)
        out, err = out + done.stdout, err + done.stderr
        if done.exception is not None:
            return [out, err, [done.exception.error_type, _CELL.sub("<cell>", done.exception.message)]]
    return [out, err, None]


@settings(
    max_examples=60 * SOAK, deadline=None, database=None, print_blob=True, derandomize=SOAK == 1,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(programs, st.integers(0, 6), st.integers(0, 9))
def test_a_program_prints_and_raises_the_same(
    box: LocalSandbox, plain: Plain, statements: list[str], cut: int, dies_before: int
) -> None:
    program = [f"{CLEAR}\n{START}", "\n".join(statements[:cut]), "\n".join(statements[cut:]), LOOK]
    assert in_sandbox(box, program, dies_before) == plain.run(program)
