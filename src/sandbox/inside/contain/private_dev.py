"""A /dev with null, zero, full, random, urandom, and pseudo terminals of its own."""

from .. import kernel
from ..kernel import Call
from .plan import Descriptors, Plan
from .policy import NAMESPACES, Restriction

RESTRICTION = Restriction(
    "private_dev",
    because="disks, the kernel's memory, input devices and the terminals of the host's users are files below /dev",
    breaks="access to any device, GPUs included",
    proof="tests/security/test_view.py::test_a_worker_has_only_harmless_devices",
    levels=(NAMESPACES,),
)

DEVICES = ("null", "zero", "full", "random", "urandom")
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    """Mount the terminals. The rest of /dev is part of the view that the zygote built (`read_only_view`)."""
    flags = kernel.MS_NOSUID | kernel.MS_NOEXEC
    return [kernel.mount("devpts", "/dev/pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=0620")]
