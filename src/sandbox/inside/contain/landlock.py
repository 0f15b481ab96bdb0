"""Landlock: which files may be read, written and run, checked by path below every other layer.

With namespaces it is the second lock on the same door; at level `landlock` it is the view itself.
"""

import os

from .. import kernel
from ..kernel import Call
from .descriptors import FREE
from .plan import Descriptors, Plan
from .policy import LANDLOCK, LEVELS, NAMESPACES, WORKSPACE, Restriction

RESTRICTION = Restriction(
    "landlock",
    because="files stay out of reach even if a mount or a namespace should fail",
    breaks="writing outside the workspace and /tmp",
    proof="tests/security/test_landlock.py::test_a_worker_cannot_write_outside_its_directories",
    levels=LEVELS,
)

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_MAKE_DEVICES = 1 << 6 | 1 << 11
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
# linux/landlock.h: the rights known to each version. 2 added moving between directories, 3 truncation, 5 device ioctls.
_ALL_FS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def all_rights(abi: int) -> int:
    return _ALL_FS[min(abi, max(_ALL_FS))]


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    abi = kernel.landlock_abi()
    rules = [call for rule in _rules(plan, all_rights(abi)) for call in _allow(*rule)]
    return [_ruleset(abi, plan), *rules, kernel.landlock_restrict(FREE), kernel.close(FREE)]


def _ruleset(abi: int, plan: Plan) -> Call:
    """Handle every right of this version; with namespaces, the network is the network namespace's business."""
    alone = plan.level == LANDLOCK
    net = _BIND_TCP | _CONNECT_TCP if abi >= 4 and alone and plan.network != "host" else 0
    scoped = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if abi >= 6 else 0
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    return kernel.landlock_ruleset(all_rights(abi), net, scoped, size)


def _rules(plan: Plan, everything: int) -> "list[tuple[str, int]]":
    """Paths with what is allowed below them. The kernel refuses directory rights on what is not a directory."""
    write = everything & ~_MAKE_DEVICES
    file = everything & _FILE_RIGHTS
    device = file & ~_EXECUTE
    mounts = [(m.target, (write if m.writable else _READ) & (-1 if m.directory else file)) for m in plan.mounts]
    devices = [(path, device) for path in DEVICES]
    if plan.level == NAMESPACES:
        writable = [(path, write) for path in (WORKSPACE, "/tmp", "/dev/shm")]
        return [("/", _READ), *writable, *devices, ("/dev/pts", device), *mounts]
    readable = [(path, _READ if os.path.isdir(path) else _READ & file) for path in plan.readable]
    writable = [(plan.workspace, write), (f"{plan.workspace}.tmp", write)]
    return [*readable, ("/proc/self", _READ), *writable, *devices, *mounts]


def _allow(path: str, rights: int) -> list[Call]:
    beneath = FREE + 1  # FREE is the ruleset
    return [
        kernel.open_path(path, os.O_PATH | os.O_CLOEXEC),
        kernel.landlock_allow(FREE, rights, beneath),
        kernel.close(beneath),
    ]
