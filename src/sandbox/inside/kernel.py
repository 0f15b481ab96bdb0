"""The kernel calls that Python's `os` module lacks, through the C library. Linux only.

Two forms: functions that make a call at once and raise `OSError`, and `prepare`, which returns a call to be made
later. What confines a worker is prepared in the zygote and made after the fork: there, all that a new process
touches has to be copied first, and running Python code touches much.
"""

import ctypes
import os
import struct
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

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

_MACHINE = os.uname().machine
# Calls older than 2019 have other numbers on each architecture; those from 424 on are the same on all.
_OLD = {
    "x86_64": "write 1 close 3 rt_sigprocmask 14 ioctl 16 socket 41 chdir 80 setsid 112 setgroups 116 setresuid 117 "
    "setresgid 119 capset 126 pivot_root 155 prctl 157 mount 165 umount2 166 sethostname 170 sched_setaffinity 203 "
    "openat 257 mkdirat 258 unshare 272 signalfd4 289 dup3 292 prlimit64 302 setns 308",
    "aarch64": "write 64 close 57 rt_sigprocmask 135 ioctl 29 socket 198 chdir 49 setsid 157 setgroups 159 "
    "setresuid 147 setresgid 149 capset 91 pivot_root 41 prctl 167 mount 40 umount2 39 sethostname 161 "
    "sched_setaffinity 122 openat 56 mkdirat 34 unshare 97 signalfd4 74 dup3 24 prlimit64 261 setns 268",
}
_NEW = (
    "open_tree 428 move_mount 429 close_range 436 openat2 437 mount_setattr 442 landlock_create_ruleset 444 "
    "landlock_add_rule 445 landlock_restrict_self 446"
)


def _numbers(text: str) -> dict[str, int]:
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


NUMBERS = {**_numbers(_OLD.get(_MACHINE, "")), **_numbers(_NEW)}

# PyDLL: the interpreter's lock is kept during a call. There is one thread, and letting go costs more than the calls.
_libc = ctypes.PyDLL(None, use_errno=True)
_syscall = _libc.syscall

Call = Callable[[], int]
"""A call with its arguments. Returns what the kernel returned, below 0 if it refused; `errno` says why."""

Argument: TypeAlias = int | bytes | ctypes.Structure | None
"""What `prepare` turns into one argument: a number, a pointer to NUL-terminated bytes or to a structure."""


class SeccompProgram(ctypes.Structure):
    """`struct sock_fprog`: how many instructions, and where they are."""

    _fields_ = [("count", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def prepare(name: str, *arguments: Argument) -> Call:
    """Return a call, ready to be made. Descriptors in it are numbers that the caller knows to be right by then."""
    return partial(_syscall, ctypes.c_long(NUMBERS[name]), *map(_argument, arguments))


def _argument(value: Argument) -> object:
    if value is None:
        return ctypes.c_void_p()
    if isinstance(value, int):
        return ctypes.c_ulong(value & 0xFFFFFFFFFFFFFFFF)
    return ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.pointer(value)


def errno() -> int:
    """Why the last call was refused."""
    return ctypes.get_errno()


def make(name: str, *arguments: Argument, what: str = "") -> int:
    """Make a call now. Raises OSError, which says `what` was tried."""
    result: int = prepare(name, *arguments)()
    if result < 0:
        number = errno()
        raise OSError(number, f"{what or name}: {os.strerror(number)}")
    return result


def _bytes(text: "str | None") -> "bytes | None":
    return None if text is None else os.fsencode(text)


# --- prepared -------------------------------------------------------------------------------------------------------


def unshare(flags: int) -> Call:
    return prepare("unshare", flags)


def mount(source: "str | None", target: str, kind: "str | None", flags: int, data: "str | None" = None) -> Call:
    return prepare("mount", _bytes(source), _bytes(target), _bytes(kind), flags, _bytes(data))


def umount(target: str) -> Call:
    return prepare("umount2", _bytes(target), MNT_DETACH)


def move_mount(tree: int, target: str) -> Call:
    """Attach a detached mount at `target`."""
    return prepare("move_mount", tree, b"", AT_FDCWD, _bytes(target), MOVE_MOUNT_F_EMPTY_PATH)


def open_path(path: str, flags: int) -> Call:
    """Open a file. The caller knows which number is the lowest free one, since that is what it gets."""
    return prepare("openat", AT_FDCWD, _bytes(path), flags)


def write(fd: int, data: bytes) -> Call:
    return prepare("write", fd, data, len(data))


def close(fd: int) -> Call:
    return prepare("close", fd)


def close_range(first: int, last: int) -> Call:
    """Close every descriptor from `first` to `last`, both included. os.closerange may make a call for each."""
    return prepare("close_range", first, last, 0)


def prctl(option: int, value: int = 0, third: int = 0) -> Call:
    return prepare("prctl", option, value, third, 0, 0)


def set_process_name(name: str) -> Call:
    """Set the name that `ps` shows, at most 15 bytes."""
    return prepare("prctl", PR_SET_NAME, _bytes(name), 0, 0, 0)


def capset_none() -> Call:
    """Give up every effective, permitted and inheritable capability of the calling thread."""
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    return prepare("capset", header, bytes(24))


def seccomp_load(program: bytes) -> Call:
    """Load a compiled filter (an array of 8 byte BPF instructions) for the calling thread."""
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_ = SeccompProgram(len(program) // 8, ctypes.addressof(buffer))
    call = prepare("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0)
    filter_.keep = buffer  # the structure holds only its address
    return call


def prlimit(kind: int, soft: int, hard: int) -> Call:
    """Set both limits of the calling process."""
    return prepare("prlimit64", 0, kind, struct.pack("=QQ", soft, hard), None)


def landlock_ruleset(handled_fs: int, handled_net: int, scoped: int, size: int) -> Call:
    """Create a ruleset; `size` is 8, 16 or 24: how much of the structure this kernel's version knows."""
    attributes = struct.pack("=QQQ", handled_fs, handled_net, scoped)[:size]
    return prepare("landlock_create_ruleset", attributes, size, 0)


def landlock_allow(ruleset: int, rights: int, beneath: int) -> Call:
    """Allow `rights` on the file hierarchy below the O_PATH descriptor `beneath`."""
    return prepare("landlock_add_rule", ruleset, 1, struct.pack("=Qi", rights, beneath), 0)


def landlock_restrict(ruleset: int) -> Call:
    return prepare("landlock_restrict_self", ruleset, 0)


# --- made at once ---------------------------------------------------------------------------------------------------


def do(call: Call, what: str) -> int:
    """Make a prepared call now. Raises OSError, which says `what` was tried."""
    result = call()
    if result < 0:
        number = errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def setns(fd: int, flags: int) -> None:
    make("setns", fd, flags, what=f"setns({namespace_names(flags)})")


def unshare_now(flags: int) -> None:
    do(unshare(flags), f"unshare({namespace_names(flags)})")


def mount_now(source: "str | None", target: str, kind: "str | None", flags: int, data: "str | None" = None) -> None:
    do(mount(source, target, kind, flags, data), f"mount {kind or source or ''} on {target}")


def pivot_root(new: str, old: str) -> None:
    make("pivot_root", _bytes(new), _bytes(old))


def open_tree(path: str) -> int:
    """Clone the mount at `path` with all mounts below it; return a descriptor of the detached copy."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE
    return make("open_tree", AT_FDCWD, _bytes(path), flags, what=f"open_tree {path}")


def mount_setattr(tree: int, attributes: int) -> None:
    """Set attributes on a detached mount and on every mount below it (a plain remount changes the top one only)."""
    _mount_setattr(tree, struct.pack("=QQQQ", attributes, 0, 0, 0))


def mount_idmap(tree: int, user_namespace: int) -> None:
    """Show a detached mount, and every mount below it, with the ids of its files mapped as `user_namespace` says."""
    _mount_setattr(tree, struct.pack("=QQQQ", MOUNT_ATTR_IDMAP, 0, 0, user_namespace))


def _mount_setattr(tree: int, arguments: bytes) -> None:
    make("mount_setattr", tree, b"", AT_EMPTY_PATH | AT_RECURSIVE, arguments, len(arguments))


def landlock_abi() -> int:
    """Return the Landlock version of this kernel (1 to ...). Raises `OSError` if there is none."""
    return make("landlock_create_ruleset", None, 0, 1)


def namespace_names(flags: int) -> str:
    names = {
        CLONE_NEWUSER: "user",
        CLONE_NEWPID: "pid",
        CLONE_NEWNS: "mount",
        CLONE_NEWNET: "network",
        CLONE_NEWIPC: "ipc",
        CLONE_NEWUTS: "uts",
    }
    return "+".join(name for flag, name in names.items() if flags & flag)
