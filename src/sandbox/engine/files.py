"""The file operations of the SDK on a workspace. Whatever hostile code has put there, nothing outside is touched."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from sandbox.engine.beneath import file_error, make_directories, open_parent, open_regular, openat2, relative
from sandbox.engine.scan import MOST_ENTRIES, printable
from sandbox.engine.workspaces import Workspace
from sandbox.inside import tidy
from sandbox.protocol.messages import (
    MAX_CHUNK,
    Data,
    Event,
    FileEntry,
    ListFiles,
    MakeDirectory,
    ReadFile,
    RemoveFile,
    RenameFile,
    StatFile,
    WriteFile,
)


def read(workspace: Workspace, request: ReadFile, emit: Callable[[Event], None]) -> None:
    """Emit the file's content in pieces. Raises SandboxFileError."""
    path = relative(request.path, str(workspace.path))
    try:
        fd = open_regular(workspace.fd, path, os.O_RDONLY)
        try:
            at = request.offset
            end = None if request.length is None else at + request.length
            while data := os.pread(fd, MAX_CHUNK if end is None else min(MAX_CHUNK, end - at), at):
                emit(Data(data))
                at += len(data)
        finally:
            os.close(fd)
    except OSError as error:
        raise file_error(error, request.path, "read") from error


def write(workspace: Workspace, request: WriteFile) -> None:
    """Write or append. Raises SandboxFileError."""
    path = relative(request.path, str(workspace.path))
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if request.append else os.O_TRUNC)
    try:
        if os.path.dirname(path):
            make_directories(workspace.fd, os.path.dirname(path), workspace.owner)
        fd = open_regular_new(workspace.fd, path, flags)
        try:
            if workspace.owner:
                os.fchown(fd, *workspace.owner)
            view = memoryview(request.data)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
    except OSError as error:
        raise file_error(error, request.path, "write") from error


def open_regular_new(directory: int, path: str, flags: int) -> int:
    """Open for writing, making the file if there is none. What is there must be a regular file before it is cut."""
    fd = openat2(directory, path, (flags & ~os.O_TRUNC) | os.O_NONBLOCK | os.O_NOCTTY, 0o644)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "is not a regular file", path)
    if flags & os.O_TRUNC:
        os.ftruncate(fd, 0)
    return fd


def listing(workspace: Workspace, request: ListFiles) -> tuple[FileEntry, ...]:
    """List a directory, sorted by path. Raises SandboxFileError."""
    top = relative(request.path, str(workspace.path))
    found: list[FileEntry] = []
    waiting = [top]
    try:
        while waiting and len(found) < MOST_ENTRIES:
            here = waiting.pop()
            fd = openat2(workspace.fd, here, os.O_RDONLY | os.O_DIRECTORY)
            try:
                names = os.listdir(fd)
                entries = [_entry(fd, name, os.path.normpath(f"{here}/{name}")) for name in names]
            finally:
                os.close(fd)
            present = [entry for entry in entries if entry is not None]
            found += present
            if request.recursive:
                waiting += [entry.path for entry in present if entry.kind == "directory"]
    except OSError as error:
        raise file_error(error, request.path, "list") from error
    return tuple(sorted(found, key=lambda entry: entry.path))


def describe(workspace: Workspace, request: StatFile) -> FileEntry:
    """Describe one file; of a link, the link itself. Raises SandboxFileError."""
    path = relative(request.path, str(workspace.path))
    try:
        if path == ".":
            status = os.fstat(workspace.fd)
            return FileEntry(".", "directory", 0, stat.S_IMODE(status.st_mode), status.st_mtime)
        parent, name = open_parent(workspace.fd, path)
        try:
            entry = _entry(parent, name, path)
        finally:
            os.close(parent)
    except OSError as error:
        raise file_error(error, request.path, "stat") from error
    if entry is None:
        raise file_error(FileNotFoundError(errno.ENOENT, ""), request.path, "stat")
    return entry


def _entry(parent: int, name: str, path: str) -> FileEntry | None:
    try:
        status = os.lstat(name, dir_fd=parent)
        target = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(status.st_mode) else None
    except FileNotFoundError:
        return None
    mode = status.st_mode
    kind = (
        "file"
        if stat.S_ISREG(mode)
        else "directory"
        if stat.S_ISDIR(mode)
        else "link"
        if target is not None
        else "other"
    )
    size = status.st_size if kind == "file" else 0
    return FileEntry(printable(path), kind, size, stat.S_IMODE(mode), status.st_mtime, target and printable(target))


def remove(workspace: Workspace, request: RemoveFile) -> None:
    """Remove a file, an empty directory, or a whole one if `recursive`. Raises SandboxFileError."""
    path = relative(request.path, str(workspace.path))
    try:
        parent, name = open_parent(workspace.fd, path)
        try:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                os.unlink(name, dir_fd=parent)
            elif request.recursive:
                tidy.remove_entry(parent, name)
            else:
                os.rmdir(name, dir_fd=parent)
        finally:
            os.close(parent)
    except OSError as error:
        raise file_error(error, request.path, "remove") from error


def rename(workspace: Workspace, request: RenameFile) -> None:
    """Rename, making missing directories above the target. Raises SandboxFileError."""
    path, target = relative(request.path, str(workspace.path)), relative(request.target, str(workspace.path))
    try:
        if os.path.dirname(target):
            make_directories(workspace.fd, os.path.dirname(target), workspace.owner)
        old_parent, old_name = open_parent(workspace.fd, path)
        try:
            new_parent, new_name = open_parent(workspace.fd, target)
            try:
                os.rename(old_name, new_name, src_dir_fd=old_parent, dst_dir_fd=new_parent)
            finally:
                os.close(new_parent)
        finally:
            os.close(old_parent)
    except OSError as error:
        raise file_error(error, request.path, "rename") from error


def make_directory(workspace: Workspace, request: MakeDirectory) -> None:
    """Make a directory and those above it. Raises SandboxFileError."""
    path = relative(request.path, str(workspace.path))
    try:
        if path != ".":
            make_directories(workspace.fd, path, workspace.owner)
    except OSError as error:
        raise file_error(error, request.path, "make directory") from error
