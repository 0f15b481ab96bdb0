"""An ipc namespace of its own: System V objects and POSIX message queues."""

from .. import kernel
from ..kernel import Call
from .plan import Descriptors, Plan
from .policy import NAMESPACES, Restriction

RESTRICTION = Restriction(
    "ipc_namespace",
    because="System V objects lie in no directory: every process of the same user can open them",
    breaks="sharing such objects with the host",
    proof="attack:shared-memory",
    levels=(NAMESPACES,),
)


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    return [kernel.unshare(kernel.CLONE_NEWIPC)]
