"""A host name of its own."""

from .. import kernel
from ..kernel import Call
from .plan import Descriptors, Plan
from .policy import NAMESPACES, Restriction

RESTRICTION = Restriction(
    "uts_namespace",
    because="the host's name says where the code runs",
    breaks="programs that look for the host's name",
    proof="tests/security/test_namespaces.py::test_a_worker_does_not_learn_the_host_name",
    levels=(NAMESPACES,),
)


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    name = plan.hostname.encode()
    return [kernel.unshare(kernel.CLONE_NEWUTS), kernel.prepare("sethostname", name, len(name))]
