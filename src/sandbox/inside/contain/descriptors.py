"""Every descriptor but the named ones is closed, and the control socket lies where a program does not trip over it."""

import fcntl
import os

from .. import kernel
from .plan import Descriptors
from .policy import LEVELS, NONE, Restriction

RESTRICTION = Restriction(
    "descriptors",
    because="an open descriptor works whatever the view and the policy say",
    breaks="nothing",
    proof="tests/security/test_descriptors.py::test_a_worker_holds_only_the_named_descriptors",
    levels=(*LEVELS, NONE),
)

_HIGH = 1000
_LAST = 0xFFFFFFFF


def arrange(fds: Descriptors) -> Descriptors:
    """Put the streams on 0, 1 and 2 and the others above 1000, close the rest, and return the new numbers."""

    def high(fd: int) -> int:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH) if fd >= 0 else fd

    moved = Descriptors(
        high(fds.control),
        high(fds.stdin),
        high(fds.stdout),
        high(fds.stderr),
        high(fds.ack),
        tuple(map(high, fds.cgroups)),
        tuple(map(high, fds.mounts)),
        high(fds.worker),
    )
    kernel.close_range(0, _HIGH - 1)
    for source, target in ((moved.stdin, 0), (moved.stdout, 1), (moved.stderr, 2)):
        os.dup2(source, target)
        os.close(source)
    keep = max(moved.control, moved.ack, moved.worker, *moved.cgroups, *moved.mounts, _HIGH)
    kernel.close_range(keep + 1, _LAST)
    return moved._replace(stdin=0, stdout=1, stderr=2)
