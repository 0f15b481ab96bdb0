"""The system call filter, compiled by the host from `policy.REFUSALS` and loaded here as bytes."""

from .. import kernel
from ..kernel import Call
from .plan import Descriptors, Plan
from .policy import LEVELS, Restriction

RESTRICTION = Restriction(
    "seccomp",
    because="most of the kernel's attack surface is in calls that a Python program never makes",
    breaks="see each refusal",
    proof="attack:mount",
    levels=LEVELS,
)


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    return [kernel.seccomp_load(plan.seccomp)]
