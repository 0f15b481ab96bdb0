"""Which levels of isolation this machine can give, and in which order they are tried."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import sys

from sandbox.engine.zygote import IsolationUnavailable
from sandbox.errors import SandboxStartError, UsageError
from sandbox.inside.contain.policy import LANDLOCK, LEVELS, NAMESPACES, REFUSALS, SIGNAL_OWNERS, SIGNALS

_SYS_LANDLOCK_CREATE_RULESET = 444  # the same on every architecture

# Alone, Landlock must keep files from being cut to nothing: version 3, Linux 6.2. Elsewhere mounts do that too.
LEAST_LANDLOCK = {NAMESPACES: 1, LANDLOCK: 3}

# In the order of confinement: the restriction, at which levels it belongs, and what it keeps code from.
LAYERS = (
    ("descriptors", LEVELS, "using files the host has open"),
    ("environment", LEVELS, "reading the host's environment"),
    ("pid_namespace", (NAMESPACES,), "seeing or signalling other processes"),
    ("read_only_view", (NAMESPACES,), "seeing files other than Python's"),
    ("cgroup", LEVELS, "exceeding its limits, all in all"),
    ("mount_namespace", (NAMESPACES,), "seeing another session's workspace"),
    ("ipc_namespace", (NAMESPACES,), "opening others' shared memory"),
    ("uts_namespace", (NAMESPACES,), "learning the host's name"),
    ("network_namespace", (NAMESPACES,), "reaching any network"),
    ("private_tmp", (NAMESPACES,), "seeing or filling the host's /tmp"),
    ("private_dev", (NAMESPACES,), "reaching devices"),
    ("proc_view", (NAMESPACES,), "reading the host's /proc"),
    ("own_uid", LEVELS, "being root or another user outside"),
    ("user_namespace", (NAMESPACES,), "owning the namespaces it is in"),
    ("user_limits", (NAMESPACES,), "using up what is few for a user"),
    ("capabilities", LEVELS, "using administrators' kernel code"),
    ("rlimits", LEVELS, "exceeding its limits, each process"),
    ("no_new_privs", LEVELS, "gaining rights, as with sudo"),
    ("landlock", LEVELS, "opening files it was not given"),
    ("seccomp", LEVELS, "calls that Python never makes"),
)
LEAST_OPEN_FILES = 256
MORE_OPEN_FILES = "raise the hard limit where this process is started, as with `ulimit -n 4096`"

_REMEDIES = {
    "user_namespace": (
        "unprivileged user namespaces are off. "
        "Ubuntu: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0; "
        "Debian: sudo sysctl -w kernel.unprivileged_userns_clone=1; "
        "others: sudo sysctl -w user.max_user_namespaces=10000. "
        "In Docker: --security-opt seccomp=unconfined, or a profile that allows unshare and mount"
    ),
    "mount_namespace": "a container's seccomp profile or AppArmor refuses mounting: allow mount and unshare",
    "read_only_view": "a mount was refused. In a container, --security-opt systempaths=unconfined frees /proc",
    "proc_view": "mounting /proc was refused. In a container: --security-opt systempaths=unconfined",
    "landlock": "it takes Linux 6.2 (5.13 where namespaces can be had) with landlock in the lsm= boot parameter",
    "seccomp": "the kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)",
    "cgroup": (
        "there is no control group that you may write to. systemd: systemd-run --user --scope -p Delegate=yes COMMAND. "
        "In Docker: --cgroupns=private -v /sys/fs/cgroup:/sys/fs/cgroup:rw. Until then limits are looser"
    ),
}
_NOT_ENTERED = (
    "the interpreter or the data directory lies below a directory that others may not enter, and without a mount "
    "namespace a sandbox has to: use an interpreter such as /usr/bin/python3, or a virtual environment made from it, "
    "and set SANDBOX_HOME to a directory such as /var/lib/sandbox"
)


def landlock_abi() -> int:
    """Return the kernel's version of Landlock, 0 if it has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    found: int = libc.syscall(_SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    return max(found, 0)


def known_remedy(restriction: str, number: int = 0) -> str:
    """What an operator can do about a restriction that is not to be had, or nothing; `number` is the errno if known."""
    if restriction == "landlock" and number == errno.EACCES:
        return _NOT_ENTERED
    return _REMEDIES.get(restriction, "")


def remedy(restriction: str, number: int = 0) -> str:
    """The same for an error message, which then names who knows more."""
    return known_remedy(restriction, number) or "see `sandbox doctor`"


def require_linux() -> None:
    """Raises SandboxStartError elsewhere: local sandboxes are made of Linux's own means."""
    if sys.platform != "linux":
        raise SandboxStartError(
            f"a local sandbox needs Linux, and this is {sys.platform}: run it on a Linux machine or in a virtual one",
            {"platform": sys.platform},
        )


def most_open_files() -> int:
    """How many files this process may have open, if it raises its limit as far as it can."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def require_open_files() -> None:
    """Raises SandboxStartError where too few files may be open for an engine and a sandbox."""
    most = most_open_files()
    if most < LEAST_OPEN_FILES:
        raise SandboxStartError(
            f"this process may have {most} files open, and an engine needs {LEAST_OPEN_FILES}: {MORE_OPEN_FILES}",
            {"open_files": most},
        )


def check_without(names: tuple[str, ...]) -> None:
    """Raises UsageError for the name of a restriction that there is not."""
    known = {name for name, _, _ in LAYERS} | {f"seccomp.{row.name}" for row in (*REFUSALS, SIGNALS, SIGNAL_OWNERS)}
    for name in names:
        if name not in known:
            import difflib  # noqa: PLC0415 - for the message alone

            near = difflib.get_close_matches(name, known, n=3)
            meant = (
                f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are: {', '.join(sorted(known))}"
            )
            raise UsageError(f"without has {name!r}, which is no restriction: {meant}")


def levels(isolation: str) -> tuple[str, ...]:
    """The levels to try, strongest first."""
    return (NAMESPACES, LANDLOCK) if isolation == "auto" else (isolation,)


def unavailable(errors: list[IsolationUnavailable]) -> SandboxStartError:
    """One error for all levels that were tried, each with what is missing and what mends it."""
    lines = ["no isolation is to be had here, and a sandbox does not start without:"]
    for error in errors:
        restriction = str(error.details.get("restriction", ""))
        mended_by = remedy(restriction, int(error.details.get("errno") or 0))
        lines.append(f"  {error.details.get('level')}: {error.message}\n    {mended_by}")
    lines.append("`sandbox doctor` shows every layer.")
    return SandboxStartError("\n".join(lines), {"tried": [dict(error.details) for error in errors]})


def is_root() -> bool:
    return os.geteuid() == 0
