"""A /tmp and a /dev/shm of its own, in memory and of limited size."""

import os
from functools import partial

from .. import kernel
from ..kernel import Call
from .plan import Descriptors, Plan
from .policy import NAMESPACES, Restriction

RESTRICTION = Restriction(
    "private_tmp",
    because="the host's /tmp holds sockets and files of other programs, and is a place to fill up a disk",
    breaks="temporary files larger than the limit; they count as memory and end with the worker",
    proof="attack:other-tmp",
    levels=(NAMESPACES,),
)


# One inode is about 1 KB of kernel memory that a size limit does not count.
_BYTES_PER_INODE = 16384


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    inodes = max(1024, plan.tmp_bytes // _BYTES_PER_INODE)
    options = f"mode=1777,size={plan.tmp_bytes},nr_inodes={inodes}"
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    mounts = [kernel.mount("tmpfs", target, "tmpfs", flags, options) for target in ("/tmp", "/dev/shm")]
    return [partial(_carry_over, plan.below_tmp, mounts)] if plan.below_tmp else mounts


def _carry_over(paths: tuple[str, ...], mounts: list[Call]) -> int:
    """Mount over /tmp, but keep what the view shows there: an interpreter may live below the host's /tmp."""
    trees = {path: kernel.open_tree(path) for path in paths}
    for mount in mounts:
        kernel.do(mount, "mount tmpfs")
    for path, tree in trees.items():
        os.makedirs(path)
        kernel.do(kernel.move_mount(tree, path), f"move a mount to {path}")
        os.close(tree)
    return 0
