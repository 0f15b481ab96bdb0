"""sys.stdout and sys.stderr of a worker: text over descriptors 1 and 2, which are pipes to the engine.

Few writes go straight to the pipe, so that output is seen while code runs. Many in a short time are collected,
and a thread that lives only that long writes what is left: a program that prints a million lines is not slowed
down by a million system calls. Switching between the two streams waits until the engine has read the first.
"""

import _thread
import contextlib
import io
import os
import time
from collections.abc import Iterator

from .channel import Channel

_BUFFER = 64 * 1024
_FREE_WRITES = 64
_WINDOW = 0.005


class Stream(io.TextIOWrapper):
    """One of the two text streams. `streams` is what they share: who wrote last, and the flushing thread."""

    def __init__(self, fd: int, name: str, streams: "Streams") -> None:
        raw = io.FileIO(fd, "w", closefd=False)
        super().__init__(io.BufferedWriter(raw, _BUFFER), encoding="utf-8", errors="backslashreplace", newline="\n")
        self._streams = streams
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
        now = time.monotonic()
        if now - self._window > _WINDOW:
            self._window = now
            self._writes = 0
            self.flush()
        elif not self._streams.flushing:
            self._streams.start_flushing()

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
                time.sleep(_WINDOW)
                before = self.out._writes, self.err._writes
                self.out.flush()
                self.err.flush()
                quiet = 0 if (self.out._writes, self.err._writes) != before else quiet + 1
        finally:
            self.flushing = False
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
