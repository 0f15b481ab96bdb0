"""Sends a checkpoint to a worker: small parts as bytes, large ones as descriptors of packs that it maps."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.store.parts import Parts

_LENGTH = struct.Struct("<I")
_MOST_FDS = 250


def send(to: socket.socket, parts: Parts, *, as_bytes: bool = False) -> None:
    """Send all of it; blocks as long as the worker does not read. See `inside/python/checkpoints.py`.

    With `as_bytes` large parts go as bytes too: not every worker can receive descriptors.
    """
    if as_bytes:
        _send_bytes(to, parts)
        return
    header = {
        "fds": len(parts.fds),
        "small": [(key, len(data)) for key, data in parts.small.items()],
        "large": [(key, large.size, large.extents) for key, large in parts.large.items()],
    }
    head = json.dumps(header, separators=(",", ":")).encode()
    to.sendall(_LENGTH.pack(len(head)) + head)
    for start in range(0, len(parts.fds), _MOST_FDS):
        socket.send_fds(to, [b"\0"], parts.fds[start : start + _MOST_FDS])
    to.sendall(b"".join(parts.small.values()))


def _send_bytes(to: socket.socket, parts: Parts) -> None:
    keys = [*parts.small, *parts.large]
    header = {"fds": 0, "small": [(key, parts.size(key)) for key in keys], "large": []}
    head = json.dumps(header, separators=(",", ":")).encode()
    to.sendall(_LENGTH.pack(len(head)) + head)
    for key in keys:
        to.sendall(parts.read(key))
