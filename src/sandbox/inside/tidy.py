"""Remove directory trees and control groups that hostile code has had its hands on. The engine uses this file too."""

import errno
import itertools
import os
import stat
import sys

_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_ONCE = 4096
_ATTEMPTS = 100
# What a removal meets when something else was put under a name, or into a directory, since it was looked at.
_RACED = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR}


def remove_tree(path: str) -> None:
    """Remove `path` and all below it, whatever the modes of its directories are. Never follows a link.

    Directories below directories are first moved up beside the others, so that a tree of any depth takes a few
    descriptors and no recursion. Does nothing if `path` is gone already. Raises `OSError`.
    """
    path = path.rstrip("/")
    try:
        parent = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        remove_entry(parent, os.path.basename(path))
    finally:
        os.close(parent)


def remove_entry(parent: int, name: str, most: int = sys.maxsize) -> None:
    """Remove the entry `name` of the directory behind the descriptor `parent`, with all below it.

    Hostile code may be at work in it: then it can keep entries alive, and the removal ends with `OSError` after
    `most` entries at the latest, but nothing is touched that was not below `name` when it was opened.
    """
    removal = _Removal(most)
    for attempt in range(_ATTEMPTS):
        try:
            if not _removed(parent, name):
                removal.empty(parent, name)
                os.rmdir(name, dir_fd=parent)
        except OSError as error:
            if error.errno not in _RACED or attempt == _ATTEMPTS - 1 or removal.left <= 0:
                raise
        else:
            return


class _Removal:
    """Takes one directory apart. `left` is how many entries it may still take."""

    def __init__(self, most: int) -> None:
        self.left = most
        self._fresh = (f".{os.getpid()}.{n}" for n in itertools.count())

    def empty(self, parent: int, name: str) -> None:
        """Remove what the directory holds."""
        top = _open(parent, name)
        try:
            while names := self._some(top):
                for entry in names:
                    if not _removed(top, entry):
                        self._hoist(top, entry)
        finally:
            os.close(top)

    def _hoist(self, top: int, name: str) -> None:
        """Remove what a directory holds, moving the directories in it up into `top`, then the directory."""
        fd = _open(top, name)
        try:
            while names := self._some(fd):
                for child in names:
                    if not _removed(fd, child):
                        os.close(_open(fd, child))  # moving a directory takes the right to write into it
                        os.rename(child, self._unused(top), src_dir_fd=fd, dst_dir_fd=top)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=top)

    def _some(self, fd: int) -> "list[str]":
        """Some names of a directory, so that memory is bounded whatever it holds."""
        with os.scandir(fd) as entries:
            names = [entry.name for entry in itertools.islice(entries, _AT_ONCE)]
        self.left -= len(names)
        if names and self.left <= 0:
            raise OSError(errno.ENOTEMPTY, "entries appear as fast as they are removed")
        return names

    def _unused(self, top: int) -> str:
        while True:
            name = next(self._fresh)
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
