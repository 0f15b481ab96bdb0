"""A mount namespace of its own, with the session's workspace and the directories that the options name."""

import os
from functools import partial

from .. import kernel
from ..kernel import Call
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


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    mine = [
        kernel.unshare(kernel.CLONE_NEWNS),
        kernel.mount(plan.workspace, WORKSPACE, None, kernel.MS_BIND),
        # Nothing below the staging directory but the workspace just mounted may be reachable from here on.
        kernel.umount(STAGING),
    ]
    return [*mine, partial(_mount_named, plan.mounts, fds.mounts)] if plan.mounts else mine


def _mount_named(mounts: tuple[Mount, ...], trees: tuple[int, ...]) -> int:
    # A mount cannot take the place of a link: it is left out of the root's copy.
    missing = [mount for mount in mounts if not os.path.lexists(mount.target) or os.path.islink(mount.target)]
    outside = [mount.target for mount in missing if not mount.target.startswith(f"{WORKSPACE}/")]
    if outside:
        _own_root(outside)
    for mount in missing:
        _mount_point(mount)
    if missing:
        _read_only_root()
    for mount, tree in zip(mounts, trees, strict=True):
        kernel.do(kernel.move_mount(tree, mount.target), f"mount {mount.target}")
        os.close(tree)
    return 0


def _own_root(targets: "list[str]") -> None:
    """Move into a copy of the root directory, in which the mount points `targets` can be made.

    The root is one file system for all workers of a zygote. A mount point made in it would show every session what
    the others have mounted.
    """
    new = _EMPTY
    kernel.mount_now("tmpfs", new, "tmpfs", kernel.MS_NOSUID, _ROOT_OPTIONS)
    above = {target[:at] for target in targets for at in range(1, len(target)) if target[at] == "/"}
    _copy("/", new, above, above.union(targets))
    os.chdir(new)
    kernel.pivot_root(".", ".")
    kernel.do(kernel.umount("."), "umount the old root")
    os.chdir("/")


def _read_only_root() -> None:
    """Make the root read-only again. For a root that was never copied, it changes nothing."""
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID
    kernel.mount_now(None, "/", None, flags)


def _copy(directory: str, new: str, above: "set[str]", taken: "set[str]") -> None:
    """Make `directory` anew below `new`: its links as they are, what is in `above` as directories, the rest mounted.

    Links that are in `taken` are left out: mount points are made there.
    """
    for entry in os.scandir(directory):
        target = new + entry.path
        if entry.is_symlink():
            if entry.path not in taken:
                os.symlink(os.readlink(entry.path), target)
        elif entry.path == _EMPTY:  # the new root itself
            os.mkdir(target)
        elif entry.path in above and not os.path.ismount(entry.path):
            os.mkdir(target)
            _copy(entry.path, new, above, taken)
        else:
            _carry(entry.path, target, directory=entry.is_dir())


def _carry(path: str, target: str, *, directory: bool) -> None:
    if directory:
        os.mkdir(target)
    else:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    tree = kernel.open_tree(path)
    kernel.do(kernel.move_mount(tree, target), f"move a mount to {target}")
    os.close(tree)


def _mount_point(mount: Mount) -> None:
    if mount.directory:
        os.makedirs(mount.target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(mount.target), exist_ok=True)
    os.close(os.open(mount.target, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644))
