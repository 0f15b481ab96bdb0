"""sys.stdout and sys.stderr of a worker: text over descriptors 1 and 2, which are pipes to the engine.

Few writes go straight to the pipe, so that output is seen while code runs. Many in a short time are collected,
and a thread that lives only that long writes what is left: a program that prints a million lines is not slowed
down by a million system calls. Switching between the two streams waits until the engine has read the first.
"""

import _thread
import contextlib
import io
import os
from collections.abc import Iterator
from time import monotonic, sleep  # by name: deterministic mode replaces those of the module
from typing import TYPE_CHECKING

from .channel import Channel

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_BUFFER = 64 * 1024
_FREE_WRITES = 64
_WINDOW = 0.005


class _Pipe(io.FileIO):
    """Counts what is written, so that the flushing thread can see whether anything was."""

    written = 0

    def write(self, data: "ReadableBuffer", /) -> int:
        self.written += 1
        return super().write(data) or 0  # None on a descriptor that the program made non-blocking


WRITING = _Pipe.write.__code__
"""Code in which no interrupt may be raised: what was written just then would be written again."""


class Stream(io.TextIOWrapper):
    """One of the two text streams. `streams` is what they share: who wrote last, and the flushing thread."""

    def __init__(self, fd: int, name: str, streams: "Streams") -> None:
        self._raw = raw = _Pipe(fd, "w", closefd=False)
        super().__init__(io.BufferedWriter(raw, _BUFFER), encoding="utf-8", errors="backslashreplace", newline="\n")
        self._streams = streams
        self._fast: object = None
        self._writes = 0
        self._window = 0.0
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def write(self, text: str, /) -> int:
        streams = self._streams
        if streams.last is not self:
            streams.switch_to(self)
        count = super().write(text)
        self._writes += 1
        if self._writes <= _FREE_WRITES:
            self.flush()
        else:
            self._hold()
        return count

    def _hold(self) -> None:
        """Collect: the buffer writes itself when full, the thread when time is up, and a quiet time ends it."""
        now = monotonic()
        if now - self._window > _WINDOW:
            self._window = now
            self._writes = 0
            self.flush()
        elif not self._streams.flushing:
            # From here print calls the C method and not ours, which costs twice as much as all the rest of a line.
            if "write" not in self.__dict__:  # else the program's own
                self.__dict__["write"] = self._fast = super().write
            self._streams.start_flushing()

    def slow(self) -> None:
        """See each write again."""
        if self.__dict__.get("write") is self._fast:
            self.__dict__.pop("write", None)
        self._writes = 0

    def close(self) -> None:
        """Do nothing: later executions need the stream (`with sys.stdout:` and `sys.stdout.close()` are harmless)."""
        self.flush()


@contextlib.contextmanager
def streams_on_pipes() -> "Iterator[None]":
    """Let descriptors 1 and 2 be pipes for a moment, as they will be in the worker.

    A text stream asks at its making whether it can seek, and remembers the answer.
    """
    saved = [os.dup(fd) for fd in (1, 2)]
    ends = os.pipe()
    try:
        for fd in (1, 2):
            os.dup2(ends[1], fd)
        yield
    finally:
        for fd, old in zip((1, 2), saved, strict=True):
            os.dup2(old, fd)
        for fd in (*ends, *saved):
            os.close(fd)


class Streams:
    """The pair of streams of a worker."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.out = Stream(1, "<stdout>", self)
        self.err = Stream(2, "<stderr>", self)
        self.last: Stream | None = None
        self.flushing = False
        self._stopped = _thread.allocate_lock()

    def switch_to(self, stream: Stream) -> None:
        """Make sure that what the other stream wrote is read before `stream` writes."""
        if self.last is not None:
            self.last.slow()
            self.last.flush()
            self.channel.mark()
        self.last = stream

    def start_flushing(self) -> None:
        self.flushing = True
        self._stopped.acquire()
        _thread.start_new_thread(self._flush_for_a_while, ())

    def _flush_for_a_while(self) -> None:
        """Write what is held until nothing has come for some windows, then end."""
        try:
            quiet = 0
            while self.flushing and quiet < 20:
                sleep(_WINDOW)
                before = self.out._raw.written, self.err._raw.written
                self.out.flush()
                self.err.flush()
                quiet = 0 if (self.out._raw.written, self.err._raw.written) != before else quiet + 1
        finally:
            # In this order: what is written from here on is flushed by its writer, or by the next such thread.
            self.flushing = False
            self.out.slow()
            self.err.slow()
            self._stopped.release()

    def settle(self) -> None:
        """Write everything and end the thread: between executions a worker has no thread of ours."""
        self.flushing = False
        with self._stopped:
            pass
        self.out.flush()
        self.err.flush()
        self.last = None
        self.out._writes = self.err._writes = 0
