"""Join the control groups that the engine made for this sandbox: memory, cpu and processes are counted together."""

from .. import kernel
from ..kernel import Call
from .plan import Descriptors, Plan
from .policy import LEVELS, NONE, Restriction

RESTRICTION = Restriction(
    "cgroup",
    because="memory, cpu and processes of everything in a sandbox are limited as a whole, and counted by the kernel",
    breaks="programs that need more than the limits",
    proof="tests/security/test_limits.py::test_memory_of_all_processes_together_is_limited",
    levels=(*LEVELS, NONE),
)


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    """Move this thread, the process's only one so far, into each group.

    "0" means the writer. A thread that moves itself takes no lock; moving a process from outside waits for an RCU
    grace period, which was measured at 8-16 ms against 0.05 ms for this.
    """
    return [call for fd in fds.cgroups for call in (kernel.write(fd, b"0"), kernel.close(fd))]
