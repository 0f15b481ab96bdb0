"""A pid namespace of its own, in which the worker is process 1."""

import os

from .. import kernel
from .policy import NAMESPACES, Restriction

RESTRICTION = Restriction(
    "pid_namespace",
    because="a worker sees and signals nothing outside, and the kernel ends all that it started with it",
    breaks="nothing",
    proof="tests/security/test_namespaces.py::test_a_worker_cannot_signal_a_process_of_the_host",
    levels=(NAMESPACES,),
)


def own() -> int:
    """Return a descriptor of the caller's own pid namespace, for `next_fork`."""
    return os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def next_fork(own_namespace: int) -> None:
    """Let the caller's next fork be process 1 of a new pid namespace.

    A process may unshare its children's pid namespace once; going back to its own first makes it possible again.
    """
    kernel.setns(own_namespace, kernel.CLONE_NEWPID)
    kernel.unshare_now(kernel.CLONE_NEWPID)


def same_fork(own_namespace: int) -> None:
    """Let the caller's next fork be in the caller's own pid namespace (levels without namespaces and tests)."""
    kernel.setns(own_namespace, kernel.CLONE_NEWPID)


def join_fork(pidfd: int) -> None:
    """Let the caller's next fork be in the pid namespace of the process behind `pidfd`."""
    kernel.setns(pidfd, kernel.CLONE_NEWPID)
