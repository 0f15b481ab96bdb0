"""Landlock: the second lock on the files with namespaces, the only one without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.inside.contain.policy import LANDLOCK, NAMESPACES

if TYPE_CHECKING:
    from tests.security.conftest import Range

# What keeps root's workers from files besides Landlock: a uid of their own, and no rights.
_BARE = ("landlock", "own_uid", "capabilities")


def test_a_worker_cannot_write_outside_its_directories(lab: Range, common: Path) -> None:
    """With namespaces, its own entries in /proc are what the mounts leave writable; without, the host's files are."""
    if lab.level == NAMESPACES:
        assert lab.attack("write", "/proc/self/comm").error == "EACCES"
        assert lab.control("write", "/proc/self/comm", without=("landlock",)).error == ""
        return
    assert lab.attack("create", f"{common}/new").error == "EACCES"
    assert not (common / "new").exists()
    assert lab.control("create", f"{common}/new", without=("landlock",)).value == "x"


@pytest.mark.needs_namespaces
def test_a_worker_cannot_reach_into_its_commands(lab: Range) -> None:
    """A command joins the worker's namespaces with rights that it has yet to give up, and is its equal afterwards."""
    for which, without in ((lab.attack, ()), (lab.control, ("landlock",))):
        box = lab.control_box(without=without) if without else lab.box()
        handle = box.command.start("/bin/cat", env={"TOKEN": "of-the-command"})
        pid = max(which("pids", **({"without": without} if without else {})).value)
        found = which("read", f"/proc/{pid}/environ", **({"without": without} if without else {}))
        handle.close_stdin()
        handle.wait()
        assert (found.error == "EACCES") if not without else ("of-the-command" in found.value)


# --- level landlock: nothing else hides the host's files ------------------------------------------------------------


@pytest.fixture
def secret(common: Path) -> str:
    path = common / "secret"
    path.write_text("a secret of the host")
    path.chmod(0o666)
    return str(path)


_READING = ["read", "follow_link_to", "read_by_descriptor_of_parent"]


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/1/status", "/proc/self/root/etc/passwd", "/var/log", "/sys"])
def test_a_worker_cannot_read_what_every_user_of_the_host_may(lab: Range, path: str) -> None:
    attack = "names" if os.path.isdir(path) else "read"
    assert lab.attack(attack, path, isolation=LANDLOCK).error == "EACCES"
    assert lab.control(attack, path, isolation=LANDLOCK, without=("landlock",)).value


def test_a_worker_cannot_list_directories_of_the_host(lab: Range, common: Path) -> None:
    for path in (str(common), str(Path.home()), "/", "/home", "/tmp"):
        assert lab.attack("names", path, isolation=LANDLOCK).error == "EACCES", path
    assert lab.control("names", "/", isolation=LANDLOCK, without=("landlock",)).value


def test_a_worker_cannot_change_the_hosts_files(lab: Range, secret: str) -> None:
    attacks = [("write", secret), ("truncate", secret), ("remove", secret), ("rename", secret, f"{secret}2")]
    for attack in attacks:
        assert lab.attack(*attack, isolation=LANDLOCK).error == "EACCES", attack
    assert Path(secret).read_text() == "a secret of the host"
    for attack in (("write", secret), ("truncate", secret), ("rename", secret, f"{secret}2")):
        assert lab.control(*attack, isolation=LANDLOCK, without=("landlock",)).error == "", attack


def test_a_worker_cannot_move_files_in_or_out(lab: Range, secret: str, common: Path) -> None:
    """A link or a move into the workspace would give a file the workspace's rights."""
    lab.attack("create", "own", isolation=LANDLOCK)
    for attack in (
        ("link_to", secret, "linked"), ("rename", secret, "moved"), ("rename", "own", f"{common}/out"),
        ("link_to", "own", f"{common}/out"),
    ):  # fmt: skip
        assert lab.attack(*attack, isolation=LANDLOCK).error in {"EACCES", "EXDEV", "EPERM"}, attack
    lab.control("create", "own", isolation=LANDLOCK, without=_BARE)
    assert lab.control("rename", "own", f"{common}/out", isolation=LANDLOCK, without=_BARE).error in {"", "EXDEV"}
    assert lab.control("create", f"{common}/out", isolation=LANDLOCK, without=_BARE).error == ""


def test_a_worker_can_use_what_it_is_given(lab: Range) -> None:
    """Without this, everything above would hold for a worker that can do nothing at all."""
    assert lab.attack("create", "own", isolation=LANDLOCK).value == "x"
    tmp = lab.attack("environment", isolation=LANDLOCK).value["TMPDIR"]
    assert lab.attack("create", f"{tmp}/own", isolation=LANDLOCK).value == "x"
    assert "import" in lab.attack("source_of_the_standard_library", isolation=LANDLOCK).value
    assert lab.attack("run_program", "/bin/echo", "ran", isolation=LANDLOCK).value == "ran\n"
