"""Files that have been removed and are still open: they take up disk, and no look at the workspace finds them."""

from __future__ import annotations

import contextlib
import os
import stat

# How many descriptors one look takes in. The whole is bounded by the processes and open files of a sandbox.
_MOST = 50_000


def unnamed_bytes(pids: list[int], device: int) -> int:
    """Add up the removed files on `device` that these processes hold open, each file once."""
    found: dict[int, int] = {}
    left = _MOST
    for pid in pids:
        with contextlib.suppress(OSError):  # it ended
            for fd in os.listdir(f"/proc/{pid}/fd"):
                left -= 1
                with contextlib.suppress(OSError):  # it was closed
                    status = os.stat(f"/proc/{pid}/fd/{fd}")
                    if status.st_nlink == 0 and status.st_dev == device and stat.S_ISREG(status.st_mode):
                        found[status.st_ino] = status.st_blocks * 512
                if left < 0:
                    break
    return sum(found.values())
