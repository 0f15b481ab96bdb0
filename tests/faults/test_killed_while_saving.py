"""SIGKILL of whoever has a part in saving, at each of its steps: what was answered is there, and nothing is there half.

tests/store/test_kills.py kills a store alone at each of its steps. Here the whole way is killed: worker, zygote,
keeper, and the process with the engine.
"""

from __future__ import annotations

import ast
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.state import Process
from tests.endurance import SECONDS, SOAK

from sandbox.engine.thread import EngineThread
from sandbox.store.store import Store
from sandbox.sync import LocalSandbox

# --- the process with the engine, at random moments -----------------------------------------------------------------

LIVES = 5 * SOAK
BEGIN = """
import os
import numpy as np
n, numbers, big = 0, [0], np.zeros(200_000)
alias = numbers
os.makedirs('artifacts')
open('file', 'w').write('0');
"""
STEP = """
n += 1
alias.append(n)
big[n * 70_001 % big.size :: 5000] += n
open('file', 'w').write(str(n))
open(f'artifacts/{n}', 'w').write(str(n) * 50_000)
n
"""
LOOK = """
expected = np.zeros(200_000)
for each in numbers[1:]: expected[each * 70_001 % big.size :: 5000] += each
whole = numbers == list(range(n + 1)), alias is numbers, bool((big == expected).all()), open('file').read() == str(n)
del expected
n, whole
"""
WHOLE = (True, True, True, True)
GO_ON = f"""
box = LocalSandbox(session_id="killed").start()
if not box.checkpoints():
    box.run({BEGIN!r})
say(box.run({LOOK!r}).text)
while True:
    say(box.run({STEP!r}).text)
"""


@pytest.mark.timeout(SECONDS)
def test_what_was_answered_is_there_whenever_the_process_was_killed(own_home: Path) -> None:
    moments = random.Random(7)
    last, lives = 0, []
    for _ in range(LIVES):
        with Process(GO_ON) as process:
            look = process.line()
            more = [*process.lines_within(moments.uniform(0.0, 0.2)), *process.kill()]
        n, whole = ast.literal_eval(look)
        assert whole == WHOLE
        assert n in {last, last + 1}, "what was being answered may be there, and nothing else"
        assert more == [str(each) for each in range(n + 1, n + 1 + len(more))]
        last = n + len(more)
        lives.append(len(more))
    assert sum(lives) > 0
    ends_well(last)


def ends_well(last: int) -> None:
    """The session is whole, with history and artifacts without a gap."""
    engine = EngineThread(parked=0)
    try:
        box = LocalSandbox(engine=engine, session_id="killed").start()
        text = box.run(LOOK).text
        assert text is not None
        n, whole = ast.literal_eval(text)
        assert whole == WHOLE
        assert n in {last, last + 1}
        numbers = [one["number"] for one in box.get_execution_history(limit=100_000)]
        assert numbers == [*range(len(numbers), 0, -1)]
        assert sorted(int(one.name) for one in box.list_artifacts()) == [*range(1, n + 1)]
        assert {len(one.read()) / len(one.name) for one in box.list_artifacts()} == {50_000.0}
    finally:
        engine.close()
    with Store(Path(os.environ["SANDBOX_HOME"]) / "store") as store:
        assert store.verify().ok


# --- the process with the engine, at each step of the store ---------------------------------------------------------

LARGE = "big = np.arange(200_000.0) + n; open('file', 'w').write('x' * 100_000 + str(n));"
PLAN: list[tuple[str, Any]] = [
    ("run", "import numpy as np; n, numbers, big = 0, [], np.zeros(5001); open('file', 'w').close()"),  # in no pack
    ("run", f"n = 1; numbers.append(n); {LARGE}"),
    ("run", f"n = 2; numbers.append(n); {LARGE}"),
    ("run", "n = 3; big[:1000] = n"),
    ("run", "n = 4; numbers.append(n); open('file', 'a').write('more');"),
    ("roll back", 3),
    ("run", f"n = 5; numbers.append(n); {LARGE}"),
    ("fork", "child"),
    ("delete", "child"),
    ("label", "here"),
    ("run", "n = 6; big[5000:] = 1; del numbers"),
]
FOLLOW = """
import json
from sandbox.store import steps
session, plan, step, left = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], int(sys.argv[4])
def kill(reached):
    global left
    left -= reached == step
    if left == 0:
        os.kill(os.getpid(), 9)
box = LocalSandbox(session_id=session).start()
boxes = {}
for what, how in plan:
    if what == "run": box.run(how)
    elif what == "roll back": box.rollback(how)
    elif what == "fork": (boxes[how],) = box.fork()
    elif what == "delete": boxes.pop(how).delete()
    elif what == "label": box.checkpoint(how)
    steps.hook = kill  # after the first
    say("done")
"""
SEEN = "n, globals().get('numbers'), [float(big[at]) for at in (0, 999, 5000, -1)], open('file').read()[99_999:]"
# Those that an engine comes to. The second number: at which of its times the process is killed.
KILLS = [
    *((step, 1) for step in ("pack made", "pack record begun", "pack record written", "pack synced")),
    *((step, times) for step in ("commit begun", "commit written", "commit done") for times in (1, 4)),
    *((step, 4) for step in ("pack record begun", "pack record written", "pack synced")),
    *((step, 1) for step in ("rollback written", "fork written", "delete written")),
]


def states(directory: Path) -> list[str]:
    """What is seen after each operation of the plan: of the same cells in plain Python."""
    cells: tuple[str, ...] = ()
    by_execution, found = [cells], []
    for what, how in PLAN:
        if what == "run":
            cells = (*cells, how)
            by_execution.append(cells)
        elif what == "roll back":
            cells = by_execution[how]
        found.append(_seen(cells, directory))
    return found


def _seen(cells: tuple[str, ...], directory: Path) -> str:
    code = "\n".join([*cells, f"print(({SEEN}))"])
    done = subprocess.run([sys.executable, "-c", code], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return states(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def next_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineThread]:
    """Takes over each session whose process was killed."""
    home = tmp_path_factory.mktemp("steps")
    home.chmod(0o711)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SANDBOX_HOME", str(home))
        engine = EngineThread()
        yield engine
        engine.close()


@pytest.mark.parametrize(("step", "times"), KILLS)
def test_a_process_that_is_killed_at_a_step_has_done_all_of_the_operation_or_nothing(
    step: str, times: int, expected: list[str], next_engine: EngineThread
) -> None:
    session = f"{step}-{times}".replace(" ", "-")
    with Process(FOLLOW, session, json.dumps(PLAN), step, times) as process:
        done = 0
        while process.line() == "done":
            done += 1
        assert process.ended() == -9, "the step was never reached"
    box = LocalSandbox(engine=next_engine, session_id=session).start()
    assert box.run(SEEN).text in expected[done - 1 : done + 1]
    box.run("more = 1")
    box.stop()
    assert box.start().run("more").text == "1"
    box.delete()
    with Store(Path(os.environ["SANDBOX_HOME"]) / "store") as store:
        assert store.verify().ok
        store.gc()
        assert store.verify().ok
