"""Two Python processes and a socket pair: what the way there and back costs when nothing is done on it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

# About as long as a request to a worker.
_MESSAGE = b"x" * 64
_ECHO = """
import socket, sys
peer = socket.socket(fileno=int(sys.argv[1]))
while data := peer.recv(65536):
    peer.sendall(data)
"""


class PingPong:
    """`pid` is the other process's."""

    def __init__(self, near: socket.socket, pid: int) -> None:
        self._near = near
        self.pid = pid

    def seconds(self) -> float:
        """One way there and back."""
        begin = time.perf_counter()
        self._near.sendall(_MESSAGE)
        answer = self._near.recv(65536)
        seconds = time.perf_counter() - begin
        if answer != _MESSAGE:
            raise RuntimeError(f"{len(answer)} bytes came back of {len(_MESSAGE)}")
        return seconds


@contextlib.contextmanager
def ping_pong() -> Iterator[PingPong]:
    """The other process, which ends afterwards."""
    near, far = socket.socketpair()
    with near, far:
        arguments = [sys.executable, "-S", "-c", _ECHO, str(far.fileno())]
        with subprocess.Popen(arguments, pass_fds=[far.fileno()]) as process:
            far.close()
            try:
                yield PingPong(near, process.pid)
            finally:
                near.close()
