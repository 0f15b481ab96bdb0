"""The file operations of the SDK on a workspace. Whatever hostile code has put there, nothing outside is touched."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterator
from pathlib import Path

from sandbox.beneath import (
    MOST_DEPTH,
    MOST_ENTRIES,
    MOST_PATH_BYTES,
    checked_range,
    file_error,
    make_directories,
    open_directory,
    open_parent,
    open_regular,
    open_to_write,
    relative,
)
from sandbox.engine.scan import printable
from sandbox.engine.workspaces import Workspace
from sandbox.errors import SandboxFileError
from sandbox.inside import tidy
from sandbox.protocol.messages import (
    PIECE,
    FileEntry,
    ListFiles,
    MakeDirectory,
    ReadFile,
    RemoveFile,
    RenameFile,
    StatFile,
    WriteFile,
)

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
# Removed, or replaced by something else, between two looks.
_CHANGED = {errno.ENOENT, errno.EINVAL, errno.ENOTDIR, errno.ESTALE}
# The years 1 to 9999: some file systems keep times for which Python has no datetime.
_FIRST_TIME, _LAST_TIME = -62135596800.0, 253402300799.0
# Hostile code may go on making files while its directory is removed. A removal looks at a directory twice.
_MOST_REMOVED = 4 * MOST_ENTRIES


def reading(workspace: Workspace, request: ReadFile) -> Generator[bytes]:
    """Yield a part of a file's content in pieces, as far as it reached when it was opened. Raises SandboxFileError."""
    path = relative(request.path, str(workspace.path))
    checked_range(request.offset, request.length)
    try:
        fd = open_regular(workspace.fd, path, os.O_RDONLY)
        try:
            yield from _pieces(fd, request.offset, request.length)
        finally:
            os.close(fd)
    except OSError as error:
        raise file_error(error, request.path, "read") from error


def own(path: str | Path, offset: int = 0, length: int | None = None) -> Generator[bytes]:
    """Yield a part of a file of the engine's own in pieces. Raises OSError, UsageError."""
    checked_range(offset, length)
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield from _pieces(fd, offset, length)
    finally:
        os.close(fd)


def _pieces(fd: int, at: int, length: int | None) -> Iterator[bytes]:
    end = os.fstat(fd).st_size
    if length is not None:
        end = min(end, at + length)
    while at < end and (data := os.pread(fd, min(PIECE, end - at), at)):
        yield data
        at += len(data)


def write(workspace: Workspace, request: WriteFile) -> str:
    """Write or append; return the file's path without links. Raises SandboxFileError."""
    path = relative(request.path, str(workspace.path))
    try:
        if parent := os.path.dirname(path):
            make_directories(workspace.fd, parent, workspace.owner)
        fd = open_to_write(workspace.fd, path, workspace.owner, append=request.append)
        try:
            view = memoryview(request.data)
            while view:
                view = view[os.write(fd, view) :]
            return _path_of(workspace, fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise file_error(error, request.path, "write") from error


def _path_of(workspace: Workspace, fd: int) -> str:
    """Where in the workspace an open file or directory is, once all links are followed."""
    top, path = (os.readlink(f"/proc/self/fd/{one}") for one in (workspace.fd, fd))
    return os.path.relpath(path, top)


def listing(workspace: Workspace, request: ListFiles) -> tuple[FileEntry, ...]:
    """List a directory, sorted by path. Raises SandboxFileError.

    With `recursive`, what lies deeper than `MOST_DEPTH` is not listed, nor what vanishes meanwhile.
    """
    top = relative(request.path, str(workspace.path))
    found: list[FileEntry] = []
    path_bytes = 0
    waiting = [top]
    while waiting:
        here = waiting.pop()
        try:
            entries = _entries(workspace.fd, here)
        except OSError as error:
            if here == top:
                raise file_error(error, request.path, "list") from error
            continue  # removed, replaced by a link, or closed to us since its parent was read
        found += (entry for _, entry in entries)
        path_bytes += sum(len(path) for path, _ in entries)
        if len(found) > MOST_ENTRIES or path_bytes > MOST_PATH_BYTES:
            raise _too_many(request.path)
        if request.recursive:
            below = (path for path, entry in entries if entry.kind == "directory")
            waiting += [path for path in below if path.count("/") < MOST_DEPTH]
    return tuple(sorted(found, key=lambda entry: entry.path))


def _entries(workspace: int, path: str) -> list[tuple[str, FileEntry]]:
    """What a directory holds, with the path of each as it is: the one in the entry is only its printable form."""
    fd = open_directory(workspace, path, links=True)
    try:
        found: list[tuple[str, FileEntry]] = []
        with os.scandir(fd) as entries:
            for entry in entries:
                below = os.path.normpath(f"{path}/{entry.name}")
                described = _entry(fd, entry.name, below)
                if described is not None:
                    found.append((below, described))
                if len(found) > MOST_ENTRIES:
                    break
        return found
    finally:
        os.close(fd)


def _too_many(path: str) -> SandboxFileError:
    return SandboxFileError(
        f"cannot list {path!r}: there are more than {MOST_ENTRIES} entries, or their paths take more than "
        f"{MOST_PATH_BYTES >> 20} MB; list the directories below it one by one",
        {"path": path},
    )


def describe(workspace: Workspace, request: StatFile) -> FileEntry:
    """Describe one file; of a link, the link itself. Raises SandboxFileError."""
    path = relative(request.path, str(workspace.path))
    try:
        if path == ".":
            return _described(path, os.fstat(workspace.fd), None)
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
    except OSError as error:
        if error.errno in _CHANGED:
            return None
        raise
    return _described(path, status, target)


def _described(path: str, status: os.stat_result, target: str | None) -> FileEntry:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
    return FileEntry(
        path=printable(path),
        kind=kind,
        size=status.st_size if kind == "file" else 0,
        mode=stat.S_IMODE(status.st_mode),
        modified_at=min(max(status.st_mtime, _FIRST_TIME), _LAST_TIME),
        target=target and printable(target),
    )


def remove(workspace: Workspace, request: RemoveFile) -> str:
    """Remove a file, an empty directory, or a whole one if `recursive`. Returns its path without links.

    Raises SandboxFileError.
    """
    path = relative(request.path, str(workspace.path))
    try:
        parent, name = open_parent(workspace.fd, path)
        try:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                os.unlink(name, dir_fd=parent)
            elif request.recursive:
                tidy.remove_entry(parent, name, most=_MOST_REMOVED)
            else:
                os.rmdir(name, dir_fd=parent)
            return os.path.normpath(f"{_path_of(workspace, parent)}/{name}")
        finally:
            os.close(parent)
    except OSError as error:
        raise file_error(error, request.path, "remove") from error


def rename(workspace: Workspace, request: RenameFile) -> tuple[str, str]:
    """Rename, making missing directories above the target. Returns both paths without links.

    Raises SandboxFileError.
    """
    path, target = relative(request.path, str(workspace.path)), relative(request.target, str(workspace.path))
    try:
        if os.path.dirname(target):
            make_directories(workspace.fd, os.path.dirname(target), workspace.owner)
        old_parent, old_name = open_parent(workspace.fd, path)
        try:
            new_parent, new_name = open_parent(workspace.fd, target)
            try:
                os.rename(old_name, new_name, src_dir_fd=old_parent, dst_dir_fd=new_parent)
                old, new = _path_of(workspace, old_parent), _path_of(workspace, new_parent)
                return os.path.normpath(f"{old}/{old_name}"), os.path.normpath(f"{new}/{new_name}")
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


def in_pieces(content: bytes) -> Generator[bytes]:
    """Yield what is here already, piece by piece."""
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]
