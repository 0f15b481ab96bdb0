"""The threat model names what does a thing and what attacks it. Both have to be there."""

from __future__ import annotations

import ast
import re

import pytest
from tests.docs.blocks import ROOT

from sandbox.attack.probes import FAMILIES

TEXT = (ROOT / "docs" / "security" / "threat-model.md").read_text(encoding="utf-8")
FAULTS = (ROOT / "docs" / "security" / "faults.md").read_text(encoding="utf-8")
_TEST = re.compile(r"`(test_\w+)`")
_ATTACK = re.compile(r"attacks? ((?:`[\w-]+`(?:, )?)+)")
_FILE = re.compile(r"`(\w+(?:/\w+)*/\w+\.py)`")


def _tests() -> set[str]:
    """The name of every test of the suite."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "tests").rglob("test_*.py")]
    nodes = [node for tree in trees for node in tree.body]
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    named = set(_TEST.findall(TEXT))
    assert len(named) >= 40
    assert named - _tests() == set()


def test_every_test_of_the_table_of_faults_exists() -> None:
    named = set(_TEST.findall(FAULTS))
    assert len(named) >= 50
    assert named - _tests() == set()


def test_every_attack_that_is_named_exists() -> None:
    named = {name for names in _ATTACK.findall(TEXT) for name in re.findall(r"`([\w-]+)`", names)}
    assert len(named) >= 8
    assert named - {probe.name for probes in FAMILIES.values() for probe in probes} == set()


@pytest.mark.parametrize("name", sorted(set(_FILE.findall(TEXT))))
def test_a_file_that_is_named_exists(name: str) -> None:
    assert (ROOT / "src" / "sandbox" / name).is_file()


def test_every_way_across_the_boundary_names_its_file_and_its_attack() -> None:
    section = TEXT.split("\n## The boundary\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| **")]
    assert len(rows) >= 12
    assert [row for row in rows if not (_FILE.search(row) and (_TEST.search(row) or _ATTACK.search(row)))] == []
