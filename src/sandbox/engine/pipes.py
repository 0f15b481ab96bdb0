"""The reading ends of a process's stdout and stderr, in the engine's event loop."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Callable

CHUNK = 64 * 1024
"""What a pipe holds. Larger buffers are mapped and unmapped for each read, which costs more than the read."""


class Pipe:
    """Reads one pipe and hands on what comes. `on_data` gets the bytes; b"" means that no writer is left."""

    def __init__(self, fd: int, on_data: Callable[[bytes], None]) -> None:
        self._fd = fd
        self._on_data = on_data
        self._reading = False
        os.set_blocking(fd, False)
        self.resume()

    def _on_readable(self) -> None:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return
        if not data:
            self.close()
        self._on_data(data)

    def pause(self) -> None:
        """Stop reading: the writer is held up when the pipe is full."""
        if self._reading:
            asyncio.get_running_loop().remove_reader(self._fd)
            self._reading = False

    def resume(self) -> None:
        if not self._reading and self._fd >= 0:
            asyncio.get_running_loop().add_reader(self._fd, self._on_readable)
            self._reading = True

    def drain(self) -> None:
        """Read what is in the pipe at this moment, and no more: a writer that never stops must not keep us here."""
        if self._fd < 0:
            return
        (waiting,) = struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, b"\0\0\0\0"))
        while waiting > 0 and self._fd >= 0:
            try:
                data = os.read(self._fd, min(waiting, CHUNK))
            except BlockingIOError:
                return  # somebody inside has opened the pipe for reading, and took what was there
            waiting -= len(data)
            if not data:
                return
            self._on_data(data)

    def close(self) -> None:
        if self._fd >= 0:
            self.pause()
            os.close(self._fd)
            self._fd = -1
