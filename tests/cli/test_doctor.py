"""`sandbox doctor`: what it finds, what it prints, and its exit code."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from typing import Any

import pytest

import sandbox.inside.contain
from sandbox.cli import doctor
from sandbox.engine.doctor import Diagnosis, Fact, Level
from sandbox.engine.isolation import LAYERS
from sandbox.inside.contain.policy import LANDLOCK, LEVELS, NAMESPACES

from .conftest import Cli


def everything(level: str) -> tuple[str, ...]:
    return tuple(name for name, levels, _ in LAYERS if level in levels)


def found(*levels: Level) -> Diagnosis:
    return Diagnosis(levels, (), (Fact("uv", "missing", None, "install it"),))


STRONG = Level(NAMESPACES, works=True, enforced=everything(NAMESPACES))
WEAK = Level(LANDLOCK, works=True, enforced=everything(LANDLOCK))
NO_STRONG = Level(NAMESPACES, works=False, error="user namespaces are off", remedy="switch them on")
NO_WEAK = Level(LANDLOCK, works=False, error="no Landlock", remedy="another kernel")
WITHOUT_GROUPS = Level(NAMESPACES, works=True, enforced=tuple(set(everything(NAMESPACES)) - {"cgroup"}))


@pytest.mark.parametrize(
    ("diagnosis", "exit_code", "auto", "lacking", "says"),
    [
        (found(STRONG, WEAK), 0, NAMESPACES, (), "with everything in force"),
        (found(STRONG, NO_WEAK), 0, NAMESPACES, (), "with everything in force"),
        (found(WITHOUT_GROUPS, WEAK), 1, NAMESPACES, ("cgroup",), "level namespaces, without cgroup."),
        (found(NO_STRONG, WEAK), 1, LANDLOCK, ("namespaces",), "level landlock, without namespaces."),
        (found(NO_STRONG, NO_WEAK), 2, None, ("isolation",), "No sandbox can be started here."),
    ],
)
def test_the_exit_code_says_how_much_there_is(
    diagnosis: Diagnosis, exit_code: int, auto: str | None, lacking: tuple[str, ...], says: str
) -> None:
    assert (doctor.exit_code(diagnosis), diagnosis.auto, diagnosis.lacking) == (exit_code, auto, lacking)
    assert says in doctor.verdict(diagnosis)


def test_remedies_begin_with_what_keeps_sandboxes_from_starting() -> None:
    assert doctor.remedies(found(NO_STRONG, NO_WEAK)) == [
        ("level namespaces", "switch them on"),
        ("level landlock", "another kernel"),
        ("uv", "install it"),
    ]


def test_the_table_has_every_restriction_at_its_levels() -> None:
    """The host does not import the modules of the restrictions, so it has a list of its own."""
    real = {}
    for module in pkgutil.iter_modules(sandbox.inside.contain.__path__):
        restriction = getattr(importlib.import_module(f"sandbox.inside.contain.{module.name}"), "RESTRICTION", None)
        if restriction is not None:
            real[restriction.name] = tuple(level for level in restriction.levels if level in LEVELS)
    assert {name: levels for name, levels, _ in LAYERS} == real


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The object of --json, on this machine."""
    import subprocess
    import sys
    from pathlib import Path

    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(sandbox.__file__).parent.parent)},
    )
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == result["exit_code"]
    return result


def test_json_has_its_keys(answer: dict[str, Any]) -> None:
    assert answer.keys() == {"exit_code", "auto", "lacking", "levels", "limits", "machine"}
    for level in answer["levels"]:
        assert level.keys() == {"name", "works", "enforced", "missing", "seconds", "error", "remedy"}
    for fact in (*answer["limits"], *answer["machine"]):
        assert fact.keys() == {"name", "value", "good", "remedy"}
    assert [level["name"] for level in answer["levels"]] == list(LEVELS)


def test_it_agrees_with_what_a_sandbox_gets(answer: dict[str, Any], cli: Cli) -> None:
    for level in answer["levels"]:
        ran = json.loads(cli("run", "--json", "--isolation", level["name"], "-c", "1").stdout)
        assert (ran["status"] == "ok") == level["works"]
        assert ran["enforced"] == level["enforced"]
    auto = json.loads(cli("run", "--json", "--isolation", "auto", "-c", "1").stdout)
    assert auto["isolation"] == answer["auto"]


def test_a_level_that_does_not_work_says_why(answer: dict[str, Any]) -> None:
    for level in answer["levels"]:
        assert bool(level["error"]) == (not level["works"])


def test_the_facts_are_this_machines(answer: dict[str, Any]) -> None:
    facts = {fact["name"]: fact["value"] for fact in answer["machine"]}
    assert os.uname().release in facts["kernel"]
    assert facts["user"] == ("root" if os.geteuid() == 0 else f"uid {os.geteuid()}")
    held = {fact["name"]: fact["value"] for fact in answer["limits"]}
    assert held.keys() == {"memory", "cpus", "processes", "disk", "output", "timeout"}
    assert ("control group" in held["memory"]) == ("cgroup" not in answer["lacking"] and answer["auto"] is not None)


@pytest.mark.usefixtures("node")
def test_node_is_the_one_that_sandboxes_use(answer: dict[str, Any], cli: Cli) -> None:
    fact = next(fact for fact in answer["machine"] if fact["name"] == "Node")
    ran = cli("run", "--language", "javascript", "-c", "console.log(process.version)")
    assert fact["value"].split(", ")[0] == ran.stdout.strip()


@pytest.mark.parametrize("columns", [80, 120])
def test_the_tables_fit_the_terminal(answer: dict[str, Any], cli: Cli, columns: int) -> None:
    done = cli("doctor", COLUMNS=str(columns))
    assert done.returncode == answer["exit_code"]
    lines = done.stdout.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= columns
    for name, _, purpose in LAYERS:
        assert any(line.startswith(f" {name} ") and line.rstrip().endswith(purpose) for line in lines), name
    assert lines[-1].startswith(("Sandboxes start at level", "No sandbox can be started"))


def test_a_level_is_for_attacks_alone(cli: Cli) -> None:
    done = cli("doctor", "--isolation", "landlock")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--isolation is for --attack" in done.stderr
