"""Which levels of isolation this machine can give, and in which order they are tried."""

from __future__ import annotations

import ctypes
import os
import sys

from sandbox.engine.zygote import IsolationUnavailable
from sandbox.errors import SandboxStartError
from sandbox.inside.contain.policy import LANDLOCK, NAMESPACES

_SYS_LANDLOCK_CREATE_RULESET = 444  # the same on every architecture

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
    "landlock": "the kernel has no Landlock: Linux 5.13 or later with landlock in the lsm= boot parameter",
    "seccomp": "the kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)",
}


def landlock_abi() -> int:
    """Return the kernel's version of Landlock, 0 if it has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    found: int = libc.syscall(_SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    return max(found, 0)


def remedy(restriction: str) -> str:
    """What an operator can do about a restriction that is not to be had."""
    return _REMEDIES.get(restriction, "see `sandbox doctor`")


def require_linux() -> None:
    """Raises SandboxStartError elsewhere: local sandboxes are made of Linux's own means."""
    if sys.platform != "linux":
        raise SandboxStartError(
            "a local sandbox needs Linux. Here, use a server on a Linux machine: run `sandbox serve` there and "
            "PythonSandbox.create_remote(server_url=..., api_key=...) here",
            {"platform": sys.platform},
        )


def levels(isolation: str) -> tuple[str, ...]:
    """The levels to try, strongest first."""
    return (NAMESPACES, LANDLOCK) if isolation == "auto" else (isolation,)


def unavailable(errors: list[IsolationUnavailable]) -> SandboxStartError:
    """One error for all levels that were tried, each with what is missing and what mends it."""
    lines = ["no isolation is to be had here, and a sandbox does not start without:"]
    for error in errors:
        restriction = str(error.details.get("restriction", ""))
        lines.append(f"  {error.details.get('level')}: {error.message}\n    {remedy(restriction)}")
    lines.append("`sandbox doctor` shows every layer.")
    return SandboxStartError("\n".join(lines), {"tried": [dict(error.details) for error in errors]})


def is_root() -> bool:
    return os.geteuid() == 0
