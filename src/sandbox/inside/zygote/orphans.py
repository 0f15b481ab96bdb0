"""Ending what has lost its parent and came to this process, its subreaper."""

import contextlib
import os
import signal


def end_all(but: "set[int]") -> None:
    """Kill and reap every child of this process except the pids in `but`, until there are no more."""
    while True:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            found = {int(pid) for pid in file.read().split()} - but
        for pid in found:
            end(pid)
        if not found:
            return


def end(pid: int) -> None:
    """Kill and reap one child."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
