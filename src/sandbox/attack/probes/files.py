"""The host's files, devices and settings, and those of other sandboxes."""

from __future__ import annotations

import os
import sys
from typing import Any

from sandbox.attack.probe import BARE, LANDLOCK, NAMESPACES, NO_ISOLATION, Control, Of, Probe, by, off

_HIDDEN = by("read_only_view", "ENOENT")
_CLOSED = by("landlock", "EACCES")
_HARMLESS = [[1, 3], [1, 5], [1, 7], [1, 8], [1, 9], [5, 2]]  # null, zero, full, random, urandom, ptmx
_SYSTEM = [
    "/etc/passwd", "/etc/ld.so.cache", "/usr/bin/env", "/bin/sh", os.path.realpath(sys.executable), os.__file__,
]  # fmt: skip
_SETTINGS = [
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/overcommit_memory",
    "/proc/sys/fs/binfmt_misc/register", "/proc/sys/net/ipv4/ip_forward",
]  # fmt: skip
_SYSFS = [
    "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/memory/release_agent",
]  # fmt: skip
_SYSRQ = "/proc/sysrq-trigger"
_KERNEL = ["/proc/kallsyms", "/proc/keys", "/proc/cmdline", "/proc/modules", "/proc/config.gz", "/proc/interrupts"]


def _of_host(name: str, goal: str, attack: str, *arguments: Any, control: Control | None = None) -> Probe:
    """A probe for a file that the view hides, and that Landlock closes where there is no view."""
    return Probe(
        name, goal, attack, arguments,
        stops={NAMESPACES: _HIDDEN, LANDLOCK: _CLOSED},
        controls={NAMESPACES: (NO_ISOLATION,), LANDLOCK: (control or off("landlock"),)},
    )  # fmt: skip


def _to_write(name: str, goal: str, paths: list[str], needs: str = "") -> Probe:
    """A probe that opens files for writing which on the host take root's rights."""
    return Probe(
        name, goal, "openable", (paths,),
        stops={
            NAMESPACES: {**_CLOSED, **by("read_only_view", "EROFS", "ENOENT")},
            LANDLOCK: {**_CLOSED, "ENOENT": "not there"},
        },
        controls={NAMESPACES: (), LANDLOCK: ()},
        root_control=NO_ISOLATION, needs=needs,
    )  # fmt: skip


PROBES: tuple[Probe, ...] = (
    _of_host("read", "read a file of the host", "read", Of("secret")),
    _of_host("read-by-root", "the same, by /proc/self/root", "read", Of("secret", "/proc/self/root{}")),
    _of_host("read-by-steps", "the same, by ../../..", "read_by_steps", Of("secret")),
    _of_host("read-by-link", "the same, by a link in the workspace", "follow_link_to", Of("secret")),
    _of_host("read-by-descriptor", "the same, by a descriptor", "read_by_descriptor_of_parent", Of("secret")),
    _of_host("read-by-process", "the same, by /proc/PID/root", "read", Of("secret of process"), control=BARE),
    _of_host("list", "list a directory of the host", "names", Of("place")),
    Probe(
        "watch", "learn which files the host uses", "watch", (Of("place"),),
        stops={NAMESPACES: _HIDDEN, LANDLOCK: by("seccomp.watches", "EACCES")},
        controls={NAMESPACES: (NO_ISOLATION,), LANDLOCK: (off("seccomp.watches"),)},
    ),
    _of_host("make-file", "make a file on the host", "create", Of("place", "{}/made")),
    _of_host("write", "write to a file of the host", "write", Of("secret")),
    _of_host("run-program", "run a program of the host", "run_program", Of("program")),
    Probe(
        "change-mode", "change the mode of a file of the host", "mode_changed", (Of("secret"),),
        stops={NAMESPACES: _HIDDEN, LANDLOCK: by("seccomp.file_modes", "nothing")},
        controls={
            NAMESPACES: (NO_ISOLATION,),
            LANDLOCK: (off("seccomp.file_modes"), off("seccomp.file_modes", "own_uid", "capabilities", "landlock")),
        },
    ),
    Probe(
        "change-owner", "give a file of the host away", "own", (Of("secret"),),
        stops={NAMESPACES: _HIDDEN, LANDLOCK: by("seccomp.file_owners", "ENOTSUP", "EOPNOTSUPP")},
        controls={
            NAMESPACES: (NO_ISOLATION,),
            LANDLOCK: (off("seccomp.file_owners"), off("seccomp.file_owners", "own_uid", "capabilities", "landlock")),
        },
    ),
    _to_write("write-system", "write to the system or the interpreter", _SYSTEM),
    _to_write("kernel-settings", "change settings of the kernel", _SETTINGS),
    _to_write("sysfs", "write to /sys and to control groups", _SYSFS),
    _to_write("sysrq", "restart the machine by sysrq-trigger", [_SYSRQ], needs=_SYSRQ),
    Probe(
        "kernel-secrets", "read the kernel's symbols and keys", "readable", (_KERNEL,),
        stops={NAMESPACES: by("proc_view", "nothing"), LANDLOCK: _CLOSED},
        controls={NAMESPACES: (off("proc_view"),), LANDLOCK: (off("landlock"),)},
    ),
    Probe(
        "devices", "see disks, terminals and other devices", "risky_devices", (_HARMLESS,),
        stops={NAMESPACES: by("private_dev", "nothing"), LANDLOCK: by("landlock", "nothing")},
        controls={NAMESPACES: (NO_ISOLATION,), LANDLOCK: (off("landlock"),)},
    ),
    Probe(
        "make-device", "make a device that is the memory", "make_device", ("device",),
        stops={
            level: {**by("landlock", "EACCES"), **by("capabilities", "EPERM")} for level in (NAMESPACES, LANDLOCK)
        },
        controls={NAMESPACES: (), LANDLOCK: ()}, root_control=NO_ISOLATION,
    ),
    Probe(
        "unkillable", "have others ended when memory is short", "write", ("/proc/self/oom_score_adj", "500"),
        stops={NAMESPACES: _CLOSED, LANDLOCK: _CLOSED},
        controls={NAMESPACES: (off("landlock"),), LANDLOCK: (off("landlock"), BARE)},
    ),
    Probe(
        "other-workspace", "see the workspace of another sandbox", "exists", (Of("neighbour directory"),),
        stops={NAMESPACES: by("mount_namespace", "ENOENT")}, controls={NAMESPACES: (off("mount_namespace"),)},
    ),
    Probe(
        "other-files", "read the files of another sandbox", "read", (Of("neighbour file"),),
        stops={NAMESPACES: _HIDDEN, LANDLOCK: _CLOSED}, controls={NAMESPACES: (NO_ISOLATION,), LANDLOCK: (BARE,)},
    ),
    Probe(
        "other-tmp", "read another sandbox's files in /tmp", "read", (Of("neighbour temporary"),),
        stops={NAMESPACES: by("private_tmp", "ENOENT"), LANDLOCK: _CLOSED},
        controls={
            NAMESPACES: (off("private_tmp", "own_uid", "user_namespace", "capabilities"),), LANDLOCK: (BARE,),
        },
    ),
)  # fmt: skip
