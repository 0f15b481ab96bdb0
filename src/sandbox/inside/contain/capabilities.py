"""No capability, and no way to get one back."""

from .. import kernel
from ..kernel import Call
from .plan import Descriptors, Plan
from .policy import LEVELS, NAMESPACES, Restriction

RESTRICTION = Restriction(
    "capabilities",
    because="even in a user namespace of its own, capabilities open kernel code that was written for administrators",
    breaks="binding ports below 1024, chown, mount inside the sandbox",
    proof="tests/security/test_capabilities.py::test_a_worker_has_no_capability",
    levels=LEVELS,
)


_MOST = 63


def last_capability() -> int:
    """Return the number of the last capability that this kernel knows."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        return min(int(file.read()), _MOST)


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    # Dropping from the bounding set takes a capability, of which without a user namespace none is left by now;
    # no_new_privs keeps the set from ever mattering.
    has_some = plan.level == NAMESPACES and "user_namespace" not in plan.without
    numbers = range(last_capability() + 1) if has_some else ()
    return [
        *(kernel.prctl(kernel.PR_CAPBSET_DROP, number) for number in numbers),
        kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL),
        kernel.capset_none(),
        # Giving up privileges made /proc/self belong to root; without this a program could not read its own.
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1),
    ]
