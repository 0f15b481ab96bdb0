"""System calls that reach far into the kernel. Each is made with arguments that are wrong, so that it does nothing.

A refused call answers with the filter's error; one that gets past the filter, with what the kernel says to such
arguments. Several are refused by the kernel too, for want of a right and with the same error: then the second control
switches that off as well, and where only the host's root would get further, the last runs as that, without isolation.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from sandbox.attack.probe import LANDLOCK, NAMESPACES, NO_ISOLATION, Calls, Probe, anywhere, at, by, off
from sandbox.inside.contain.policy import REFUSALS

WRONG = (-1, -1, -1, -1, -1, -1)
# Where -1 everywhere would do something, or would not get far enough.
ARGUMENTS: dict[str, tuple[int, ...]] = {
    "fanotify_init": (0x40000200, 0),  # FAN_REPORT_FID, which needs no right, and an unknown flag
    "init_module": (-1, 1, -1),
    "syslog": (3, 0, -1),
    "prlimit64": (0, 4, -1, 0),
    "setrlimit": (4, -1),
    "shmget": (0x5EC7E57, 1, 0),
    "msgget": (0x5EC7E57, 0),
    "userfaultfd": (0,),
    "sched_setaffinity": (0, 8, -1),
    "memfd_create": (-1, 0xFFFF),
    "memfd_secret": (0xFFFF,),
    "pidfd_send_signal": (-1, 0, 0, 0),
}
CAPABLE = ("capabilities", "user_namespace", "own_uid", "landlock")
# What would take effect where it got through: nobody's terminal is hung up to try it.
NOT_TRIED = {"vhangup"}
_NO_KIND = 15  # a kind of socket that no family has
_HIGH = 1 << 32  # the kernel takes 32 bits of most arguments, so a higher bit must not hide a value from the filter
_NEW_NAMESPACES = [1 << bit for bit in (17, 25, 26, 27, 28, 29, 30)]
_SIGHAND_WITHOUT_VM = 0x800  # what the kernel answers with EINVAL, so that no process is started
_TIOCSTI, _TIOCLINUX, _TIOCSETD, _F_SETLEASE = 0x5412, 0x541C, 0x5423, 1024
_INET, _STREAM = int(socket.AF_INET), int(socket.SOCK_STREAM)
_RARE = [family for family in range(46) if family not in {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6}]
_ROWS = {row.name: row for row in REFUSALS}


def _reaching(name: str, goal: str, row: str, calls: list[tuple[Any, ...]]) -> Probe:
    """A probe that makes calls, each a label, a name and arguments, and is stopped by a row of the policy."""
    answer = errno.errorcode[_ROWS[row].error]
    return Probe(
        name, goal, "reaching", (Calls(tuple(calls)), [answer]),
        stops=at(by(f"seccomp.{row}", answer)),
        controls={
            NAMESPACES: (off(f"seccomp.{row}"), off(f"seccomp.{row}", *CAPABLE)),
            LANDLOCK: (off(f"seccomp.{row}"),),
        },
        root_control=NO_ISOLATION,
    )  # fmt: skip


def _of_row(name: str, goal: str, row: str, *only: str) -> Probe:
    """A probe that makes every call of a row of the policy, or only some of them."""
    calls = [call for call in only or _ROWS[row].calls if call not in NOT_TRIED]
    return _reaching(name, goal, row, [(call, call, *ARGUMENTS.get(call, WRONG)) for call in calls])


def _socket(
    name: str, goal: str, families: list[int], row: str = "sockets", protocols: tuple[int, ...] = (0,)
) -> Probe:
    """A probe that makes sockets of families or protocols. At level landlock no sockets are made at all."""
    calls = [
        (f"{family}.{protocol}{note}", "socket", family | high, _NO_KIND, protocol)
        for family in families for protocol in protocols for high, note in ((0, ""), (_HIGH, " disguised"))
    ]  # fmt: skip
    refused = errno.errorcode[_ROWS[row].error]
    return Probe(
        name, goal, "reaching", (Calls(tuple(calls)), [refused, "EACCES"]),
        stops={NAMESPACES: by(f"seccomp.{row}", refused), LANDLOCK: by("seccomp.all_sockets", "EACCES")},
        controls={
            NAMESPACES: (off(f"seccomp.{row}"),),
            LANDLOCK: (off("seccomp.all_sockets", "seccomp.unix_sockets", f"seccomp.{row}"),),
        },
    )  # fmt: skip


def _ioctl(request: int) -> tuple[Any, ...]:
    return f"{request:#x}", "ioctl", -1, request, 0


_CLONES = [(f"clone {flag:#x}", "clone", flag | _SIGHAND_WITHOUT_VM, 0, 0, 0, 0) for flag in _NEW_NAMESPACES]

PROBES: tuple[Probe, ...] = (
    _of_row("mount", "mount something, change the root", "mounts"),
    _of_row("new-namespace", "make or enter a namespace", "namespaces"),
    _reaching("clone-namespace", "start a process in a new namespace", "clone_namespaces", _CLONES),
    _of_row("clone3", "clone by flags that no filter sees", "clone3"),
    _of_row("ptrace", "trace a process", "ptrace", "ptrace", "kcmp"),
    _of_row("process-memory", "read another process's memory", "ptrace", "process_vm_readv", "process_vm_writev"),
    _of_row("steal-descriptor", "take another process's open files", "ptrace", "pidfd_getfd"),
    _of_row("bpf", "load a program into the kernel", "bpf"),
    _of_row("perf", "open performance counters", "perf"),
    _of_row("keyring", "read the host's keyrings", "keys"),
    _of_row("io-uring", "have calls made behind the filter", "io_uring"),
    _of_row("kexec", "replace or restart the kernel", "kexec"),
    _of_row("module", "load or remove a kernel module", "modules"),
    _of_row("clock", "set the clock", "clock"),
    _of_row("host-name", "change the host's name", "host_name"),
    _of_row("file-handle", "open a file by its handle", "administration", "open_by_handle_at"),
    _of_row("watch-mounts", "watch or hold up access to files", "administration", "fanotify_init"),
    _of_row("kernel-log", "read the kernel's log", "administration", "syslog"),
    _of_row("administer", "other calls for running a machine", "administration"),
    _of_row("quota", "read or set disk quotas", "quotas"),
    _of_row("personality", "switch address randomisation off", "personality"),
    _reaching("userfaultfd", "hold up the kernel's page faults", "userfaultfd", [("any", "userfaultfd", 0)]),
    _socket("af-alg", "reach the kernel's ciphers (AF_ALG)", [38]),
    _socket("af-vsock", "reach the hypervisor (AF_VSOCK)", [40]),
    _socket("af-netlink", "reach the network set-up (AF_NETLINK)", [16]),
    _socket("af-packet", "read raw packets (AF_PACKET)", [17]),
    _socket("rare-sockets", "use any other family of sockets", _RARE),
    _socket("rare-protocols", "load rare protocols, such as SCTP", [_INET], "protocols", (33, 115, 132, 136, 256)),
    Probe(
        "raw-socket", "open a raw socket", "socket_of", (_INET, int(socket.SOCK_RAW), 1),
        stops={NAMESPACES: by("capabilities", "EPERM"), LANDLOCK: by("seccomp.all_sockets", "EACCES")},
        controls={NAMESPACES: (off("capabilities"), off(*CAPABLE)), LANDLOCK: ()},
        root_control=NO_ISOLATION,
    ),
    _reaching(
        "tiocsti", "type into the terminal that started it", "tiocsti",
        [_ioctl(request | high) for request in (_TIOCSTI, _TIOCLINUX) for high in (0, _HIGH)],
    ),
    _reaching(
        "line-discipline", "load a driver for a terminal", "line_disciplines",
        [_ioctl(_TIOCSETD | high) for high in (0, _HIGH)],
    ),
    _reaching("lease", "hold up who opens a file (F_SETLEASE)", "leases", [("lease", "fcntl", -1, _F_SETLEASE, 1)]),
    Probe(
        "crash-handler", "have the host's crash handler started", "set_core_limit", (0,),
        stops=at(by("seccomp.core_limit", "EPERM")), controls=anywhere(off("seccomp.core_limit")),
    ),
    Probe(
        "x32-calls", "make calls by other numbers (x32)", "by_another_convention", ("call", 39 | 0x40000000),
        stops=at(by("seccomp", "SIGSYS")), controls=anywhere(off("seccomp")), needs="x86_64",
    ),
    Probe(
        "i386-calls", "make calls by other numbers (32 bit)", "by_another_convention", ("call_as_i386", 20),
        stops=at({"SIGSYS": "seccomp", "SIGSEGV": "kernel"}), controls=anywhere(off("seccomp")), needs="x86_64",
    ),
)  # fmt: skip
