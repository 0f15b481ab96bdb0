"""The system call filter, compiled by the host from `policy.REFUSALS` and loaded here as bytes."""

from .. import kernel
from .plan import Descriptors, Plan
from .policy import LEVELS, Restriction

RESTRICTION = Restriction(
    "seccomp",
    because="most of the kernel's attack surface is in calls that a Python program never makes",
    breaks="see each refusal",
    proof="tests/security/test_seccomp.py::test_a_worker_cannot_mount",
    levels=LEVELS,
)


def apply(plan: Plan, fds: Descriptors) -> bool:
    kernel.seccomp_load(plan.seccomp)
    return True
