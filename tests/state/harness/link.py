"""Messages between the harness and its workers: JSON, then as many raw bytes as it says; descriptors go along."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from json import dumps, loads  # by themselves: a case may put something else into the module
from typing import Any

_HEADER = struct.Struct("<II")


class Closed(Exception):
    """The other side has ended."""


class Link:
    """One end of a socket between two processes of the harness."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def send(
        self, message: dict[str, Any], pieces: Iterable[bytes | bytearray | memoryview] = (), fds: Sequence[int] = ()
    ) -> None:
        views = [memoryview(piece).cast("B") for piece in pieces]
        body = dumps({**message, "payload": sum(map(len, views))}).encode()
        try:
            socket.send_fds(self.sock, [_HEADER.pack(len(body), len(fds))], fds)
            self.sock.sendall(body)
            for view in views:
                self.sock.sendall(view)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def receive(self) -> tuple[dict[str, Any], bytes, list[int]]:
        try:
            header, fds, _, _ = socket.recv_fds(self.sock, _HEADER.size, 8)
            if not header:
                raise Closed
            length, _ = _HEADER.unpack(header + self._exactly(_HEADER.size - len(header)))
            message: dict[str, Any] = loads(self._exactly(length))
            return message, bytes(self._exactly(message.pop("payload"))), fds
        except ConnectionResetError:
            raise Closed from None

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            got = self.sock.recv_into(view)
            if not got:
                raise Closed
            view = view[got:]
        return data

    def close(self) -> None:
        self.sock.close()
