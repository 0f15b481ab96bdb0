"""A network of its own: a loopback interface that is up, and nothing else."""

import socket
import struct

from .. import kernel
from ..kernel import Call
from .descriptors import FREE
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
_LOOPBACK_UP = struct.pack("16sH22x", b"lo", 1)  # struct ifreq with IFF_UP


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    if plan.network == "host":
        return []
    return [
        kernel.unshare(kernel.CLONE_NEWNET),
        kernel.prepare("socket", socket.AF_INET, socket.SOCK_DGRAM, 0),
        kernel.prepare("ioctl", FREE, _SIOCSIFFLAGS, _LOOPBACK_UP),
        kernel.close(FREE),
    ]
