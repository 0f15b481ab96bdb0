"""Ending what has lost its parent and came to this process, its subreaper."""

import contextlib
import os
import signal


def end_all(but: "set[int]") -> None:
    """Kill and reap every child of this process except the pids in `but`, until there are no more.

    All of them are killed before the first is waited for. What forks without end makes a new process for each that
    is ended one by one, but has no time for it between one signal and the next.
    """
    while found := _children(os.getpid()) - but:
        for pid in _with_descendants(found):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in found:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _with_descendants(pids: "set[int]") -> "list[int]":
    """The processes themselves, then their children, and so on."""
    found: list[int] = []
    level = pids
    while level:
        found += level
        level = {child for pid in level for child in _children(pid)}
    return found


def _children(pid: int) -> "set[int]":
    """The children of every thread of a process; none if it has ended."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found.update(map(int, file.read().split()))
    return found
