"""Takes the exit of processes that nobody will: those whose parent ended before them.

They are handed to the worker, which is their process 1, and count as processes of the sandbox until somebody has
waited for them: programs that put themselves into the background would use up the limit in a long session, or in an
execution that starts many.
"""

import contextlib
import os
import resource
import sys
from _thread import _count as started_threads
from collections.abc import Iterator

# A child of the code's own may wait for its turn to be waited for. That many at once are nobody's.
_MANY = 24
# Within an execution those are its own more often: none is taken before they use up this part of the limit.
_SHARE = 2


def make_room() -> None:
    """Before a program is started: take exits when they leave little room for it.

    Not while there are threads: another may have started a program, and not yet noted its pid.
    """
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if limit != resource.RLIM_INFINITY and not started_threads():
        take_exits(max(_MANY, limit // _SHARE))


def take_exits(many: int = _MANY) -> None:
    """If many processes have ended and were not waited for, wait for those without an owner."""
    if not _somebody_ended():
        return
    try:
        ended = list(_ended())
    except OSError:
        return  # the code holds all descriptors that it may have: later, then
    if len(ended) >= many:
        for pid in set(ended) - _owned():
            _wait(pid)


def _somebody_ended() -> bool:
    """One cheap look, which takes nothing."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _ended() -> Iterator[int]:
    """The children that have ended, whichever thread started them."""
    for thread in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{thread}/children", encoding="ascii") as file:
                children = [int(pid) for pid in file.read().split()]
        except FileNotFoundError:
            continue  # the thread has ended, or the kernel has no such file
        yield from filter(_has_ended, children)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _owned() -> "set[int]":
    """The processes that an object of the standard library stands for: its owner will ask it how they ended."""
    owned: set[int] = set()
    if (subprocess := sys.modules.get("subprocess")) is not None:
        import gc  # noqa: PLC0415 - rarely needed

        # By type and not by isinstance, which asks the objects: theirs may be anybody's __class__.
        started = (vars(thing).get("pid") for thing in gc.get_objects() if type(thing) is subprocess.Popen)
        owned.update(pid for pid in started if isinstance(pid, int))
    if (process := sys.modules.get("multiprocessing.process")) is not None:
        owned.update(child.pid for child in process.__dict__["_children"])
    return owned


def _wait(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # a thread of the code's was faster
        os.waitpid(pid, os.WNOHANG)
