"""Namespaces: what a worker could see and touch of the host's processes, shared memory and name."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from sandbox.inside.contain.policy import LANDLOCK

if TYPE_CHECKING:
    import subprocess

    from tests.security.conftest import Range

_IPC_PRIVATE, _IPC_RMID = 0, 0
_libc = ctypes.CDLL(None, use_errno=True)


@pytest.mark.needs_namespaces
def test_a_worker_does_not_learn_the_host_name(lab: Range) -> None:
    """The zygote has another name, too, so switching a worker's own one off does not show it the host's."""
    assert lab.attack("host_name").value == "sandbox"
    of_host = os.readlink("/proc/self/ns/uts")
    first, second = (lab.control("namespaces", without=("uts_namespace",), env={"N": n}).value["uts"] for n in "12")
    assert first == second != of_host
    assert lab.control("host_name", isolation="none").value == socket.gethostname()


@pytest.mark.needs_namespaces
def test_a_worker_cannot_signal_a_process_of_the_host(lab: Range, victim: subprocess.Popen[bytes]) -> None:
    """The zygote is in a pid namespace already, so switching a worker's own one off shows it its zygote's others.

    The host's processes come into reach only where nothing is in force at all.
    """
    assert lab.attack("kill", victim.pid).error == "ESRCH"
    assert lab.attack("pids").value == lab.attack("own_pids").value
    off = ("pid_namespace",)
    neighbour = lab.control("own_pids", without=off, env={"N": "1"}).value[0]
    assert neighbour > 1
    assert lab.attack("kill", neighbour, 0).error == "ESRCH"
    # Landlock would keep the signal inside, and a uid of its own has no right to it: but it is there.
    assert lab.control("kill", neighbour, 0, without=off).error == "EPERM"
    assert neighbour in lab.control("pids", without=off).value
    assert victim.poll() is None
    assert lab.control("kill", victim.pid, isolation="none").error == ""
    assert victim.wait(10) == -signal.SIGTERM


def test_a_worker_cannot_signal_a_process_of_the_host_at_level_landlock(
    lab: Range, victim: subprocess.Popen[bytes]
) -> None:
    """All is in one pid namespace there. Landlock, or the filter where it is too old, keeps signals inside."""
    assert lab.attack("kill", victim.pid, isolation=LANDLOCK).error == "EPERM"
    assert victim.poll() is None
    off = ("landlock", "own_uid", "capabilities", "seccomp.signals")
    assert lab.control("kill", victim.pid, isolation=LANDLOCK, without=off).error == ""
    assert victim.wait(10) == -signal.SIGTERM


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(("name", "restriction"), [("net", "network"), ("ipc", "ipc")])
def test_each_namespace_is_the_workers_own(lab: Range, name: str, restriction: str) -> None:
    of_host = os.readlink(f"/proc/self/ns/{name}")
    of_another = lab.attack("namespaces", env={"N": "1"}).value[name]
    assert lab.attack("namespaces").value[name] not in {of_host, of_another}
    assert lab.control("namespaces", without=(f"{restriction}_namespace",)).value[name] == of_host


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(("name", "restriction"), [("mnt", "mount"), ("pid", "pid"), ("user", "user"), ("uts", "uts")])
def test_each_namespace_is_another_than_its_neighbours(lab: Range, name: str, restriction: str) -> None:
    """Those that the zygote has, too: switched off, workers share them with each other, and never with the host."""
    of_host = os.readlink(f"/proc/self/ns/{name}")
    first, second = (lab.attack("namespaces", env={"N": n}).value[name] for n in "12")
    assert len({of_host, first, second}) == 3
    off = (f"{restriction}_namespace",)
    first, second = (lab.control("namespaces", without=off, env={"N": n}).value[name] for n in "12")
    assert first == second != of_host
