"""A user namespace of its own, in which the worker is uid 1000 and owns nothing."""

import os

from .. import kernel
from ..kernel import Call
from .descriptors import FREE
from .plan import Descriptors, Plan
from .policy import INSIDE_UID, NAMESPACES, Restriction

RESTRICTION = Restriction(
    "user_namespace",
    because="the other namespaces belong to the zygote's: from a new one below it nothing in them can be changed",
    breaks="nothing",
    proof="tests/security/test_identity.py::test_a_worker_is_uid_1000_without_other_ids",
    levels=(NAMESPACES,),
)


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    own = 0 if "own_uid" in plan.without else plan.uid
    ids = f"{INSIDE_UID} {own} 1"
    # setgroups can only be denied before the group map is written, and must be for an unprivileged writer.
    files = {"setgroups": "deny", "uid_map": ids, "gid_map": ids}
    written = [call for name, text in files.items() for call in write_file(f"/proc/self/{name}", text)]
    return [kernel.unshare(kernel.CLONE_NEWUSER), *written]


def write_file(path: str, text: str) -> list[Call]:
    """Write `text` to a file of /proc."""
    return [
        kernel.open_path(path, os.O_WRONLY | os.O_CLOEXEC),
        kernel.write(FREE, text.encode()),
        kernel.close(FREE),
    ]
