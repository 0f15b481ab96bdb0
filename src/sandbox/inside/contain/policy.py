"""The policy as plain data. The host reads this file too: it compiles the refusals below into seccomp filters.

A refusal names system calls, why they are refused, what a program notices, and the test that attacks it. A filter
is compiled from them in two parts, because seccomp is inherited and the first part then costs a worker nothing:

* `ZYGOTE`: loaded once by the zygote, before it imports a single package. What nobody in a sandbox ever needs.
  A call that the compiler's table does not know gets ENOSYS, so a newer kernel does not open anything by itself.
* `WORKER`: loaded by each worker as its last step. What the zygote itself still needed (namespaces and mounts),
  and the rules that look at arguments.

Sources: the default profiles of Docker (moby/profiles/seccomp), bubblewrap's users and systemd (SystemCallFilter).
"""

import errno
from typing import NamedTuple

NAMESPACES = "namespaces"
LANDLOCK = "landlock"
NONE = "none"
LEVELS = (NAMESPACES, LANDLOCK)

INSIDE_UID = 1000
WORKSPACE = "/workspace"

ZYGOTE, WORKER = "zygote", "worker"

_CLONE_NAMESPACES = 0x7E020000  # CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
_ALL_BITS = 0xFFFFFFFF


class Restriction(NamedTuple):
    """One thing that is taken from a worker. `proof` names the test that attacks it, with a control."""

    name: str
    because: str
    breaks: str
    proof: str
    levels: tuple[str, ...] = LEVELS


class When(NamedTuple):
    """A condition on one argument, on its low 32 bits: `argument & mask` compared with `value`."""

    argument: int
    mask: int
    value: int


class Refusal(NamedTuple):
    """A group of system calls that get `error`. With `when`, only calls for which one of the conditions holds."""

    name: str
    calls: tuple[str, ...]
    because: str
    breaks: str
    proof: str
    error: int = errno.EPERM
    stage: str = ZYGOTE
    when: tuple[When, ...] = ()
    levels: tuple[str, ...] = LEVELS

    @property
    def restriction(self) -> Restriction:
        return Restriction(f"seccomp.{self.name}", self.because, self.breaks, self.proof, self.levels)


def _proof(test: str) -> str:
    return f"tests/security/test_seccomp.py::{test}"


REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "mounts",
        (
            "mount",
            "umount",
            "umount2",
            "pivot_root",
            "chroot",
            "move_mount",
            "open_tree",
            "fsopen",
            "fsconfig",
            "fsmount",
            "fspick",
            "mount_setattr",
        ),
        because="a mount could show a part of the host again, or hide what the view made read-only",
        breaks="mount, umount and chroot inside the sandbox",
        proof=_proof("test_a_worker_cannot_mount"),
        stage=WORKER,
    ),
    Refusal(
        "namespaces",
        ("unshare", "setns"),
        because="a new user namespace would give every capability back, over a larger part of the kernel",
        breaks="nested sandboxes: bwrap, unshare, Chromium's own sandbox",
        proof=_proof("test_a_worker_cannot_make_a_namespace"),
        stage=WORKER,
    ),
    Refusal(
        "clone_namespaces",
        ("clone",),
        because="clone makes namespaces as unshare does",
        breaks="nested sandboxes",
        proof=_proof("test_a_worker_cannot_clone_into_a_namespace"),
        stage=WORKER,
        when=tuple(When(0, 1 << bit, 1 << bit) for bit in range(32) if 1 << bit & _CLONE_NAMESPACES),
    ),
    Refusal(
        "clone3",
        ("clone3",),
        because="its flags are behind a pointer, where a filter cannot look; the C library falls back to clone",
        breaks="nothing known",
        proof=_proof("test_clone3_is_unknown"),
        error=errno.ENOSYS,
        stage=WORKER,
    ),
    Refusal(
        "ptrace",
        ("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise"),
        because="reading or writing another process; ptrace has also been a way around seccomp",
        breaks="gdb, strace, py-spy inside the sandbox",
        proof=_proof("test_a_worker_cannot_trace"),
    ),
    Refusal(
        "bpf",
        ("bpf",),
        because="programs loaded into the kernel, the source of many privilege escalations",
        breaks="bpf tools",
        proof=_proof("test_a_worker_cannot_load_bpf"),
    ),
    Refusal(
        "perf",
        ("perf_event_open",),
        because="a large kernel surface, and timing of other processes",
        breaks="perf, hardware counters",
        proof=_proof("test_a_worker_cannot_open_perf_events"),
    ),
    Refusal(
        "keys",
        ("add_key", "request_key", "keyctl"),
        because="keyrings belong to the user, not a namespace: they outlive the sandbox and show the host's keys",
        breaks="kernel keyrings",
        proof=_proof("test_a_worker_cannot_use_keyrings"),
    ),
    Refusal(
        "io_uring",
        ("io_uring_setup", "io_uring_enter", "io_uring_register"),
        because="ring operations run without passing through this filter",
        breaks="programs that use io_uring fall back to epoll",
        proof=_proof("test_a_worker_cannot_set_up_io_uring"),
        error=errno.ENOSYS,
    ),
    Refusal(
        "kexec",
        ("kexec_load", "kexec_file_load", "reboot"),
        because="they replace or stop the host's kernel",
        breaks="nothing",
        proof=_proof("test_a_worker_cannot_load_or_stop_a_kernel"),
    ),
    Refusal(
        "modules",
        ("init_module", "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms"),
        because="kernel modules are the kernel",
        breaks="nothing",
        proof=_proof("test_a_worker_cannot_load_modules"),
    ),
    Refusal(
        "clock",
        ("clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "settimeofday", "stime"),
        because="the clock is the whole host's",
        breaks="setting the time",
        proof=_proof("test_a_worker_cannot_set_the_clock"),
    ),
    Refusal(
        "host_name",
        ("sethostname", "setdomainname"),
        because="without a uts namespace of its own it would be the host's name",
        breaks="setting the host name",
        proof=_proof("test_a_worker_cannot_change_the_host_name"),
        stage=WORKER,
    ),
    Refusal(
        "administration",
        (
            "acct",
            "swapon",
            "swapoff",
            "nfsservctl",
            "vhangup",
            "syslog",
            "uselib",
            "ustat",
            "sysfs",
            "_sysctl",
            "lookup_dcookie",
            "iopl",
            "ioperm",
            "open_by_handle_at",
            "fanotify_init",
            "fanotify_mark",
            "move_pages",
            "migrate_pages",
            "modify_ldt",
        ),
        because="calls for running a machine, not a program; open_by_handle_at also leaves any directory view",
        breaks="system administration",
        proof=_proof("test_a_worker_cannot_administer"),
    ),
    Refusal(
        "quotas",
        ("quotactl", "quotactl_fd"),
        because="it reads and sets the disk quotas of the host's users",
        breaks="quota tools",
        proof=_proof("test_a_worker_cannot_use_quotas"),
    ),
    Refusal(
        "personality",
        ("personality",),
        because="old personalities switch off address randomisation and make readable memory executable",
        breaks="setarch, gdb's start without randomisation, AddressSanitizer",
        proof=_proof("test_a_worker_cannot_change_its_personality"),
    ),
    Refusal(
        "userfaultfd",
        ("userfaultfd",),
        because="catching faults of kernel code is used to win races in the kernel; user mode only is harmless",
        breaks="userfaultfd without UFFD_USER_MODE_ONLY",
        proof=_proof("test_userfaultfd_is_for_user_mode_only"),
        stage=WORKER,
        when=(When(0, 1, 0),),
    ),
    Refusal(
        "sockets",
        ("socket", "socketpair"),
        because="AF_ALG, AF_VSOCK, AF_PACKET, AF_NETLINK and rarer ones reach the kernel, hypervisor or network set-up",
        breaks="netlink tools (ip, ss), raw packets; AF_UNIX, AF_INET and AF_INET6 work",
        proof=_proof("test_a_worker_cannot_make_rare_sockets"),
        error=errno.EAFNOSUPPORT,
        stage=WORKER,
        # Families 1 (UNIX), 2 (INET) and 10 (INET6) stay. 0, 3-9 and 11-15, then everything that has a higher bit.
        when=(
            *(When(0, _ALL_BITS, family) for family in (0, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15)),
            *(When(0, 1 << bit, 1 << bit) for bit in range(4, 32)),
        ),
    ),
    Refusal(
        "tiocsti",
        ("ioctl",),
        because="TIOCSTI and TIOCLINUX type into the terminal that started the host",
        breaks="nothing known",
        proof=_proof("test_a_worker_cannot_type_into_a_terminal"),
        stage=WORKER,
        when=(When(1, _ALL_BITS, 0x5412), When(1, _ALL_BITS, 0x541C)),
    ),
    # From here on: only where no namespace separates the worker from the user's other processes.
    Refusal(
        "all_sockets",
        ("socket",),
        because="there is no network namespace, and Landlock lets a unix socket such as Docker's be connected to",
        breaks="every socket but socketpair: web apps, multiprocessing managers",
        proof=_proof("test_a_landlock_worker_has_no_sockets"),
        error=errno.EACCES,
        stage=WORKER,
        levels=(LANDLOCK,),
    ),
    Refusal(
        "sysv_ipc",
        (
            "shmget",
            "shmat",
            "shmctl",
            "shmdt",
            "semget",
            "semop",
            "semctl",
            "semtimedop",
            "msgget",
            "msgsnd",
            "msgrcv",
            "msgctl",
            "mq_open",
            "mq_unlink",
            "mq_timedsend",
            "mq_timedreceive",
            "mq_notify",
            "mq_getsetattr",
        ),
        because="there is no ipc namespace: these objects are shared with the user's other programs",
        breaks="System V and POSIX message queues, semaphores and shared memory",
        proof=_proof("test_a_landlock_worker_has_no_system_v_ipc"),
        levels=(LANDLOCK,),
    ),
    Refusal(
        "other_processes",
        ("prlimit64", "sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity"),
        because="there is no pid namespace: a process of the same user could be slowed down or starved",
        breaks="changing limits or scheduling of a process other than the caller",
        proof=_proof("test_a_landlock_worker_cannot_change_another_process"),
        stage=WORKER,
        when=tuple(When(0, 1 << bit, 1 << bit) for bit in range(32)),
        levels=(LANDLOCK,),
    ),
    Refusal(
        "priorities",
        ("setpriority", "ioprio_set"),
        because="they reach every process of the user",
        breaks="nice inside the sandbox",
        proof=_proof("test_a_landlock_worker_cannot_change_priorities"),
        stage=WORKER,
        levels=(LANDLOCK,),
    ),
    Refusal(
        "file_modes",
        ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "utimensat", "futimesat"),
        because="Landlock does not cover modes and times: they would change on any file of the user",
        breaks="modes and times stay as they are; the calls report success so that copying files works",
        proof=_proof("test_a_landlock_worker_cannot_change_modes"),
        error=0,
        stage=WORKER,
        levels=(LANDLOCK,),
    ),
    Refusal(
        "file_owners",
        (
            "chown",
            "fchown",
            "lchown",
            "fchownat",
            "setxattr",
            "lsetxattr",
            "fsetxattr",
            "removexattr",
            "lremovexattr",
            "fremovexattr",
        ),
        because="Landlock does not cover owners and extended attributes",
        breaks="changing them",
        proof=_proof("test_a_landlock_worker_cannot_change_owners"),
        error=errno.ENOTSUP,
        stage=WORKER,
        levels=(LANDLOCK,),
    ),
)

# Where Landlock cannot keep signals inside (before version 6, Linux 6.12), no signal leaves the process at all.
SIGNALS = Refusal(
    "signals",
    ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"),
    because="there is no pid namespace and this kernel's Landlock does not scope signals",
    breaks="signals: subprocesses cannot be killed, abort() ends as a crash of another kind",
    proof=_proof("test_a_landlock_worker_cannot_signal_the_host"),
    stage=WORKER,
    levels=(LANDLOCK,),
)


def refusals(level: str, stage: str, without: "frozenset[str]", landlock_abi: int = 99) -> "list[Refusal]":
    """Return what a filter of `stage` is made of at `level`, leaving out the restrictions named in `without`."""
    rows = (*REFUSALS, SIGNALS) if level == LANDLOCK and landlock_abi < 6 else REFUSALS
    return [row for row in rows if row.stage == stage and level in row.levels and f"seccomp.{row.name}" not in without]
