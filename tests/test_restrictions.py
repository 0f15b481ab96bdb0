"""Every restriction is data with a reason, and a test that attacks it."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from sandbox.attack.probe import Probe
from sandbox.attack.probes import FAMILIES
from sandbox.inside.contain import apply, descriptors, environment, pid_namespace, read_only_view
from sandbox.inside.contain.policy import (
    LEVELS,
    NONE,
    REFUSALS,
    SIGNAL_OWNERS,
    SIGNALS,
    WORKER,
    ZYGOTE,
    Refusal,
    Restriction,
    refusals,
)

ROOT = Path(__file__).parent.parent
CONTAIN = ROOT / "src" / "sandbox" / "inside" / "contain"
# In force before the steps: at the start of the zygote, at the fork, and first of all in the new process.
BEFORE: tuple[ModuleType, ...] = (descriptors, environment, pid_namespace, read_only_view)
ALL_REFUSALS = (*REFUSALS, SIGNALS, SIGNAL_OWNERS)
RESTRICTIONS: list[Restriction] = [
    *(module.RESTRICTION for module in (*BEFORE, *apply.STEPS)),
    *(refusal.restriction for refusal in ALL_REFUSALS),
]
HELPERS = {"__init__", "apply", "plan", "policy", "refusals", "refusals_alone", "restriction"}


def name_of(row: Restriction | Refusal) -> str:
    return row.name


@cache
def functions_in(path: str) -> dict[str, str]:
    """The source of each function of a file, by name."""
    source = (ROOT / path).read_text("utf-8")
    found = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name: ast.get_source_segment(source, node) or "" for node in found}


@pytest.mark.parametrize("row", RESTRICTIONS, ids=name_of)
def test_a_restriction_says_why_and_what_breaks(row: Restriction) -> None:
    assert row.because.strip()
    assert row.breaks.strip()
    assert row.levels
    assert set(row.levels) <= {*LEVELS, NONE}


BY_TEST = [row for row in RESTRICTIONS if not row.proof.startswith("attack:")]
BY_ATTACK = [row for row in RESTRICTIONS if row not in BY_TEST]
ATTACKS = {probe.name: probe for probes in FAMILIES.values() for probe in probes if isinstance(probe, Probe)}


@pytest.mark.parametrize("row", BY_ATTACK, ids=name_of)
def test_a_restriction_is_proved_by_an_attack_that_it_stops(row: Restriction) -> None:
    """At the strongest level at which it is in force, with a control that leaves it off."""
    attack = ATTACKS[row.proof.removeprefix("attack:")]
    layers = attack.stops[row.levels[0]].values()
    assert any(layer == row.name or layer.startswith(f"{row.name}.") for layer in layers)
    off = [name for control in attack.controls[row.levels[0]] for name in control.get("without", ())]
    assert any(name == row.name or name.startswith(f"{row.name}.") for name in off)


@pytest.mark.parametrize("row", BY_TEST, ids=name_of)
def test_a_restriction_is_proved_by_a_test_that_exists(row: Restriction) -> None:
    path, _, test = row.proof.partition("::")
    assert test in functions_in(path)


@pytest.mark.parametrize("row", BY_TEST, ids=name_of)
def test_a_proof_has_a_control(row: Restriction) -> None:
    """It says what is switched off for its attack to work, by itself or by a helper of its file."""
    path, _, test = row.proof.partition("::")
    functions = functions_in(path)
    text = functions[test] + "".join(text for name, text in functions.items() if f"{name}(" in functions[test])
    assert "control" in text, f"{row.proof} never shows that its attack works"


def test_names_are_unique() -> None:
    names = [row.name for row in RESTRICTIONS]
    assert sorted(names) == sorted(set(names))


def test_every_step_is_a_restriction() -> None:
    assert all(isinstance(step.RESTRICTION, Restriction) for step in apply.STEPS)
    assert set(apply.COMMAND_STEPS + apply.LANDLOCK_COMMAND_STEPS) <= set(apply.STEPS)


def test_every_file_of_the_policy_is_in_force_somewhere() -> None:
    """A file that nobody takes as a step would be a promise that is not kept."""
    known = {Path(module.__file__ or "").stem for module in (*BEFORE, *apply.STEPS)}
    assert {path.stem for path in CONTAIN.glob("*.py")} == known | HELPERS


@pytest.mark.parametrize("row", ALL_REFUSALS, ids=name_of)
def test_a_refusal_is_in_the_filter_of_its_levels(row: Refusal) -> None:
    for level in row.levels:
        for stage in (ZYGOTE, WORKER):
            found = refusals(level, stage, frozenset(), landlock_abi=1, cgroups=False)
            assert (row in found) == (row.stage == stage)
            assert row not in refusals(level, stage, frozenset({f"seccomp.{row.name}"}), landlock_abi=1, cgroups=False)


def test_what_is_refused_by_its_arguments_is_left_to_the_workers() -> None:
    """The zygote's filter allows what it does not refuse, call by call: it cannot look at arguments."""
    assert [row.name for row in ALL_REFUSALS if row.when and row.stage != WORKER] == []


def test_the_documentation_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "generate_restrictions.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr
