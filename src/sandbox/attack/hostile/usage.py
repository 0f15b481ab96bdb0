"""Using things up, and not stopping."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import resource
import select
import signal
import subprocess
import tempfile
import threading
import time
from typing import Any

from . import find

_libc = ctypes.CDLL(None, use_errno=True)


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def spin_in_children(count: int, seconds: float) -> float:
    """Keep `count` processes busy; return the cpu time that they got together."""
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            spin(seconds)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    times = os.times()
    return times.children_user + times.children_system


def fork_until_refused() -> None:
    """Fork until the kernel refuses; the processes stay."""
    while True:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)


def fork_for_ever() -> None:
    while True:
        with contextlib.suppress(OSError):
            os.fork()


def children_at_once(count: int, seconds: float = 0.3) -> int:
    """Have children all at the same time, for a while; return how many there were."""
    children: list[int] = []
    try:
        while len(children) < count:
            child = os.fork()
            if child == 0:
                time.sleep(600)
                os._exit(0)
            children.append(child)
        time.sleep(seconds)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return len(children)


def start_threads(count: int) -> int:

    done = threading.Event()
    threads: list[threading.Thread] = []
    try:
        for _ in range(count):
            thread = threading.Thread(target=done.wait, daemon=True)
            thread.start()
            threads.append(thread)
        time.sleep(0.5)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    return len(threads)


def hold_memory_in_children(count: int, size: int, seconds: float = 0.5, patience: float = 20) -> int:
    """Let each child take memory and keep it for a while; return how many had it at the same time."""
    ready, write = os.pipe()
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            held = b"x" * size
            os.write(write, b"r")
            time.sleep(600 if held else 0)
            os._exit(0)
        children.append(child)
    os.close(write)
    held_by = _bytes_that_come(ready, count, patience)
    time.sleep(seconds)
    alive = [child for child in children if os.waitpid(child, os.WNOHANG) == (0, 0)]
    for child in alive:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os.close(ready)
    return min(len(alive), held_by)


def _bytes_that_come(fd: int, count: int, patience: float) -> int:
    """Read until there were `count`, or nothing new came for a while, or the last writer has ended."""
    came = 0
    while came < count and select.select([fd], [], [], patience if came == 0 else patience / 10)[0]:
        data = os.read(fd, count)
        if not data:
            break
        came += len(data)
    return came


def share_memory(count: int, size: int) -> None:
    """Take memory that is mapped as shared, which no limit of a process counts."""
    held = []
    for _ in range(count):
        held.append(mmap.mmap(-1, size))
        held[-1].write(b"x" * size)
        time.sleep(0.05)
    time.sleep(600)


def share_with_children(count: int, size: int) -> int:
    """Share memory with children that all read it; return how many could."""
    with mmap.mmap(-1, size) as shared:
        shared.write(b"x" * size)
        for _ in range(count):
            if os.fork() == 0:
                code = shared.find(b"y")
                time.sleep(0.5)
                os._exit(0 if code == -1 else 1)
        return sum(os.waitpid(-1, 0)[1] == 0 for _ in range(count))


def fill(path: str, count: int = 200, size: int = 1 << 20, pause: float = 0.02) -> None:
    """Write files of `size` bytes."""
    block = bytes(1 << 20)
    for number in range(count):
        with open(f"{path}{number}", "wb") as file:
            file.writelines(block for _ in range(size >> 20))
        time.sleep(pause)


def fill_without_names(count: int = 200) -> None:
    """Write to files that are removed while they are open."""
    block = bytes(1 << 20)
    for _ in range(count):
        held = os.open("nameless", os.O_WRONLY | os.O_CREAT)
        os.unlink("nameless")
        os.write(held, block)
        time.sleep(0.02)


def fill_and_close(directory: str) -> None:
    """Write files into a directory that is closed, even to its owner, most of the time."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    for number in range(200):
        os.fchmod(fd, 0o700)
        with open(os.open(f"f{number}", os.O_WRONLY | os.O_CREAT, dir_fd=fd), "wb") as file:
            file.write(bytes(1 << 20))
        os.fchmod(fd, 0)
        time.sleep(0.02)


def more_inotify_instances(most: int) -> bool:
    """Make one instance more than `most`, and let go of them."""
    made: list[int] = []
    try:
        while len(made) <= most:
            made.append(_libc.inotify_init1(os.O_CLOEXEC))
            if made[-1] < 0:
                raise OSError(ctypes.get_errno(), "inotify_init1")
    finally:
        for fd in made:
            os.close(fd) if fd >= 0 else None
    return True


def take_inotify_instances(most: int) -> int:
    """Make instances until there are no more, and keep them; return how many there were."""
    count = 0
    while count <= most and _libc.inotify_init1(os.O_CLOEXEC) >= 0:
        count += 1
    return count


def raise_limits() -> list[str]:
    """Try to raise each limit; return the names of those that could be."""
    raised = []
    for name in ("RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_CORE"):
        kind = getattr(resource, name)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (resource.getrlimit(kind)[1] + 1, resource.getrlimit(kind)[1] + 1))
            raised.append(name)
    return raised


def try_to_leave_its_cpus() -> None:
    with contextlib.suppress(OSError):
        find("change_affinity")()


def deadlock() -> None:

    one, other = threading.Lock(), threading.Lock()
    one.acquire()

    def wait() -> None:
        with other, one:
            pass

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    while not other.locked():
        time.sleep(0)
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            other.acquire()


def hold_the_lock(after: float, seconds: int) -> None:
    """Keep every other thread of the interpreter from running: a call into C that does not let go of its lock."""
    time.sleep(after)
    ctypes.PyDLL(None).sleep(seconds)


def in_background(name: str, *arguments: Any) -> None:
    """Run an attack in a process that goes on when the execution has ended."""
    if os.fork() == 0:
        find(name)(*arguments)
        os._exit(0)


def leave_behind(seconds: str) -> None:
    """Start sleepers in three ways that are not noticed when a parent ends."""
    subprocess.Popen(["sleep", seconds])
    subprocess.Popen(["/bin/sh", "-c", f"trap '' HUP INT TERM; exec sleep {seconds}"], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            _ignore_signals()
            os.execvp("sleep", ["sleep", seconds])
        os._exit(0)


def _ignore_signals() -> None:
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def fill_temporary(count: int) -> None:
    """Write files of 1 MB where temporary files go."""
    for _ in range(count):
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(bytes(1 << 20))
        time.sleep(0.01)


def print_block(size: int) -> None:
    """Print a line of this length."""
    os.write(1, b"x" * (size - 1) + b"\n")


def ignore_interrupts(seconds: float) -> None:
    """Go on for a while, whoever asks to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(left)
