"""Whoever is killed at whatever step of a session's life: callers are answered, and what was answered is not lost.

The steps are those of the table in engine/session.py. docs/security/faults.md says what else is made to fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Leaks, _settle
from tests.engine.living import children, until
from tests.faults.life import BOUND, Killer, Life, killing

from sandbox.engine.session import STEPS, Session
from sandbox.engine.thread import EngineThread
from sandbox.store.store import Store
from sandbox.sync import LocalSandbox

_VICTIMS = ("worker", "sandbox-zygote", "sandbox-keeper")
# Those at which something can be killed; a start that fails is what some of these kills make.
_STEPS = sorted({what for _, what in STEPS} - {"fail"})
# At these a session has no worker yet, or any more.
_WITHOUT_A_WORKER = {"launch", "ready", "lose", "open"}


@pytest.fixture(scope="module")
def others() -> set[int]:
    """Children of this process that are not of the engine that is made next."""
    return set(children(os.getpid()))


@pytest.fixture(scope="module")
def engine_of_these(tmp_path_factory: pytest.TempPathFactory, others: set[int]) -> Iterator[EngineThread]:
    home = tmp_path_factory.mktemp("states")
    home.chmod(0o711)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SANDBOX_HOME", str(home))
        engine = EngineThread(parked=0)
        Life(engine, "first").box.delete()  # so that there is a zygote, as there is afterwards
        yield engine
        engine.close()
    assert list((home / "run").iterdir()) == []


def _left(engine: EngineThread, before: Leaks) -> dict[str, int]:
    _settle(engine)
    return Leaks().since(before)


def at_every_step() -> list[object]:
    return [
        pytest.param(victim, step, id=f"{victim.removeprefix('sandbox-')}-{step}")
        for victim in _VICTIMS
        for step in _STEPS
        if not (victim == "worker" and step in _WITHOUT_A_WORKER)
    ]


@pytest.mark.parametrize(("victim", "step"), at_every_step())
def test_whoever_is_killed_at_whatever_step_nothing_that_was_answered_is_lost(
    engine_of_these: EngineThread, others: set[int], monkeypatch: pytest.MonkeyPatch, victim: str, step: str
) -> None:
    _settle(engine_of_these)
    before = Leaks()
    life = Life(engine_of_these, f"life-{os.getpid()}")
    killer = Killer(step, killing(engine_of_these, victim, others))
    killer.take_part(lambda hook: monkeypatch.setattr(Session, "step", hook))
    life.go_through_everything()
    assert killer.killed, "nobody was killed, so this has shown nothing"
    assert life.answered <= life.final() <= life.asked, life.failures
    life.box.delete()
    until(lambda: _left(engine_of_these, before) == {}, "something is left")


def test_an_engine_that_is_killed_at_whatever_step_has_kept_what_it_answered(own_home: Path) -> None:
    """All at once, each a process of its own with one session; then another one looks at all of them."""
    command = [sys.executable, "-m", "tests.faults.life"]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path]), "PYTHONWARNINGS": "error"}
    lives = {
        step: subprocess.Popen([*command, f"life-{step}", step], stdout=subprocess.PIPE, text=True, env=environment)
        for step in _STEPS
    }
    said = {step: life.communicate(timeout=4 * BOUND)[0].splitlines() for step, life in lives.items()}
    assert {step: life.returncode for step, life in lives.items()} == dict.fromkeys(_STEPS, -9)
    engine = EngineThread(parked=0)
    try:
        for step, lines in said.items():
            answered = int(lines[-1].split()[1]) if lines else 0
            with LocalSandbox(engine=engine, session_id=f"life-{step}") as box:
                # One more may have been carried out, whose answer never came.
                assert int(box.run("n").text or -1) in {answered, answered + 1}, (step, lines)
    finally:
        engine.close()
    with Store(own_home / "store") as store:
        assert store.verify().ok
