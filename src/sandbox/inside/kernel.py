"""The kernel calls that Python's `os` module lacks, through the C library. Linux only.

Each function raises `OSError` that names the call, so that a refused step says which kernel feature is missing.
"""

import ctypes
import os
import platform
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 32, 4096, 16384, 1 << 18, 1 << 19
MNT_DETACH = 2

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 4
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_IDMAP = 1, 2, 4, 0x100000

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 22, 36, 38, 47
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT_CLEAR_ALL = 4
PR_SET_NAME = 15
SECCOMP_MODE_FILTER = 2

_MACHINE = platform.machine()
# Calls older than 2019 have other numbers on each architecture; those from 424 on are the same on all.
_OLD = {
    "x86_64": {"pivot_root": 155, "capset": 126, "add_key": 248},
    "aarch64": {"pivot_root": 41, "capset": 91, "add_key": 217},
}
NUMBERS = {
    **_OLD.get(_MACHINE, {}),
    "open_tree": 428,
    "move_mount": 429,
    "close_range": 436,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}

_libc = ctypes.CDLL(None, use_errno=True)


class SeccompProgram(ctypes.Structure):
    """`struct sock_fprog`: how many instructions, and where they are."""

    _fields_ = [("count", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _bytes(text: "str | None") -> "bytes | None":
    return None if text is None else os.fsencode(text)


def _long(value: int) -> ctypes.c_long:
    return ctypes.c_long(value)


def syscall(name: str, *arguments: object) -> int:
    """Make a call that the C library has no wrapper for."""
    return _check(_libc.syscall(_long(NUMBERS[name]), *arguments), name)


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), f"unshare({_namespaces(flags)})")


def setns(fd: int, flags: int) -> None:
    _check(_libc.setns(fd, flags), f"setns({_namespaces(flags)})")


def _namespaces(flags: int) -> str:
    names = {
        CLONE_NEWUSER: "user",
        CLONE_NEWPID: "pid",
        CLONE_NEWNS: "mount",
        CLONE_NEWNET: "network",
        CLONE_NEWIPC: "ipc",
        CLONE_NEWUTS: "uts",
    }
    return "+".join(name for flag, name in names.items() if flags & flag)


def mount(source: "str | None", target: str, kind: "str | None", flags: int, data: "str | None" = None) -> None:
    result = _libc.mount(_bytes(source), _bytes(target), _bytes(kind), ctypes.c_ulong(flags), _bytes(data))
    _check(result, f"mount {kind or source or ''} on {target}")


def umount(target: str) -> None:
    _check(_libc.umount2(_bytes(target), MNT_DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    syscall("pivot_root", _bytes(new), _bytes(old))


def open_tree(path: str) -> int:
    """Clone the mount at `path` with all mounts below it; return a descriptor of the detached copy."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE
    return syscall("open_tree", AT_FDCWD, _bytes(path), ctypes.c_uint(flags))


def move_mount(tree: int, target: str) -> None:
    """Attach a detached mount at `target`."""
    syscall("move_mount", tree, b"", AT_FDCWD, _bytes(target), ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH))


def mount_setattr(tree: int, attributes: int) -> None:
    """Set attributes on a detached mount and on every mount below it (a plain remount changes the top one only)."""
    arguments = struct.pack("=QQQQ", attributes, 0, 0, 0)
    flags = ctypes.c_uint(AT_EMPTY_PATH | AT_RECURSIVE)
    syscall("mount_setattr", tree, b"", flags, arguments, ctypes.c_size_t(len(arguments)))


def mount_idmap(tree: int, user_namespace: int) -> None:
    """Show a detached mount, and every mount below it, with the ids of its files mapped as `user_namespace` says."""
    arguments = struct.pack("=QQQQ", MOUNT_ATTR_IDMAP, 0, 0, user_namespace)
    flags = ctypes.c_uint(AT_EMPTY_PATH | AT_RECURSIVE)
    syscall("mount_setattr", tree, b"", flags, arguments, ctypes.c_size_t(len(arguments)))


def close_range(first: int, last: int) -> None:
    """Close every descriptor from `first` to `last`, both included. os.closerange may make a call for each."""
    syscall("close_range", ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(0))


def prctl(option: int, value: int = 0, third: int = 0) -> int:
    result = _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(third), ctypes.c_ulong(0), ctypes.c_ulong(0))
    return _check(result, f"prctl({option})")


def set_process_name(name: str) -> None:
    """Set the name that `ps` shows, at most 15 bytes."""
    _check(_libc.prctl(PR_SET_NAME, _bytes(name), 0, 0, 0), "prctl(PR_SET_NAME)")


def capset_none() -> None:
    """Give up every effective, permitted and inheritable capability of the calling thread."""
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    syscall("capset", header, bytes(24))


def seccomp_load(program: bytes) -> None:
    """Load a compiled filter (an array of 8 byte BPF instructions) for the calling thread."""
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_ = SeccompProgram(len(program) // 8, ctypes.addressof(buffer))
    result = _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0)
    _check(result, "prctl(PR_SET_SECCOMP)")


def landlock_abi() -> int:
    """Return the Landlock version of this kernel (1 to ...). Raises `OSError` if there is none."""
    return syscall("landlock_create_ruleset", None, ctypes.c_size_t(0), ctypes.c_uint(1))


def landlock_ruleset(handled_fs: int, handled_net: int, scoped: int, size: int) -> int:
    """Create a ruleset; `size` is 8, 16 or 24: how much of the structure this kernel's version knows."""
    attributes = struct.pack("=QQQ", handled_fs, handled_net, scoped)[:size]
    return syscall("landlock_create_ruleset", attributes, ctypes.c_size_t(size), ctypes.c_uint(0))


def landlock_allow(ruleset: int, rights: int, beneath: int) -> None:
    """Allow `rights` on the file hierarchy below the O_PATH descriptor `beneath`."""
    rule = struct.pack("=Qi", rights, beneath)
    syscall("landlock_add_rule", ruleset, ctypes.c_int(1), rule, ctypes.c_uint(0))


def landlock_restrict(ruleset: int) -> None:
    syscall("landlock_restrict_self", ruleset, ctypes.c_uint(0))
