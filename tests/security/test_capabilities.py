"""Rights: none to begin with, and no program that gives some."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.inside.contain.policy import LANDLOCK, NAMESPACES

if TYPE_CHECKING:
    from tests.security.conftest import Range

_SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")
_WITH_RIGHTS = ("capabilities", "own_uid")


def test_a_worker_has_no_capability(lab: Range) -> None:
    status = lab.attack("own_status").value
    assert {int(status[name], 16) for name in _SETS} == {0}
    assert lab.attack("set_secure_bits").error == "EPERM"
    if lab.level != NAMESPACES and os.geteuid() != 0:
        pytest.skip("an ordinary user without a user namespace has no capability to give up")
    off = ("capabilities",) if lab.level == NAMESPACES else _WITH_RIGHTS
    assert int(lab.control("own_status", without=off).value["CapEff"], 16) != 0
    assert lab.control("set_secure_bits", without=off).error == ""


@pytest.mark.needs_namespaces
def test_no_capability_can_come_back(lab: Range) -> None:
    assert int(lab.attack("own_status").value["CapBnd"], 16) == 0
    assert int(lab.control("own_status", without=("capabilities",)).value["CapBnd"], 16) != 0


def test_a_command_has_no_capability(lab: Range) -> None:
    text = lab.box().command.shell("cat /proc/$$/status || cat /proc/self/status").stdout
    rows = dict(line.split(":", 1) for line in text.splitlines())
    if rows:  # at level landlock /proc belongs to the worker alone
        assert {int(rows[name], 16) for name in _SETS} == {0}
        assert rows["NoNewPrivs"].strip() == "1"
    else:
        assert lab.level == LANDLOCK


@pytest.fixture
def set_user_id_program(common: Path) -> Path:
    """A copy of `id` that runs as its owner: root, or where this is not root, found on the system."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a set-user-id program of root's")
    program = common / "id"
    shutil.copy("/usr/bin/id", program)
    program.chmod(0o4755)
    return program


def test_a_worker_cannot_gain_privileges_by_exec(lab: Range, set_user_id_program: Path) -> None:
    """Three layers: no_new_privs, mounts that ignore the bit, and a user namespace in which root does not exist.

    So the control is at level landlock, which has but the first, and off with it is what cannot be without it.
    """
    shown = {"files": {str(set_user_id_program.parent): str(set_user_id_program.parent)}}
    own = lab.attack("run_program", "/usr/bin/id", "-u", **shown).value
    assert lab.attack("run_program", str(set_user_id_program), "-u", **shown).value == own != "0\n"
    lab.box(isolation=LANDLOCK)
    off = ("no_new_privs", "seccomp", "landlock")
    there = {"isolation": LANDLOCK, **shown}
    assert lab.attack("run_program", str(set_user_id_program), "-u", **there).value != "0\n"
    assert lab.control("run_program", str(set_user_id_program), "-u", without=off, **there).value == "0\n"
