"""What only the past of a session holds is let go, and memory that was freed goes back to the system.

An execution that took little pays for one look at the process's size. Measured on 200 MB each, what outlives its
execution is: the last value, as `_`; figures that were shown and closed, and other garbage in cycles, until Python
happens to look for it; free memory of the C library's below something that is still in use. The variables of a
function that raised are let go in `run.py`, and the text and code of earlier cells are bounded in `cells.py`.
"""

import ctypes
import fcntl
import gc
import os
import resource
import select
from contextlib import suppress
from time import perf_counter

from .display import Display

# Below that nobody notices, and looking costs more than there is to gain.
_WORTH = 32 << 20
# Garbage is looked for when the process has grown by this part, so that looking takes a part of what growing took.
_SHARE = 4
_IDLE_SECONDS = 0.1
_PAUSE = 20  # times what giving back took the last time, until the next one
_OUT_OF_THE_WAY = 1000  # of code that takes the lowest numbers for its own
_PAGE = resource.getpagesize()
_trim = getattr(ctypes.PyDLL(None), "malloc_trim", None)  # of glibc alone


class Past:
    """Made before the fork; `open` comes first in the worker."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._statm = -1
        self._begun = 0
        self._line = 0
        self._untidy = False
        self._took = 0.0

    def open(self) -> None:
        """Note how much memory the worker begins with. Where that cannot be seen, nothing is done here."""
        with suppress(OSError):
            fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
            self._statm = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
            os.close(fd)
        self._begun = self._size()
        self._line = self._begun + _WORTH

    def leave(self) -> None:
        """A cell has ended, and nothing of it is on the stack. May run code of the user's: what objects do last."""
        size = self._size()
        if size < self._begun + _WORTH:
            return
        self._display.forget_value()
        if size > self._line and gc.isenabled():
            gc.collect()
            size = self._size()
            self._line = self._next_line(size)
        self._line = min(self._line, self._next_line(size))
        self._untidy = True

    def give_back(self, requests: int) -> None:
        """Give what is free back to the system, unless a request comes within a moment."""
        if not self._untidy or _trim is None:
            return
        waiting = select.poll()
        waiting.register(requests, select.POLLIN)
        if waiting.poll(1000 * max(_IDLE_SECONDS, _PAUSE * self._took)):
            return
        begin = perf_counter()
        _trim(0)
        self._took = perf_counter() - begin
        self._untidy = False

    def _next_line(self, size: int) -> int:
        return size + max(_WORTH, (size - self._begun) // _SHARE)

    def _size(self) -> int:
        """Bytes of memory that are no file's; 0 if that cannot be seen, since code may close what is not its own."""
        try:
            _, resident, of_files, _ = os.pread(self._statm, 64, 0).split(None, 3)
            return (int(resident) - int(of_files)) * _PAGE
        except (OSError, ValueError):
            return 0
