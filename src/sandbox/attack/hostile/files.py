"""Files, directories and devices."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import tempfile

from . import Stopped, name_of

_libc = ctypes.CDLL(None, use_errno=True)


def read(path: str, most: int = 4096) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(fd, most).decode("utf-8", "replace")
    finally:
        os.close(fd)


def read_all(paths: list[str]) -> dict[str, str]:
    """Try to read each; return the text or the errno by path."""
    return {path: _text_or_error(path) for path in paths}


def _text_or_error(path: str) -> str:
    try:
        return read(path, 64)
    except OSError as error:
        return name_of(error)


def write(path: str, text: str = "x") -> bool:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
    return True


def openable(paths: list[str]) -> list[str]:
    """Open files for writing, without a change; return those that could be."""
    found, refused = [], "ENOENT"
    for path in paths:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            found.append(path)
        except OSError as error:
            refused = name_of(error) if name_of(error) != "ENOENT" else refused
    if not found:
        raise Stopped(refused)
    return found


def create(path: str, text: str = "x") -> str:
    """Create a file and read it back."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return read(path)


def make_temporary() -> str:
    """Make a file where temporary files go; return its path."""
    path = os.path.join(tempfile.gettempdir(), "note")
    create(path)
    return path


def names(path: str) -> list[str]:
    return sorted(os.listdir(path))


def exists(path: str) -> bool:
    os.lstat(path)
    return True


def read_link(path: str) -> str:
    return os.readlink(path)


def read_by_steps(path: str) -> str:
    """Read a file by a relative path that goes up further than there are directories."""
    return read("../" * 64 + path.lstrip("/"))


def readable(paths: list[str]) -> list[str]:
    """Read the beginning of files; return those that have one."""
    found, refused = [], "ENOENT"
    for path in paths:
        try:
            if read(path, 64):
                found.append(path)
        except OSError as error:
            refused = name_of(error) if name_of(error) != "ENOENT" else refused
    if not found and refused != "ENOENT":
        raise Stopped(refused)
    return found


def open_memory(path: str) -> bool:
    """Open another process's memory."""
    os.close(os.open(path, os.O_RDONLY))
    return True


def own(path: str) -> bool:
    """Set a file's owner, to whom it belongs already."""
    status = os.stat(path)
    os.chown(path, status.st_uid, status.st_gid)
    return True


def mode_changed(path: str) -> bool:
    """Change a file's mode and change it back; return whether it did."""
    before = os.stat(path).st_mode & 0o777
    os.chmod(path, before & ~0o022)
    changed = os.stat(path).st_mode & 0o777 != before
    os.chmod(path, before)
    return changed


def truncate(path: str) -> None:
    os.truncate(path, 0)


def remove(path: str) -> None:
    os.unlink(path)


def rename(source: str, target: str) -> None:
    os.rename(source, target)


def link_to(source: str, target: str) -> str:
    """Make a hard link to a file and read it through the link."""
    os.link(source, target)
    return read(target)


def follow_link_to(path: str, link: str = "link") -> str:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(link)
    os.symlink(path, link)
    return read(link)


def read_by_descriptor_of_parent(path: str) -> str:
    """Go to the directory, then read by a relative path; and through an O_PATH descriptor."""
    fd = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        return read(f"/proc/self/fd/{fd}/{os.path.basename(path)}")
    finally:
        os.close(fd)


def run_program(*argv: str) -> str:

    return subprocess.run(list(argv), capture_output=True, text=True, check=False, timeout=10).stdout


def make_device(path: str) -> bool:
    """Make a device of one's own, as /dev/mem, and remove it."""
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 1))
    os.unlink(path)
    return True


def is_read_only(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def devices() -> dict[str, list[int]]:
    """Major and minor number of every device below /dev, by path."""
    found = {}
    for directory, _, files in os.walk("/dev"):
        for name in files:
            status = os.lstat(os.path.join(directory, name))
            if status.st_mode & 0o170000 in {0o020000, 0o060000}:
                found[os.path.join(directory, name)] = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    return found


def risky_devices(harmless: list[list[int]]) -> list[str]:
    """Devices that can be seen, but for those of these numbers."""
    return [path for path, numbers in devices().items() if numbers not in harmless]


def open_terminal() -> str:
    controller, terminal = os.openpty()
    try:
        return os.ttyname(terminal)
    finally:
        os.close(controller)
        os.close(terminal)


def mode_after_chmod(path: str, mode: int) -> int:
    os.chmod(path, mode)
    return os.stat(path).st_mode & 0o777


def watch(path: str) -> bool:
    """Have the kernel tell the names of what is used below a directory."""
    fd = _libc.inotify_init1(os.O_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    try:
        if _libc.inotify_add_watch(fd, os.fsencode(path), 0xFFF) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")
    finally:
        os.close(fd)
    return True


def interpreter() -> list[str]:
    return [sys.base_prefix, sys.prefix, sys.executable]


def source_of_the_standard_library() -> str:
    return read(os.__file__)
