"""Who a worker is: inside, and on the host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.inside.contain.policy import INSIDE_UID, LANDLOCK

if TYPE_CHECKING:
    from tests.security.conftest import Range

    from sandbox.sync import LocalSandbox

_AT_ONCE = 4


def ids_on_host(lab: Range, box: LocalSandbox) -> dict[str, list[int]]:
    """The four user ids, four group ids and the supplementary groups of a worker, as the host sees them."""
    text = Path(f"/proc/{lab.pid_of(box)}/status").read_text("utf-8")
    rows = dict(line.split(":", 1) for line in text.splitlines())
    return {name: [int(part) for part in rows[name].split()] for name in ("Uid", "Gid", "Groups")}


@pytest.mark.needs_root
def test_a_worker_is_never_root_on_the_host(lab: Range) -> None:
    """With namespaces it would still only be the zygote, which root has made somebody else: two layers overlap.

    The zygote's uid does not own the workspaces, so in the control it keeps its rights to enter them.
    """
    found = [ids_on_host(lab, lab.box(env={"N": str(n)})) for n in range(_AT_ONCE)]
    for each in found:
        assert len(set(each["Uid"])) == len(set(each["Gid"])) == 1
        assert min(*each["Uid"], *each["Gid"]) >= 1 << 16
        assert set(each["Groups"]) <= set(each["Gid"])
    assert len({each["Uid"][0] for each in found}) == _AT_ONCE, "sessions share a uid"
    off = ("own_uid", "capabilities", "user_namespace")
    first, second = (ids_on_host(lab, lab.control_box(without=off, env={"N": n}))["Uid"] for n in "12")
    assert first == second
    assert (first[0] == 0) == (lab.level == LANDLOCK)


@pytest.mark.needs_root
def test_without_namespaces_a_worker_of_root_would_be_root(lab: Range) -> None:
    own = ids_on_host(lab, lab.box(isolation=LANDLOCK))
    assert min(*own["Uid"], *own["Gid"], *own["Groups"]) >= 1 << 16
    off = lab.control_box(isolation=LANDLOCK, without=("own_uid", "capabilities", "landlock"))
    assert set(ids_on_host(lab, off)["Uid"]) == {0}


@pytest.mark.needs_root
def test_a_command_has_its_workers_uid(lab: Range) -> None:
    box = lab.box()
    box.command.run("/usr/bin/touch", ["of-command"])
    box.run("open('of-worker', 'w').close()")
    made = [os.stat(Path(box._started.workspace_dir) / name).st_uid for name in ("of-command", "of-worker")]
    assert made == [ids_on_host(lab, box)["Uid"][0]] * 2


@pytest.mark.needs_namespaces
def test_a_worker_is_uid_1000_without_other_ids(lab: Range) -> None:
    found = lab.attack("ids").value
    assert set(found["uid"]) == set(found["gid"]) == {INSIDE_UID}
    assert [row[0] for row in lab.attack("id_map").value] == [INSIDE_UID]
    assert [row[2] for row in lab.attack("id_map").value] == [1]
    # No id but its own exists, so that none can be had, with or without the right to change it.
    for uid in (0, 65534, 2000):
        assert lab.attack("become", uid).error == "EINVAL"
        assert lab.control("become", uid, without=("capabilities",)).error == "EINVAL"
    assert lab.control("ids", without=("user_namespace",)).value["uid"][0] != INSIDE_UID
    assert lab.control("become", 0, without=("user_namespace",)).error != "EINVAL"


def test_a_worker_without_namespaces_has_no_other_ids(lab: Range) -> None:
    box = lab.box(isolation=LANDLOCK)
    own = ids_on_host(lab, box)["Uid"]
    assert len(set(own)) == 1
    assert lab.attack("become", 0, isolation=LANDLOCK).error == "EPERM"
    if os.geteuid() == 0:
        off = ("own_uid", "capabilities", "landlock")
        assert lab.control("become", 0, isolation=LANDLOCK, without=off).error == ""
