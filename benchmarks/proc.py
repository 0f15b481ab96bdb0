"""Memory of processes, from the kernel's own accounts."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os


def pss(pid: int) -> float:
    """Bytes of a process's memory, with each page that it shares counted in parts: the sum of all is what is used."""
    return _field(f"/proc/{pid}/smaps_rollup", "Pss:")


def private(pid: int) -> float:
    """Bytes of a process's memory that no other process has mapped."""
    return sum(_field(f"/proc/{pid}/smaps_rollup", name) for name in ("Private_Clean:", "Private_Dirty:"))


def descendants(pid: int) -> list[int]:
    """Pids of everything that a process has started, and those in turn. Nothing of it may be ending."""
    found: list[int] = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            for child in map(int, file.read().split()):
                found += [child, *descendants(child)]
    return found


def forget_peak(pid: int | None = None) -> float:
    """Let a process's peak begin again, this one's if none is named; return the bytes that it has now.

    What is free goes back to the system first, where the C library can: it could be used again without growth.
    """
    if pid is None:
        gc.collect()
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with open(f"/proc/{pid or 'self'}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return peak(pid)


def peak(pid: int | None = None) -> float:
    """The most bytes that a process had at any moment since `forget_peak`; this one if none is named."""
    return _field(f"/proc/{pid or 'self'}/status", "VmHWM:")


def available() -> float:
    """Bytes that can be had without anybody's being pushed out."""
    return _field("/proc/meminfo", "MemAvailable:")


def _field(path: str, name: str) -> float:
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) * 1024.0
    raise LookupError(f"{path} has no {name}")
