"""Where the host is root: an unprivileged user id of the session's own, on the host too."""

from .. import kernel
from ..kernel import Call
from .plan import Descriptors, Plan
from .policy import LEVELS, Restriction

RESTRICTION = Restriction(
    "own_uid",
    because="out of its namespaces a worker must be neither root nor the owner of another session's files",
    breaks="nothing",
    proof="tests/security/test_identity.py::test_a_worker_is_never_root_on_the_host",
    levels=LEVELS,
)


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    """Become `plan.uid` and drop every group. Without one the host is an ordinary user, and so is the worker."""
    if not plan.uid:
        return [kernel.prctl(kernel.PR_SET_DUMPABLE, 1)]
    return [
        kernel.prepare("setgroups", 0, None),
        kernel.prepare("setresgid", plan.uid, plan.uid, plan.uid),
        kernel.prepare("setresuid", plan.uid, plan.uid, plan.uid),
        # The change of ids made /proc/self belong to root, and the user namespace step has to write there.
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1),
    ]
