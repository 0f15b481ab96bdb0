"""A mount namespace of its own, with the session's workspace and the directories that the options name."""

import os

from .. import kernel
from .plan import Descriptors, Mount, Plan
from .policy import NAMESPACES, WORKSPACE, Restriction

RESTRICTION = Restriction(
    "mount_namespace",
    because="a worker sees its own workspace and not that of another session",
    breaks="nothing",
    proof="tests/security/test_view.py::test_a_worker_cannot_see_another_workspace",
    levels=(NAMESPACES,),
)

STAGING = "/.workspaces"
_EMPTY = "/run"


def apply(plan: Plan, fds: Descriptors) -> bool:
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount(plan.workspace, WORKSPACE, None, kernel.MS_BIND)
    # Nothing below the staging directory but the workspace just mounted may be reachable from here on.
    kernel.umount(STAGING)
    if any(not mount.target.startswith(f"{WORKSPACE}/") for mount in plan.mounts):
        _own_root(plan.mounts)
    for wanted, tree in zip(plan.mounts, fds.mounts, strict=True):
        kernel.move_mount(tree, wanted.target)
        os.close(tree)
    return True


def _own_root(mounts: "tuple[Mount, ...]") -> None:
    """Move into a copy of the root directory that has the mount points too.

    The root is one file system for all workers of a zygote. A mount point made in it would show every session what
    the others have mounted.
    """
    new = _EMPTY
    kernel.mount("tmpfs", new, "tmpfs", kernel.MS_NOSUID, "mode=755,size=1m")
    for entry in os.scandir("/"):
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), new + entry.path)
        elif entry.is_dir():
            _carry(entry.path, new + entry.path)
    for mount in mounts:
        _mount_point(new + mount.target, mount)
    os.chdir(new)
    kernel.pivot_root(".", ".")
    kernel.umount(".")
    os.chdir("/")
    kernel.mount(None, "/", None, kernel.MS_REMOUNT | kernel.MS_RDONLY | kernel.MS_NOSUID, "mode=755,size=1m")


def _carry(path: str, target: str) -> None:
    os.mkdir(target)
    if path == _EMPTY:  # the new root itself
        return
    tree = kernel.open_tree(path)
    kernel.move_mount(tree, target)
    os.close(tree)


def _mount_point(path: str, mount: Mount) -> None:
    if mount.directory:
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
