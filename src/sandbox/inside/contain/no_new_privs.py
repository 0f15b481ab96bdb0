"""no_new_privs: an exec never gains anything, set-user-id programs included."""

from .. import kernel
from ..kernel import Call
from .plan import Descriptors, Plan
from .policy import LEVELS, Restriction

RESTRICTION = Restriction(
    "no_new_privs",
    because="set-user-id programs and file capabilities would run with more rights than the worker has",
    breaks="sudo, su, ping with file capabilities",
    proof="tests/security/test_capabilities.py::test_a_worker_cannot_gain_privileges_by_exec",
    levels=LEVELS,
)


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    return [kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)]
