"""System calls that are refused in addition where something else is missing: namespaces, control groups, Landlock 6."""

import errno

from .restriction import ALL_BITS, LANDLOCK, NAMESPACES, WORKER, Refusal, When, any_bit, any_of, proof

_AF_UNIX, _STREAM, _SEQPACKET = 1, 1, 5
# FS_IOC_SETFLAGS and its 32 bit form, FS_IOC_FSSETXATTR, FS_IOC_SETVERSION, FS_IOC_ENABLE_VERITY
_FILE_FLAGS = (0x40086602, 0x40046602, 0x401C5820, 0x40087602, 0x40806685)
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _FIOSETOWN, _SIOCSPGRP = 8, 10, 15, 0x8901, 0x8902

WITHOUT_NAMESPACES: tuple[Refusal, ...] = (
    Refusal(
        "all_sockets",
        ("socket",),
        because="there is no network namespace, and Landlock lets a unix socket such as Docker's be connected to",
        breaks="every socket but socketpair: web apps, multiprocessing managers; not in force with network='host'",
        proof=proof("test_a_landlock_worker_has_no_sockets"),
        error=errno.EACCES,
        stage=WORKER,
        levels=(LANDLOCK,),
    ),
    Refusal(
        "unix_sockets",
        ("socket",),
        because="with network='host' too, a unix socket such as Docker's must not be connected to",
        breaks="unix sockets but socketpair: multiprocessing managers",
        proof=proof("test_a_landlock_worker_with_the_host_s_network_has_no_unix_sockets"),
        error=errno.EACCES,
        stage=WORKER,
        when=any_of(When(0, ALL_BITS, _AF_UNIX)),
        levels=(LANDLOCK,),
    ),
    Refusal(
        "datagram_pairs",
        ("socketpair",),
        because="one end of a datagram pair can send to any unix socket, such as the system log's or systemd's",
        breaks="socketpair with SOCK_DGRAM or SOCK_RAW; SOCK_STREAM and SOCK_SEQPACKET work",
        proof=proof("test_a_landlock_worker_cannot_send_to_a_socket_of_the_host"),
        error=errno.EACCES,
        stage=WORKER,
        when=any_of(*(When(1, 0xF, kind) for kind in range(16) if kind not in {_STREAM, _SEQPACKET})),
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
        proof=proof("test_a_landlock_worker_has_no_system_v_ipc"),
        levels=(LANDLOCK,),
    ),
    Refusal(
        "other_processes",
        ("prlimit64", "sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity"),
        because="there is no pid namespace: a process of the same user could be slowed down or starved",
        breaks="changing limits or scheduling of a process other than the caller",
        proof=proof("test_a_landlock_worker_cannot_change_another_process"),
        stage=WORKER,
        when=any_bit(0),
        levels=(LANDLOCK,),
    ),
    Refusal(
        "priorities",
        ("setpriority", "ioprio_set"),
        because="they reach every process of the user",
        breaks="nice inside the sandbox",
        proof=proof("test_a_landlock_worker_cannot_change_priorities"),
        stage=WORKER,
        levels=(LANDLOCK,),
    ),
    Refusal(
        "file_modes",
        ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "utimensat", "futimesat"),
        because="Landlock does not cover modes and times: they would change on any file of the user",
        breaks="modes and times stay as they are; the calls report success so that copying files works",
        proof=proof("test_a_landlock_worker_cannot_change_modes"),
        error=0,
        stage=WORKER,
        levels=(LANDLOCK,),
    ),
    Refusal(
        "file_flags",
        ("ioctl",),
        because="Landlock does not cover a file's flags: who may read it may set them, or seal it for ever",
        breaks="chattr, fs-verity",
        proof=proof("test_a_landlock_worker_cannot_change_file_flags"),
        error=errno.ENOTSUP,
        stage=WORKER,
        when=any_of(*(When(1, ALL_BITS, request) for request in _FILE_FLAGS)),
        levels=(LANDLOCK,),
    ),
    Refusal(
        "watches",
        ("inotify_add_watch", "inotify_init", "inotify_init1"),
        because="Landlock does not cover watching: the names of all files that other programs use could be learned",
        breaks="watching files: reloading servers, tail -f (which then polls)",
        proof=proof("test_a_landlock_worker_cannot_watch_directories"),
        error=errno.EACCES,
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
            "setxattrat",
            "removexattr",
            "lremovexattr",
            "fremovexattr",
            "removexattrat",
            "file_setattr",
        ),
        because="Landlock does not cover owners and extended attributes",
        breaks="changing them",
        proof=proof("test_a_landlock_worker_cannot_change_owners"),
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
    proof=proof("test_a_landlock_worker_cannot_signal_the_host"),
    stage=WORKER,
    levels=(LANDLOCK,),
)

# The kernel sends SIGIO, or any other signal, to the owner that was set for a descriptor.
SIGNAL_OWNERS = Refusal(
    "signal_owners",
    ("fcntl", "ioctl"),
    because="naming another process as a descriptor's owner has the kernel signal it",
    breaks="input and output by signals (O_ASYNC)",
    proof=proof("test_a_landlock_worker_cannot_have_the_kernel_signal_the_host"),
    stage=WORKER,
    when=any_of(
        *(When(1, ALL_BITS, request) for request in (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _FIOSETOWN, _SIOCSPGRP))
    ),
    levels=(LANDLOCK,),
)

WITHOUT_CGROUPS: tuple[Refusal, ...] = (
    Refusal(
        "uncounted_memory",
        ("memfd_create", "memfd_secret"),
        because="without a control group, memory that is mapped into no process is counted by nobody",
        breaks="files in memory without a name; those in /tmp and /dev/shm work",
        proof=proof("test_files_in_memory_that_nobody_counts_are_refused"),
        error=errno.ENOSYS,
        stage=WORKER,
        without_cgroups=True,
    ),
    Refusal(
        "uncounted_shared_memory",
        ("shmget",),
        because="without a control group, memory that is mapped into no process is counted by nobody",
        breaks="System V shared memory; POSIX shared memory in /dev/shm works",
        proof=proof("test_shared_memory_that_nobody_counts_is_refused"),
        error=errno.ENOSYS,
        stage=WORKER,
        levels=(NAMESPACES,),
        without_cgroups=True,
    ),
    Refusal(
        "cpu_affinity",
        ("sched_setaffinity",),
        because="without a control group, what limits cpu time is the cpus that a worker is kept on",
        breaks="taskset, binding threads to cpus",
        proof=proof("test_a_worker_cannot_leave_its_cpus"),
        stage=WORKER,
        without_cgroups=True,
    ),
)
