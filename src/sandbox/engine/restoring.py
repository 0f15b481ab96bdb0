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


def send(to: socket.socket, parts: Parts) -> None:
    """Send all of it; blocks as long as the worker does not read. See `inside/python/checkpoints.py`."""
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
