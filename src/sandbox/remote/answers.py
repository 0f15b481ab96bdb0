"""What servers send: frames of events, and errors with a status. Does no I/O."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from sandbox.errors import ProtocolError, SandboxConnectionError, SandboxError, from_wire

_LENGTH = struct.Struct(">I")
_LAST = 1 << 31
_MOST_BYTES = 512 * 1024 * 1024


class Frames:
    """Finds events in what arrives. Each comes after its length, of which the highest bit marks the last event."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield the events that are whole now. Raises ProtocolError."""
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= _LENGTH.size:
            (head,) = _LENGTH.unpack_from(self._buffer, at)
            length = head & ~_LAST
            if length > _MOST_BYTES:
                raise ProtocolError(f"the server announced an event of {length} bytes")
            if len(self._buffer) - at - _LENGTH.size < length:
                break
            at += _LENGTH.size
            if length:  # an empty one only says that the server is there
                with memoryview(self._buffer) as view:
                    data = bytes(view[at : at + length])
                yield data, bool(head & _LAST)
            at += length
        del self._buffer[:at]


class _Problem(msgspec.Struct):
    code: str
    message: str
    details: dict[str, Any] = {}


class _Body(msgspec.Struct):
    error: _Problem


def error_of(status: int, body: bytes, url: str) -> SandboxError:
    """The error that an answer with this status is."""
    try:
        found = msgspec.json.decode(body, type=_Body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = body[:200].decode("utf-8", "replace")
        return SandboxConnectionError(f"{url} answered with status {status}, and not as a server of sandboxes: {said}")
    return from_wire(found.code, found.message, found.details)


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for a URL; none for this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_here(host) or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
