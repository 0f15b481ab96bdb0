"""The host's processes and their secrets, and rights that a worker does not have."""

from __future__ import annotations

from sandbox.attack.probe import (
    BARE,
    LANDLOCK,
    NAMESPACES,
    NO_ISOLATION,
    PLAIN,
    Of,
    Probe,
    anywhere,
    at,
    by,
    off,
)

_ABSENT = by("pid_namespace", "ESRCH")
_UNSEEN = by("proc_view", "ENOENT")
_CLOSED = by("landlock", "EACCES")
_SIGNALS = off("landlock", "own_uid", "capabilities", "seccomp.signals")

PROBES: tuple[Probe, ...] = (
    Probe(
        "signal", "signal a process of the host", "can_signal", (Of("process"),),
        stops={NAMESPACES: _ABSENT, LANDLOCK: by("landlock", "EPERM")},
        controls={NAMESPACES: (NO_ISOLATION,), LANDLOCK: (off("landlock"), _SIGNALS)},
    ),
    Probe(
        "environ-of-process", "read a process's environment", "read", (Of("process", "/proc/{}/environ"),),
        stops={NAMESPACES: _UNSEEN, LANDLOCK: _CLOSED},
        controls={NAMESPACES: (NO_ISOLATION,), LANDLOCK: (BARE,)},
    ),
    Probe(
        "memory-of-process", "open a process's memory", "open_memory", (Of("process", "/proc/{}/mem"),),
        stops={NAMESPACES: _UNSEEN, LANDLOCK: _CLOSED},
        controls={NAMESPACES: (), LANDLOCK: ()}, root_control=NO_ISOLATION,
    ),
    Probe(
        "program-of-process", "learn which program a process runs", "read_link", (Of("process", "/proc/{}/exe"),),
        stops={NAMESPACES: _UNSEEN, LANDLOCK: _CLOSED},
        controls={NAMESPACES: (NO_ISOLATION,), LANDLOCK: (BARE,)},
    ),
    Probe(
        "processes", "see processes but its own", "pids_of_others",
        stops={NAMESPACES: by("proc_view", "nothing"), LANDLOCK: _CLOSED},
        controls={NAMESPACES: (off("proc_view"),), LANDLOCK: (off("landlock"),)},
    ),
    Probe(
        "cpus-of-process", "move a process to other cpus", "change_affinity", (Of("process"),),
        stops={
            NAMESPACES: {**_ABSENT, **by("seccomp.cpu_affinity", "EPERM")},
            LANDLOCK: by("seccomp.other_processes", "EPERM"),
        },
        controls={
            NAMESPACES: (NO_ISOLATION,),
            LANDLOCK: (off("seccomp.other_processes"), off("seccomp.other_processes", "own_uid", "capabilities")),
        },
    ),
    Probe(
        "priority-of-process", "slow a process down", "take_priority_from", (Of("process"),),
        stops={NAMESPACES: _ABSENT, LANDLOCK: by("seccomp.priorities", "EPERM")},
        controls={
            NAMESPACES: (NO_ISOLATION,),
            LANDLOCK: (off("seccomp.priorities"), off("seccomp.priorities", "own_uid", "capabilities")),
        },
    ),
    Probe(
        "shared-memory", "read shared memory of the host", "shared_memory", (Of("shared_memory"),),
        stops={NAMESPACES: by("ipc_namespace", "EINVAL", "EIDRM"), LANDLOCK: by("seccomp.sysv_ipc", "EPERM")},
        controls={NAMESPACES: (off("ipc_namespace"),), LANDLOCK: (off("seccomp.sysv_ipc"),)},
        needs="shared_memory",
    ),
    Probe(
        "name-of-host", "learn the host's name", "name_of_the_host", ("sandbox",),
        stops={NAMESPACES: by("uts_namespace", "nothing")}, controls={NAMESPACES: (NO_ISOLATION,)},
    ),
    Probe(
        "use-up-inotify", "use up what is few for a user", "more_inotify_instances", (16,),
        stops={NAMESPACES: by("user_limits", "EMFILE"), LANDLOCK: by("seccomp.watches", "EACCES")},
        controls={NAMESPACES: (off("user_limits"),), LANDLOCK: (off("seccomp.watches"),)},
    ),
    Probe(
        "become-root", "become root", "can_become", (0,),
        stops={NAMESPACES: by("user_namespace", "EINVAL"), LANDLOCK: by("capabilities", "EPERM")},
        controls={NAMESPACES: (off("user_namespace", "capabilities", "own_uid"),), LANDLOCK: ()},
        root_control=NO_ISOLATION,
    ),
    Probe(
        "rights", "have any administrator's right", "rights_held",
        stops=at(by("capabilities", "nothing")),
        controls={NAMESPACES: (off("capabilities"),), LANDLOCK: ()}, root_control=NO_ISOLATION,
    ),
    Probe(
        "secure-bits", "use such a right (PR_SET_SECUREBITS)", "set_secure_bits",
        stops=at(by("capabilities", "EPERM")),
        controls={NAMESPACES: (off("capabilities"),), LANDLOCK: ()}, root_control=NO_ISOLATION,
    ),
    Probe(
        "gain-rights", "gain rights by a program, as sudo", "can_gain_rights",
        stops=at(by("no_new_privs", "nothing")), controls=anywhere(off("no_new_privs", "seccomp", "landlock")),
    ),
    Probe(
        "environment", "read the host's environment variables", "variable", (Of("variable"),),
        stops=at(by("environment", "nothing")), controls=anywhere(PLAIN),
    ),
    Probe(
        "secrets-in-memory", "find the host's secrets in memory", "memory_with", (Of("disguised"),),
        stops=at(by("environment", "nothing")), controls=anywhere(PLAIN),
    ),
    Probe(
        "descriptors", "use files that the host has open", "inherited",
        stops=at(by("descriptors", "nothing")), controls=anywhere(PLAIN),
    ),
)  # fmt: skip
