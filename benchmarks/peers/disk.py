"""The disk alone: what it takes to make a little durable, which no store does without."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_PAGE = 4096
_PAGES = 256


class Disk:
    """A file that is long enough, so that its file system has nothing of its own to write."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._next = 0
        os.pwrite(fd, bytes(_PAGE * _PAGES), 0)
        os.fsync(fd)

    def seconds(self) -> float:
        """Overwrite a page and wait until it is on the disk."""
        data, self._next = os.urandom(_PAGE), (self._next + 1) % _PAGES
        begin = time.perf_counter()
        os.pwrite(self._fd, data, self._next * _PAGE)
        os.fdatasync(self._fd)
        return time.perf_counter() - begin


@contextlib.contextmanager
def disk(directory: Path) -> Iterator[Disk]:
    """One on the file system of `directory`."""
    with tempfile.NamedTemporaryFile(prefix="disk-", dir=directory) as file:
        yield Disk(file.fileno())
