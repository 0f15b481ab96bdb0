"""A user namespace of its own, in which the worker is uid 1000 and owns nothing."""

import os

from .. import kernel
from .plan import Descriptors, Plan
from .policy import INSIDE_UID, NAMESPACES, Restriction

RESTRICTION = Restriction(
    "user_namespace",
    because="the other namespaces belong to the zygote's: from a new one below it nothing in them can be changed",
    breaks="nothing",
    proof="tests/security/test_identity.py::test_a_worker_is_uid_1000_without_other_ids",
    levels=(NAMESPACES,),
)


def apply(plan: Plan, fds: Descriptors) -> bool:
    kernel.unshare(kernel.CLONE_NEWUSER)
    # setgroups can only be denied before the group map is written, and must be for an unprivileged writer.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{INSIDE_UID} {plan.uid} 1"),
        ("gid_map", f"{INSIDE_UID} {plan.uid} 1"),
    ):
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(fd, text.encode())
        os.close(fd)
    return True
