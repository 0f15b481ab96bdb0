"""Landlock: which files may be read, written and run, checked by path below every other layer.

With namespaces it is the second lock on the same door; at level `landlock` it is the view itself.
"""

import os

from .. import kernel
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
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
# linux/landlock.h: the rights known to each version. 2 added moving between directories, 3 truncation, 5 device ioctls.
_ALL_FS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def all_rights(abi: int) -> int:
    return _ALL_FS[min(abi, max(_ALL_FS))]


def apply(plan: Plan, fds: Descriptors) -> bool:
    abi = kernel.landlock_abi()
    ruleset = _ruleset(abi, plan)
    try:
        for path, rights in _rules(plan, all_rights(abi)):
            _allow(ruleset, path, rights)
        kernel.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)
    return True


def _ruleset(abi: int, plan: Plan) -> int:
    """Handle every right of this version; with namespaces, the network is the network namespace's business."""
    alone = plan.level == LANDLOCK
    net = _BIND_TCP | _CONNECT_TCP if abi >= 4 and alone and plan.network != "host" else 0
    scoped = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if abi >= 6 else 0
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    return kernel.landlock_ruleset(all_rights(abi), net, scoped, size)


def _rules(plan: Plan, everything: int) -> "list[tuple[str, int]]":
    write = everything & ~_EXECUTE | _EXECUTE
    device = (_READ_FILE | _WRITE_FILE | 1 << 14 | 1 << 15) & everything
    mounts = [(m.target, write if m.writable else _READ) for m in plan.mounts]
    if plan.level == NAMESPACES:
        writable = [(path, write) for path in (WORKSPACE, "/tmp", "/dev/shm")]
        return [("/", _READ), *writable, *[(d, device) for d in (*DEVICES, "/dev/pts")], *mounts]
    readable = [(path, _READ) for path in (*plan.readable, "/proc/self")]
    return [
        *readable,
        (plan.workspace, write),
        (f"{plan.workspace}.tmp", write),
        *[(d, device) for d in DEVICES],
        *mounts,
    ]


def _allow(ruleset: int, path: str, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        # The kernel refuses directory rights on something that is not a directory.
        kernel.landlock_allow(ruleset, rights if os.path.isdir(path) else rights & _FILE_RIGHTS, fd)
    finally:
        os.close(fd)
