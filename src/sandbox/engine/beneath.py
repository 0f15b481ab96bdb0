"""Opening files below a directory whose content is hostile: never above it, and not through a link that leaves it.

`openat2(2)` with RESOLVE_BENEATH does the whole lookup in the kernel, so a link that is swapped in between two
steps cannot help. Files are opened without blocking and checked to be regular ones: a FIFO or a device in the
workspace must not hold up the engine.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct

from sandbox.errors import SandboxFileError, SandboxFileExistsError, SandboxFileNotFoundError, UsageError
from sandbox.inside.contain.policy import WORKSPACE

_SYS_OPENAT2 = 437  # the same on every architecture
_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x02, 0x04, 0x08
_libc = ctypes.CDLL(None, use_errno=True)


def openat2(directory: int, path: str, flags: int, mode: int = 0, *, resolve: int = 0) -> int:
    """Open `path` beneath the descriptor `directory`. Raises OSError: EXDEV if the path leads out of it."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve | _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    while True:
        fd: int = _libc.syscall(_SYS_OPENAT2, directory, os.fsencode(path), how, ctypes.c_size_t(len(how)))
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        # EAGAIN: something was renamed during the lookup, and the kernel could not tell whether it stayed beneath.
        if number not in {errno.EAGAIN, errno.EINTR}:
            raise OSError(number, os.strerror(number), path)


def open_directory(directory: int, path: str) -> int:
    """Open a directory for reading, through no link at all. A new description: readers do not share its place."""
    return openat2(directory, path or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_RESOLVE_NO_SYMLINKS)


def relative(path: str, workspace: str = WORKSPACE) -> str:
    """Return a path as it counts from the workspace. Raises UsageError for one that is outside."""
    if "\0" in path:
        raise UsageError("a path cannot contain NUL")
    clean = os.path.normpath(path) if path else "."
    if os.path.isabs(clean):
        for root in (WORKSPACE, workspace):
            if clean == root or clean.startswith(root + "/"):
                clean = os.path.relpath(clean, root)
                break
    if os.path.isabs(clean) or clean == ".." or clean.startswith("../"):
        raise UsageError(f"{path!r} is outside the workspace: files are reached below {WORKSPACE}")
    return clean


def open_regular(directory: int, path: str, flags: int) -> int:
    """Open a regular file. Raises OSError, also for anything that is not a regular file."""
    fd = openat2(directory, path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(number, "is a directory" if stat.S_ISDIR(mode) else "is not a regular file", path)
    return fd


def open_parent(directory: int, path: str) -> tuple[int, str]:
    """Open the directory that holds `path`; return it with the last part of the name."""
    parent, name = os.path.split(path)
    if name in {"", ".", ".."}:
        raise OSError(errno.EINVAL, "names the workspace itself", path)
    return openat2(directory, parent or ".", os.O_PATH | os.O_DIRECTORY), name


def make_directories(directory: int, path: str, owner: tuple[int, int] | None) -> None:
    """Make `path` and the directories above it that are missing, each beneath `directory`."""
    made = "."
    for part in path.split("/"):
        made = f"{made}/{part}"
        parent, name = os.path.split(made)
        fd = openat2(directory, parent, os.O_PATH | os.O_DIRECTORY)
        try:
            os.mkdir(name, 0o755, dir_fd=fd)
            if owner:
                os.chown(name, *owner, dir_fd=fd, follow_symlinks=False)
        except FileExistsError:
            # A link to a directory is fine as long as it stays beneath, which this checks.
            os.close(openat2(directory, made, os.O_PATH | os.O_DIRECTORY))
        finally:
            os.close(fd)


def file_error(error: OSError, path: str, action: str) -> SandboxFileError:
    """Turn an OSError into the error that users see."""
    if error.errno == errno.EXDEV:
        text = "it leads out of the workspace"
    else:
        text = (os.strerror(error.errno) if error.errno else str(error)).lower()
    cls = {errno.ENOENT: SandboxFileNotFoundError, errno.EEXIST: SandboxFileExistsError}.get(
        error.errno or 0, SandboxFileError
    )
    return cls(f"cannot {action} {path!r}: {text}", {"errno": error.errno, "path": path})
