"""A network of its own: a loopback interface that is up, and nothing else."""

import fcntl
import socket
import struct

from .. import kernel
from .plan import Descriptors, Plan
from .policy import NAMESPACES, Restriction

RESTRICTION = Restriction(
    "network_namespace",
    because="unread code must reach neither the internet nor the local network, cloud metadata or the host's loopback",
    breaks="downloads and every other connection out of the sandbox",
    proof="tests/security/test_network.py::test_a_worker_cannot_reach_a_server_on_the_host",
    levels=(NAMESPACES,),
)

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def apply(plan: Plan, fds: Descriptors) -> bool:
    if plan.network == "host":
        return False
    kernel.unshare(kernel.CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
    return True
