"""Killed at any step, a store has what was done, and of what was being done all or nothing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.store.steps import STEPS
from sandbox.store.store import Store

from . import scenario
from .conftest import OWNER, commit, put

ROOT = Path(__file__).parents[2]
State = dict[str, Any]


def run(home: Path, *arguments: str) -> tuple[int, list[str]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.scenario", str(home), *arguments],
        capture_output=True, text=True, env=environment, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in {0, -9}, done.stderr
    return done.returncode, done.stdout.splitlines()


def state(store: Store) -> State:
    """Everything that can be asked of a store."""
    found: State = {}
    for info in store.sessions():
        checkpoints = {}
        for each in store.checkpoints(info.id, owner=OWNER):
            entries = store.manifest(info.id, each.number, owner=OWNER)
            with store.parts(info, entries, verified=True) as parts:
                contents = {key: hashlib.sha256(parts.read(key)).hexdigest() for key in entries}
            checkpoints[each.number] = (each.parent, each.label, contents)
        found[info.id] = (info.head, checkpoints)
    return found


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> list[State]:
    """The states between the operations, each seen without any kill; the last one twice."""
    with Store(tmp_path_factory.mktemp("whole") / "store") as store:
        found: list[State] = [{}]
        for operation in scenario.OPERATIONS:
            operation(store)
            found.append(state(store))
        assert store.verify().ok
    return [*found, found[-1]]


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How often each step is reached in all."""
    code, lines = run(tmp_path_factory.mktemp("counted") / "store")
    assert code == 0
    said = [line.split(" ", 2) for line in lines if line.startswith("step ")]
    return {name: int(count) for _, count, name in said}


def test_every_step_is_reached(counts: dict[str, int]) -> None:
    assert set(counts) == set(STEPS)


@pytest.mark.parametrize("which", ["first", "middle", "last"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_loses_nothing_that_was_done_and_shows_no_half(
    step: str, which: str, counts: dict[str, int], states: list[State], home: Path
) -> None:
    times = {"first": 1, "middle": (counts[step] + 1) // 2, "last": counts[step]}[which]
    code, lines = run(home, step, str(times))
    assert code == -9
    done = len(lines)
    with Store(home) as store:
        now = state(store)
        operation = scenario.OPERATIONS[done]
        allowed = [states[done], states[done + 1]]
        if operation is scenario._spread and "one" in now:  # two commits in one operation: one may be there alone
            allowed.append({**states[done], "one": _first_of_two(states, done)})
        assert now in allowed
        assert store.verify().ok
        store.gc()
        assert state(store) == now
        _goes_on(store)
        named = {row[0] for row in store.database.all("SELECT name FROM packs")}
        assert {path.name for path in store.packs.rglob("*.pack")} == named


def _first_of_two(states: list[State], done: int) -> Any:
    before, after = states[done]["one"], states[done + 1]["one"]
    number = after[0] - 1
    return number, {**before[1], number: after[1][number]}


def _goes_on(store: Store) -> None:
    for info in store.sessions():
        with store.open(info.id, owner=OWNER) as session:
            commit(session, put("later", scenario.noise(9)))
    assert store.verify().ok
