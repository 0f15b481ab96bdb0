"""Limits of the process itself: they hold everywhere, and turn the commonest excesses into ordinary Python errors."""

import os
import resource

from .plan import Descriptors, Plan
from .policy import LEVELS, NONE, Restriction

RESTRICTION = Restriction(
    "rlimits",
    because="a too large allocation becomes a MemoryError that costs no state, instead of a kill",
    breaks="programs that need more than the limits",
    proof="tests/security/test_limits.py::test_a_too_large_allocation_is_a_memory_error",
    levels=(*LEVELS, NONE),
)

_OPEN_FILES = 4096


def apply(plan: Plan, fds: Descriptors) -> bool:
    _limit(resource.RLIMIT_DATA, plan.data_bytes)
    _limit(resource.RLIMIT_FSIZE, plan.file_bytes)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    # Since Linux 5.14 this counts the processes of one user namespace, so it is the sandbox's own number.
    _limit(resource.RLIMIT_NPROC, plan.processes)
    # Not 0: a limit of 1 is what also keeps a core_pattern that is a pipe from starting its program on the host.
    _limit(resource.RLIMIT_CORE, 1)
    if plan.pin_cpus:
        _pin(plan.pin_cpus)
    return True


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _pin(cpus: int) -> None:
    """Where no cgroup can limit cpu time: keep the worker on as many cpus as it may use."""
    allowed = sorted(os.sched_getaffinity(0))
    start = os.getpid() % len(allowed)
    os.sched_setaffinity(0, {allowed[(start + n) % len(allowed)] for n in range(min(cpus, len(allowed)))})
