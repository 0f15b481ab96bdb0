"""Opening files below a directory whose content is hostile: never above it, and not through a link that leaves it.

`openat2(2)` with RESOLVE_BENEATH does the whole lookup in the kernel, so a link that is swapped in between two
steps cannot help. Files are opened without blocking and checked to be regular ones: a FIFO or a device in the
workspace must not hold up the engine, and neither must a lease that the code inside has taken on its own file.

Where the host is root, the workspace belongs to another user, and root may do everything to everything it is led
to. It is led to nothing but files that are beneath. Those could still be somebody else's in one way: a second name
or the new place of a foreign file, which takes two writable directories of one mount. Inside, the workspace is a mount
of its own, and neither link(2) nor rename(2) crosses mounts, whatever fs.protected_hardlinks says. At level
`landlock` there are no mounts between it and a writable `Mount` of the user's, so there it can be done. Therefore
root gives away only what it has just made itself, by descriptor, and writes to no foreign file of several names.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct

from sandbox.errors import SandboxFileError, SandboxFileExistsError, SandboxFileNotFoundError, UsageError
from sandbox.inside.contain.policy import WORKSPACE

Owner = tuple[int, int] | None
"""The uid and gid of what the engine makes in a workspace; None where they are the engine's own."""

# Hostile code decides how much there is: nobody looks at more than this.
MOST_ENTRIES = 100_000
MOST_DEPTH = 64
# Paths take memory too: a name has up to 255 bytes and lies below up to 64 others of that length.
MOST_PATH_BYTES = 16 * 1024 * 1024
_SYS_OPENAT2 = 437  # the same on every architecture
_NO_MAGIC_LINKS, _NO_LINKS, _BENEATH = 0x02, 0x04, 0x08
_TRIES = 128
_MOST_SIZE = (1 << 63) - 1
_libc = ctypes.CDLL(None, use_errno=True)


# --- opening --------------------------------------------------------------------------------------------------------


def openat2(directory: int, path: str, flags: int, mode: int = 0, *, links: bool = True) -> int:
    """Open `path` beneath the descriptor `directory`, through no link at all without `links`.

    Raises OSError: EXDEV if the path leads out, ELOOP for a link that is not followed.
    """
    resolve = _BENEATH | _NO_MAGIC_LINKS | (0 if links else _NO_LINKS)
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    number = errno.EAGAIN
    # EAGAIN: something was renamed during the lookup, and the kernel could not tell whether it stayed beneath.
    # Or somebody holds a lease on the file, who must not keep us here either: hence the bound.
    for _ in range(_TRIES):
        fd: int = _libc.syscall(_SYS_OPENAT2, directory, os.fsencode(path), how, ctypes.c_size_t(len(how)))
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number not in {errno.EAGAIN, errno.EINTR}:
            break
    raise OSError(number, os.strerror(number), path)


def open_directory(directory: int, path: str, *, links: bool = False) -> int:
    """Open a directory for reading. It is a description of its own: those who share one share their place in it."""
    return openat2(directory, path or ".", os.O_RDONLY | os.O_DIRECTORY, links=links)


def open_regular(directory: int, path: str, flags: int, *, links: bool = True) -> int:
    """Open a regular file. Raises OSError, also for anything that is not a regular file."""
    fd = openat2(directory, path, flags | os.O_NONBLOCK | os.O_NOCTTY, links=links)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO, "is not a regular file", path)
    return fd


def open_to_write(directory: int, path: str, owner: Owner, *, append: bool) -> int:
    """Open a regular file for writing, making it if there is none. It is cut to nothing unless `append`."""
    flags = os.O_WRONLY | (os.O_APPEND if append else 0)
    for _ in range(_TRIES):
        try:
            fd = open_regular(directory, path, flags)
        except FileNotFoundError:
            try:
                return _make(directory, path, flags, owner)
            except FileExistsError:
                continue  # made by somebody else since, or a link that leads nowhere
        try:
            _refuse_foreign(os.fstat(fd), path, owner)
            if not append:
                os.ftruncate(fd, 0)
        except OSError:
            os.close(fd)
            raise
        return fd
    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _make(directory: int, path: str, flags: int, owner: Owner) -> int:
    """Make a file. As it is new, it is ours to give away, whatever names the code inside gives it meanwhile."""
    fd = openat2(directory, path, flags | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        if owner:
            os.fchown(fd, *owner)
    except OSError:
        os.close(fd)
        raise
    return fd


def _refuse_foreign(status: os.stat_result, path: str, owner: Owner) -> None:
    """See the module's docstring: refuse a file of several names that is not the sandbox's own."""
    if owner and status.st_uid != owner[0] and status.st_nlink > 1:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), path)


def open_parent(directory: int, path: str) -> tuple[int, str]:
    """Open the directory that holds `path`; return it with the last part of the name."""
    parent, name = os.path.split(path)
    if name in {"", ".", ".."}:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
    return openat2(directory, parent or ".", os.O_PATH | os.O_DIRECTORY), name


def make_directories(directory: int, path: str, owner: Owner) -> None:
    """Make `path` and the directories above it that are missing, each beneath `directory`."""
    made = "."
    for part in path.split("/"):
        parent, made = made, f"{made}/{part}"
        fd = openat2(directory, parent, os.O_PATH | os.O_DIRECTORY)
        try:
            os.mkdir(part, 0o755, dir_fd=fd)
            if owner:
                _give_away(fd, part, owner)
        except FileExistsError:
            # A link to a directory is fine as long as it stays beneath, which this checks.
            os.close(openat2(directory, made, os.O_PATH | os.O_DIRECTORY))
        finally:
            os.close(fd)


def _give_away(parent: int, name: str, owner: tuple[int, int]) -> None:
    """Change the owner of a directory that was just made, unless something else has its name by now."""
    fd = open_directory(parent, name)
    try:
        if os.fstat(fd).st_uid == os.geteuid():
            os.fchown(fd, *owner)
    finally:
        os.close(fd)


# --- names and errors -----------------------------------------------------------------------------------------------


def relative(path: str, workspace: str = WORKSPACE) -> str:
    """Return a path as it counts from the workspace. Raises UsageError for one that is outside."""
    if "\0" in path:
        raise UsageError(f"{path!r} contains NUL, which no path can")
    # POSIX lets two slashes at the start mean something else, and so normpath keeps them; Linux does not.
    clean = os.path.normpath(f"/{path.lstrip('/')}" if path.startswith("/") else path or ".")
    if os.path.isabs(clean):
        for root in (WORKSPACE, workspace):
            if clean == root or clean.startswith(f"{root}/"):
                return os.path.relpath(clean, root)
    if os.path.isabs(clean) or clean == ".." or clean.startswith("../"):
        raise UsageError(f"{path!r} is outside the workspace: files are reached below {WORKSPACE}")
    return clean


def checked_range(offset: int, length: int | None) -> None:
    """Raises UsageError for a part that no file can have."""
    if not 0 <= offset <= _MOST_SIZE:
        raise UsageError(f"offset={offset} is not a place in a file: it counts bytes, from 0")
    if length is not None and length < 0:
        raise UsageError(f"length={length} is negative: it counts bytes, and None is to the end")


_REASONS = {
    errno.EXDEV: "it leads out of the workspace, or is a link with an absolute path",
    errno.EBUSY: "it is the workspace itself",
    errno.ENXIO: "it is not a regular file",
    errno.EAGAIN: "the code inside holds a lease on it, or keeps renaming what is above it",
    errno.ELOOP: "it is a link, or lies below links that lead to each other",
}


def reason(error: OSError) -> str:
    """Say what went wrong with a file of a workspace."""
    number = error.errno or 0
    return _REASONS.get(number) or os.strerror(number).lower()


def file_error(error: OSError, path: str, action: str) -> SandboxFileError:
    """Turn an OSError into the error that users see."""
    cls = {errno.ENOENT: SandboxFileNotFoundError, errno.EEXIST: SandboxFileExistsError}.get(
        error.errno or 0, SandboxFileError
    )
    return cls(f"cannot {action} {path!r}: {reason(error)}", {"errno": error.errno, "path": path})
