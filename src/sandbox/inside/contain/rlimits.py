"""Limits of the process itself: they hold everywhere, and turn the commonest excesses into ordinary Python errors."""

import os
import resource

from .. import kernel
from ..kernel import Call
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
_LEAST_RESERVE, _MOST_RESERVE = 2 << 20, 64 << 20


def with_reserve(data_bytes: int) -> int:
    """The hard limit of a worker's memory, whose soft limit is this: see `python.reserve`."""
    return data_bytes + min(max(data_bytes // 30, _LEAST_RESERVE), _MOST_RESERVE)


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    limits = {
        resource.RLIMIT_FSIZE: plan.file_bytes,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        # Since Linux 5.14 this counts the processes of one user namespace, so it is the sandbox's own number.
        resource.RLIMIT_NPROC: plan.processes,
        # Not 0: a limit of 1 is what also keeps a core_pattern that is a pipe from starting its program on the host.
        resource.RLIMIT_CORE: 1,
    }
    set_limits = [_limit(kind, value, value) for kind, value in limits.items()]
    set_limits.append(_limit(resource.RLIMIT_DATA, plan.data_bytes, with_reserve(plan.data_bytes)))
    return [*set_limits, _pin(plan.pin_cpus)] if plan.pin_cpus else set_limits


def _limit(kind: int, soft: int, hard: int) -> Call:
    """The zygote's own hard limit, which a worker inherits, cannot be raised."""
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    return kernel.prlimit(kind, soft, hard)


def _pin(cpus: int) -> Call:
    """Where no cgroup can limit cpu time: keep the worker on as many cpus as it may use, beginning anywhere."""
    allowed = sorted(os.sched_getaffinity(0))
    start = int.from_bytes(os.urandom(2), "little")
    mask = sum(1 << allowed[(start + n) % len(allowed)] for n in range(min(cpus, len(allowed))))
    data = mask.to_bytes(allowed[-1] // 64 * 8 + 8, "little")
    return kernel.prepare("sched_setaffinity", 0, len(data), data)
