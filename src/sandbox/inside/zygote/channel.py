"""One message with its descriptors on a SOCK_SEQPACKET socket: the kernel keeps the boundaries."""

import array
import json
import os
import socket
from typing import Any

MAX_MESSAGE = 128 * 1024
MAX_DESCRIPTORS = 64


def send(sock: socket.socket, message: dict[str, Any], fds: "tuple[int, ...]" = ()) -> None:
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([json.dumps(message).encode()], ancillary)


def receive(sock: socket.socket) -> "tuple[dict[str, Any], list[int]] | None":
    """Return the next message and its descriptors, or None when the other side is gone."""
    try:
        try:
            data, ancillary, flags, _ = _received(sock)
        except ConnectionResetError:
            # The other side has closed with something of ours unread. That is told once, and before what it has said.
            data, ancillary, flags, _ = _received(sock)
    except ConnectionError:
        return None
    fds = [
        fd
        for level, kind, payload in ancillary
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        for fd in array.array("i", payload[: len(payload) // 4 * 4])
    ]
    if not data:
        return None
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for fd in fds:
            os.close(fd)
        raise ValueError("a message was cut off")
    return json.loads(data), fds


def _received(sock: socket.socket) -> "tuple[bytes, list[tuple[int, int, bytes]], int, Any]":
    return sock.recvmsg(MAX_MESSAGE, socket.CMSG_SPACE(MAX_DESCRIPTORS * 4), socket.MSG_CMSG_CLOEXEC)
