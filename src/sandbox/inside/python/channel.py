"""The worker's end of the control socket: requests in, events out, and marks that keep outputs in order.

The engine reads stdout and stderr from pipes and events from this socket. Before it looks at an event it takes
what is in the pipes, so output written before an event stays before it. `mark` waits until the engine has done
so, and therefore output written after the mark stays after it.
"""

import os
import threading
from json import loads  # this one, whatever a cell makes of the module
from typing import Any

from ..wire import frames

_CHUNK = 64 * 1024
_MOST_ACKS = 64
_OUT_OF_MEMORY = frames.encode({"event": "out_of_memory"})


class Channel:
    """Sends frames from any thread, receives in the main one. Silent in processes that user code forked."""

    def __init__(self) -> None:
        """Made before the fork, in the zygote; `open` connects it in the worker."""
        self._control = -1
        self._ack = -1
        self._owner = -1
        self._buffer = frames.FrameBuffer()
        self._waiting: list[bytes] = []
        # Reentrant, because the handler of a signal may print or show something while a frame is being written.
        self._lock = threading.RLock()
        self._writing = False
        self._deferred: list[bytes] = []
        self._marks = 0
        self._acked = 0

    def open(self, control: int, ack: int) -> None:
        """Use these descriptors from now on, in this process only."""
        self._control, self._ack, self._owner = control, ack, os.getpid()

    @property
    def mine(self) -> bool:
        """False in the zygote, and in a process that user code has forked: it must leave the socket alone."""
        return os.getpid() == self._owner

    def fileno(self) -> int:
        return self._control

    def send(self, message: dict[str, Any]) -> None:
        if self.mine:
            data = frames.encode(message)
            with self._lock:
                self._write(data)

    def send_out_of_memory(self) -> None:
        """The last event of a worker that has no memory to make one."""
        if self.mine:
            os.write(self._control, _OUT_OF_MEMORY)

    def mark(self, message: "dict[str, Any] | None" = None) -> None:
        """Send `message` and wait until the engine has read everything that was written before it."""
        if not self.mine:
            return
        message = message or {"event": "mark"}
        with self._lock:
            if self._writing:
                self._write(frames.encode(message))  # from a signal's handler: it cannot wait for what it interrupts
                return
            self._marks += 1
            self._write(frames.encode({**message, "ack": True}))
            # Counted, because an interrupt can end this wait and leave an acknowledgement behind.
            while self._acked < self._marks:
                self._acked += self._read_acks()

    def _read_acks(self) -> int:
        acks = os.read(self._ack, _MOST_ACKS)
        if not acks:
            raise BrokenPipeError("the engine is gone")
        return len(acks)

    def _write(self, data: bytes) -> None:
        """Write a whole frame, whatever the handler of a signal does meanwhile: half of one is a broken protocol."""
        if self._writing:
            self._deferred.append(data)
            return
        self._writing = True
        written: list[int] = []
        try:
            self._write_rest(data, written)
        except BaseException:
            self._write_rest(data, written)
            raise
        finally:
            self._writing = False
        while self._deferred:
            self._write(self._deferred.pop(0))

    def _write_rest(self, data: bytes, written: "list[int]") -> None:
        while (start := sum(written)) < len(data):
            # The count goes from the call to the list without Python in between, where a handler could raise.
            written.extend(map(os.write, (self._control,), (memoryview(data)[start:],)))

    def receive(self) -> "dict[str, Any] | None":
        """Return the next request, or None when the engine has closed the socket."""
        while not self._waiting:
            data = os.read(self._control, _CHUNK)
            if not data:
                return None
            self._waiting.extend(self._buffer.feed(data))
        self._marks = self._acked = 0  # an interrupt may have come between a mark and its frame
        request: dict[str, Any] = loads(self._waiting.pop(0))
        return request

    @property
    def has_request(self) -> bool:
        return bool(self._waiting)
