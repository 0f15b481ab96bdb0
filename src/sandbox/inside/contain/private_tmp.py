"""A /tmp and a /dev/shm of its own, in memory and of limited size."""

import os

from .. import kernel
from .plan import Descriptors, Plan
from .policy import NAMESPACES, Restriction

RESTRICTION = Restriction(
    "private_tmp",
    because="the host's /tmp holds sockets and files of other programs, and is a place to fill up a disk",
    breaks="temporary files larger than the limit; they count as memory and end with the worker",
    proof="tests/security/test_view.py::test_a_worker_cannot_see_the_host_tmp",
    levels=(NAMESPACES,),
)

# One inode is about 1 KB of kernel memory that a size limit does not count.
_BYTES_PER_INODE = 16384


def apply(plan: Plan, fds: Descriptors) -> bool:
    inodes = max(1024, plan.tmp_bytes // _BYTES_PER_INODE)
    options = f"mode=1777,size={plan.tmp_bytes},nr_inodes={inodes}"
    # An interpreter that lives below the host's /tmp is part of the view: carry it over.
    trees = {path: kernel.open_tree(path) for path in plan.below_tmp}
    for target in ("/tmp", "/dev/shm"):  # mount points inside the sandbox
        kernel.mount("tmpfs", target, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    for path, tree in trees.items():
        os.makedirs(path)
        kernel.move_mount(tree, path)
        os.close(tree)
    return True
