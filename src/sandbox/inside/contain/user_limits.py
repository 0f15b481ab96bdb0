"""Limits on what the kernel counts for each user, set for the worker's own user namespace."""

from ..kernel import Call
from .plan import Descriptors, Plan
from .policy import NAMESPACES, Restriction
from .user_namespace import write_file

RESTRICTION = Restriction(
    "user_limits",
    because="inotify instances are few for each user: one sandbox would use up those of all others, and of the host",
    breaks="more than 16 inotify instances at once",
    proof="tests/security/test_limits.py::test_a_worker_cannot_use_up_what_its_user_shares_with_others",
    levels=(NAMESPACES,),
)

_MOST_INOTIFY_INSTANCES = 16


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    if "user_namespace" in plan.without:
        return []  # it would be the limit of every worker together
    return write_file("/proc/sys/user/max_inotify_instances", str(_MOST_INOTIFY_INSTANCES))
