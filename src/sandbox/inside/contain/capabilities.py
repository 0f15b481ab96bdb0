"""No capability, and no way to get one back."""

from .. import kernel
from .plan import Descriptors, Plan
from .policy import LEVELS, Restriction

RESTRICTION = Restriction(
    "capabilities",
    because="even in a user namespace of its own, capabilities open kernel code that was written for administrators",
    breaks="binding ports below 1024, chown, mount inside the sandbox",
    proof="tests/security/test_capabilities.py::test_a_worker_has_no_capability",
    levels=LEVELS,
)

_LAST_CAPABILITY = 63


def apply(plan: Plan, fds: Descriptors) -> bool:
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
        except OSError:
            # EINVAL: past the last one that this kernel knows. EPERM: an ordinary user without a user namespace
            # holds none, and no_new_privs keeps the bounding set from ever mattering.
            break
    kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    kernel.capset_none()
    # Giving up privileges made /proc/self belong to root; without this a program could not read its own.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    return True
