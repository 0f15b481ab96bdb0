"""Every descriptor but the named ones is closed, and the control socket lies where a program does not trip over it."""

import os
import resource

from .. import kernel
from ..kernel import Call
from .plan import Descriptors
from .policy import LEVELS, NONE, Restriction

RESTRICTION = Restriction(
    "descriptors",
    because="an open descriptor works whatever the view and the policy say",
    breaks="nothing",
    proof="tests/security/test_descriptors.py::test_a_worker_holds_only_the_named_descriptors",
    levels=(*LEVELS, NONE),
)

FREE = 3
"""The lowest free descriptor after `calls`: what the next open returns."""

_HIGH = 1000
_LAST = 0xFFFFFFFF


def arranged(fds: Descriptors) -> Descriptors:
    """Return the numbers that the descriptors have after `calls`: the streams are 0 to 2, the others high."""
    high = _lowest(4 + len(fds.cgroups) + len(fds.mounts))
    first = high + 4
    cgroups = tuple(range(first, first + len(fds.cgroups)))
    mounts = tuple(range(first + len(cgroups), first + len(cgroups) + len(fds.mounts)))
    return Descriptors(high, 0, 1, 2, high + 1, cgroups, mounts, high + 2, high + 3)


def _lowest(count: int) -> int:
    """The first of so many numbers: 1000, or the last ones where fewer files may be open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _HIGH if most == resource.RLIM_INFINITY else min(_HIGH, most - count)


def calls(fds: Descriptors) -> list[Call]:
    """Put every descriptor at its number and close all others."""
    wanted = arranged(fds)
    high = [
        (fds.control, wanted.control), (fds.ack, wanted.ack), (fds.worker, wanted.worker), (fds.state, wanted.state),
        *zip(fds.cgroups, wanted.cgroups, strict=True), *zip(fds.mounts, wanted.mounts, strict=True),
    ]  # fmt: skip
    last = max(target for _, target in high)
    return [
        *(kernel.prepare("dup3", fd, target, os.O_CLOEXEC) for fd, target in high if fd >= 0),
        *(kernel.prepare("dup3", fd, target, 0) for fd, target in ((fds.stdin, 0), (fds.stdout, 1), (fds.stderr, 2))),
        kernel.close_range(FREE, wanted.control - 1),
        kernel.close_range(last + 1, _LAST),
    ]
