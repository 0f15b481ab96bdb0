"""Host directories that a sandbox shows by name: resolved once, on the host, before anything inside can run."""

from __future__ import annotations

import os
from typing import Any

from msgspec import Struct

from sandbox.errors import UsageError
from sandbox.inside.contain.policy import LANDLOCK, NAMESPACES, WORKSPACE
from sandbox.protocol.messages import MountSpec, SessionOptions

_OURS = ("/proc", "/dev", "/tmp", "/usr", "/etc", "/lib", "/lib64", "/bin", "/sbin", "/run", "/.workspaces", "/.empty")  # noqa: S108
# What finds the addresses of names on the host's network. With a view of its own a sandbox has the others already.
_NETWORK_FILES = {
    NAMESPACES: ("/etc/resolv.conf",),
    LANDLOCK: ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"),
}


class Resolved(Struct, frozen=True):
    """A mount whose source was found: by path, device and inode, so that the keeper clones that one or none."""

    target: str
    path: str
    writable: bool
    directory: bool
    device: int
    inode: int
    owner: tuple[int, int]

    def wanted(self, own_uid: int | None) -> dict[str, Any]:
        """What the keeper is asked to clone. With a uid of the worker's own, it is to stand for the files' owner."""
        return {
            "path": self.path,
            "writable": self.writable,
            "device": self.device,
            "inode": self.inode,
            "ids": None if own_uid is None else [*self.owner, own_uid],
        }

    @property
    def inside(self) -> dict[str, Any]:
        """What the worker is told."""
        return {"target": self.target, "writable": self.writable, "directory": self.directory}


def resolve_mounts(options: SessionOptions, level: str) -> tuple[Resolved, ...]:
    """Find the sources of `options.files`. Raises UsageError."""
    mounts = [_resolve(spec, level) for spec in sorted(options.files, key=lambda spec: spec.target)]
    if options.network == "host":
        files = filter(os.path.exists, _NETWORK_FILES.get(level, ()))
        mounts += [_found(MountSpec(path, path)) for path in files]
    return tuple(mounts)


def _resolve(spec: MountSpec, level: str) -> Resolved:
    if spec.target == WORKSPACE or any(spec.target == ours or spec.target.startswith(f"{ours}/") for ours in _OURS):
        raise UsageError(
            f"files has the target {spec.target!r}, which the sandbox itself uses: choose one such as '/data'"
        )
    mount = _found(spec)
    if level != NAMESPACES and mount.path != mount.target:
        raise UsageError(
            f"files shows {mount.path!r} as {mount.target!r}: without a mount namespace (level {level!r}) a path stays "
            f"what it is on the host; write files={{{mount.path!r}: {mount.path!r}}}"
        )
    return mount


def _found(spec: MountSpec) -> Resolved:
    path = os.path.realpath(os.path.expanduser(spec.path))
    try:
        status = os.stat(path)
    except OSError as error:
        raise UsageError(f"files names {spec.path!r}, which cannot be shown: {error.strerror}") from error
    return Resolved(
        target=spec.target,
        path=path,
        writable=spec.writable,
        directory=os.path.isdir(path),
        device=status.st_dev,
        inode=status.st_ino,
        owner=(status.st_uid, status.st_gid),
    )
