"""The file system that every worker of a zygote sees: read-only, and only what an interpreter needs.

Built once, by the zygote, from mounts that the keeper cloned for it before it lost sight of the host.
"""

import os
from typing import NamedTuple

from .. import kernel
from . import private_dev, proc_view
from .mount_namespace import STAGING
from .policy import NAMESPACES, WORKSPACE, Restriction

RESTRICTION = Restriction(
    "read_only_view",
    because="home directories, keys, sockets and other programs' data are not there to be read",
    breaks="reading any file that the options do not name",
    proof="tests/security/test_view.py::test_a_worker_sees_no_home_directory",
    levels=(NAMESPACES,),
)

_ROOT = "/tmp"  # any directory does: the new root is mounted over it, in a mount namespace of the zygote's own
_DIRECTORIES = (
    "/proc",
    "/dev/pts",
    "/dev/shm",
    "/tmp",
    "/run",
    "/var/tmp",
    WORKSPACE,
    STAGING,
    proc_view.EMPTY_DIRECTORY,
)


class View(NamedTuple):
    """`shown`: host paths bound read-only at the same place. `links` and `files`: made anew, by path."""

    shown: tuple[str, ...]
    links: dict[str, str]
    files: dict[str, str]
    directories: tuple[str, ...]
    staging: str


def clone_mounts(view: View) -> dict[str, int]:
    """Clone what the view shows, as detached mounts. Runs while the host's file system is still there."""
    trees = {path: kernel.open_tree(path) for path in view.shown}
    for tree in trees.values():
        kernel.mount_setattr(tree, kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV)
    for name in private_dev.DEVICES:
        trees[f"/dev/{name}"] = kernel.open_tree(f"/dev/{name}")
    trees[STAGING] = kernel.open_tree(view.staging)
    kernel.mount_setattr(trees[STAGING], kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV)
    return trees


def build(view: View, trees: dict[str, int]) -> None:
    """Assemble the new root, move into it and let go of the old one. Needs a mount namespace of the caller's own."""
    kernel.mount_now(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount_now("tmpfs", _ROOT, "tmpfs", kernel.MS_NOSUID, "mode=755,size=16m")
    for path in (*_DIRECTORIES, *view.directories):
        os.makedirs(_ROOT + path, exist_ok=True)
    # The zygote's own scratch; a worker mounts its own over it.
    kernel.mount_now("tmpfs", _ROOT + "/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=64m")
    for path, text in view.files.items():
        _write(_ROOT + path, text)
    for path, target in {**view.links, **{f"/dev/{k}": v for k, v in private_dev.LINKS.items()}}.items():
        os.makedirs(os.path.dirname(_ROOT + path), exist_ok=True)
        os.symlink(target, _ROOT + path)
    # Shorter paths first: a mount below another one needs its parent in place.
    for path, tree in sorted(trees.items(), key=lambda item: item[0].count("/")):
        _attach(tree, _ROOT + path)
    _enter()


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _attach(tree: int, target: str) -> None:
    if os.path.isdir(tree):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        _write(target, "")
    kernel.do(kernel.move_mount(tree, target), f"move a mount to {target}")
    os.close(tree)


def _enter() -> None:
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount_now("proc", _ROOT + "/proc", "proc", flags)
    os.chdir(_ROOT)
    # Both names the same directory: the old root ends up on top of the new one and is taken off again.
    kernel.pivot_root(".", ".")
    kernel.do(kernel.umount("."), "umount the old root")
    os.chdir("/")
    kernel.mount_now(None, "/", None, kernel.MS_REMOUNT | kernel.MS_RDONLY | kernel.MS_NOSUID, "mode=755,size=16m")
