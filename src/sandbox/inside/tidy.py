"""Remove directory trees and control groups that hostile code has had its hands on. The engine uses this file too."""

import itertools
import os
import stat
from collections.abc import Iterator

_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> None:
    """Remove `path` and all below it, whatever the modes of its directories are. Never follows a link.

    Directories below directories are first moved up beside the others, so that a tree of any depth takes one
    descriptor and no recursion. Does nothing if `path` is gone already. Raises `OSError`.
    """
    try:
        parent = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        remove_entry(parent, os.path.basename(path))
    finally:
        os.close(parent)


def remove_entry(parent: int, name: str) -> None:
    """Remove the entry `name` of the directory behind the descriptor `parent`, with all below it."""
    if not _removed(parent, name):
        _empty(parent, name)
        os.rmdir(name, dir_fd=parent)


def _empty(parent: int, name: str) -> None:
    top = _open(parent, name)
    fresh = (f".{os.getpid()}.{n}" for n in itertools.count())
    try:
        while names := os.listdir(top):
            for entry in names:
                if not _removed(top, entry):
                    _hoist(top, entry, fresh)
    finally:
        os.close(top)


def _hoist(top: int, name: str, fresh: "Iterator[str]") -> None:
    """Remove what a directory holds, moving the directories in it up into `top`, then the directory."""
    fd = _open(top, name)
    try:
        for child in os.listdir(fd):
            if not _removed(fd, child):
                os.close(_open(fd, child))  # moving a directory takes the right to write into it
                os.rename(child, _unused(top, fresh), src_dir_fd=fd, dst_dir_fd=top)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=top)


def _unused(top: int, fresh: "Iterator[str]") -> str:
    while True:
        name = next(fresh)
        try:
            os.lstat(name, dir_fd=top)
        except FileNotFoundError:
            return name


def _removed(parent: int, name: str) -> bool:
    """Remove a file or an empty directory. False: it is a directory that is not empty."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError:
        # EISDIR or EPERM for a directory.
        if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            raise
    else:
        return True
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError:
        return False
    return True


def _open(parent: int, name: str) -> int:
    """Open a directory for reading and make sure that its entries can be removed."""
    # By way of a handle, since chmod has no form that does not follow links on every kernel.
    handle = os.open(name, os.O_PATH | _DIRECTORY, dir_fd=parent)
    try:
        if os.fstat(handle).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
        return os.open(".", os.O_RDONLY | _DIRECTORY, dir_fd=handle)
    finally:
        os.close(handle)


def remove_cgroups(paths: "list[str]") -> "list[str]":
    """Remove these groups, those below them first. Returns what could not be removed: it still holds a process."""
    busy = []
    for path in paths:
        for directory, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                continue
            except OSError:
                busy.append(directory)
    return busy
