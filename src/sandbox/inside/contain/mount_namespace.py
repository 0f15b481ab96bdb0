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
_ROOT_OPTIONS = "mode=755,size=1m"


def apply(plan: Plan, fds: Descriptors) -> bool:
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount(plan.workspace, WORKSPACE, None, kernel.MS_BIND)
    # Nothing below the staging directory but the workspace just mounted may be reachable from here on.
    kernel.umount(STAGING)
    missing = [mount for mount in plan.mounts if not os.path.lexists(mount.target)]
    if any(not mount.target.startswith(f"{WORKSPACE}/") for mount in missing):
        _own_root()
    for mount in missing:
        _mount_point(mount)
    if missing:
        _read_only_root()
    for wanted, tree in zip(plan.mounts, fds.mounts, strict=True):
        kernel.move_mount(tree, wanted.target)
        os.close(tree)
    return True


def _own_root() -> None:
    """Move into a copy of the root directory, in which mount points can be made.

    The root is one file system for all workers of a zygote. A mount point made in it would show every session what
    the others have mounted.
    """
    new = _EMPTY
    kernel.mount("tmpfs", new, "tmpfs", kernel.MS_NOSUID, _ROOT_OPTIONS)
    for entry in os.scandir("/"):
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), new + entry.path)
        elif entry.is_dir():
            _carry(entry.path, new + entry.path)
    os.chdir(new)
    kernel.pivot_root(".", ".")
    kernel.umount(".")
    os.chdir("/")


def _read_only_root() -> None:
    """Make the root read-only again. For a root that was never copied, it changes nothing."""
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID
    kernel.mount(None, "/", None, flags)


def _carry(path: str, target: str) -> None:
    os.mkdir(target)
    if path == _EMPTY:  # the new root itself
        return
    tree = kernel.open_tree(path)
    kernel.move_mount(tree, target)
    os.close(tree)


def _mount_point(mount: Mount) -> None:
    if mount.directory:
        os.makedirs(mount.target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(mount.target), exist_ok=True)
    os.close(os.open(mount.target, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644))
