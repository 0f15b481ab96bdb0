"""Cloning host directories as mounts that a worker can take into its own mount namespace."""

import os
import socket
from typing import Any

from .. import kernel
from . import channel
from .fork import fork_into
from .raise_zygote import Raised


def clone(raised: Raised, wanted: "list[dict[str, Any]]") -> "list[int]":
    """Return a detached mount for each path in `wanted`. Raises OSError.

    Cloning takes rights that only the zygote's user namespace gives, so a process enters it for that. Mapping the
    ids of files, where the host is root, takes the host's rights: that is done here.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            pid = fork_into(lambda: _clone_inside(raised, wanted, theirs))
        received = channel.receive(ours)
        os.waitpid(pid, 0)
    if received is None:
        raise OSError(0, "the process that clones mounts has died")
    message, trees = received
    if "refused" in message:
        raise OSError(message["refused"][0], message["refused"][1])
    for tree, one in zip(trees, wanted, strict=True):
        if one["ids"]:
            _map_ids(tree, one)
    return trees


def _clone_inside(raised: Raised, wanted: "list[dict[str, Any]]", keeper: socket.socket) -> None:
    try:
        kernel.setns(raised.user_namespace, kernel.CLONE_NEWUSER)
        kernel.setns(raised.mount_namespace, kernel.CLONE_NEWNS)
        trees = [_clone(one) for one in wanted]
    except OSError as error:
        channel.send(keeper, {"refused": [error.errno, str(error)]})
    else:
        channel.send(keeper, {"cloned": len(trees)}, tuple(trees))


def _clone(wanted: "dict[str, Any]") -> int:
    """Clone one directory or file of the host. It must still be the one that the engine resolved."""
    tree = kernel.open_tree(wanted["path"])
    found = os.fstat(tree)
    if (found.st_dev, found.st_ino) != (wanted["device"], wanted["inode"]):
        os.close(tree)
        raise OSError(2, f"{wanted['path']} was replaced while it was being mounted")
    attributes = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV
    kernel.mount_setattr(tree, attributes if wanted["writable"] else attributes | kernel.MOUNT_ATTR_RDONLY)
    return tree


def _map_ids(tree: int, wanted: "dict[str, Any]") -> None:
    """Let the worker's own uid stand for the owner of what is mounted: to read its files, and to make files of its own.

    Not every file system can do that. Then a read-only mount stays as it is, and a writable one is refused.
    """
    uid, gid, own = wanted["ids"]
    try:
        namespace = _user_namespace(f"{uid} {own} 1", f"{gid} {own} 1")
        try:
            kernel.mount_idmap(tree, namespace)
        finally:
            os.close(namespace)
    except OSError as error:
        if wanted["writable"]:
            text = f"the file system of {wanted['path']} cannot show its files as the sandbox's own: {error}"
            raise OSError(error.errno or 0, text) from error


def _user_namespace(uid_map: str, gid_map: str) -> int:
    """Return a descriptor of a user namespace with these maps. It needs a process to be made, and none to live on."""
    begin, go = os.pipe()
    made, tell = os.pipe()

    def hold() -> None:
        os.close(go)
        kernel.unshare_now(kernel.CLONE_NEWUSER)
        os.write(tell, b"1")
        os.read(begin, 1)

    pid = fork_into(hold)
    os.close(begin)
    os.close(tell)
    try:
        if not os.read(made, 1):
            raise OSError(1, "a user namespace was refused")
        for name, text in (("uid_map", uid_map), ("gid_map", gid_map)):
            with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
                file.write(text)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(go)
        os.close(made)
        os.waitpid(pid, 0)
