"""The first message of TLS, read only as far as it takes to learn which server is meant. Bytes of hostile code.

Strict: lengths have to fit exactly, one name at most, no extension twice. What is not understood is refused.
"""

from __future__ import annotations

from typing import NamedTuple

MOST_BYTES = 64 * 1024
HANDSHAKE = 22
"""How every connection by TLS begins."""
_CLIENT_HELLO = 1
_SERVER_NAME, _ENCRYPTED_HELLO = 0, 0xFE0D
_MOST_RECORD = 1 << 14
# Clients use one. Each piece that comes has all of them looked at again.
_MOST_RECORDS = 32


class BadHello(Exception):
    """Not a ClientHello, or one that hides which server is meant."""


class Hello(NamedTuple):
    """`server_name` is as it was sent, empty if there is none."""

    server_name: str


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise BadHello("a length goes beyond the end")
        piece, self._at = self._data[self._at : end], end
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Reader:
        """What comes after its own length, which takes so many bytes."""
        return _Reader(self.take(self.number(size)))

    @property
    def ended(self) -> bool:
        return self._at == len(self._data)


def parse(data: bytes) -> Hello | None:
    """Read what has come so far; None if more has to come. Raises BadHello."""
    message = _message(data)
    if message is None:
        if len(data) >= MOST_BYTES:
            raise BadHello(f"it is longer than {MOST_BYTES} bytes")
        return None
    return _hello(_Reader(message))


def _message(data: bytes) -> bytes | None:
    """The handshake message, which may be in several records."""
    found, at, records = b"", 0, 0
    while len(data) - at >= 5:
        records += 1
        if records > _MOST_RECORDS:
            raise BadHello(f"it is in more than {_MOST_RECORDS} records")
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        if data[at] != HANDSHAKE or data[at + 1] != 3 or not 0 < size <= _MOST_RECORD:
            raise BadHello("it is not TLS")
        found += data[at + 5 : at + 5 + size]
        at += 5 + size
        if found and found[0] != _CLIENT_HELLO:
            raise BadHello("it does not begin with a ClientHello")
        if len(found) >= 4 and len(found) >= (end := 4 + int.from_bytes(found[1:4], "big")):
            if len(found) > end:
                raise BadHello("something follows the ClientHello in its record")
            return found[4:]
    if data and (data[0] != HANDSHAKE or (len(data) > 1 and data[1] != 3)):
        raise BadHello("it is not TLS")
    return None


def _hello(body: _Reader) -> Hello:
    body.take(2 + 32)  # version, random
    for size in (1, 2, 1):  # session id, cipher suites, compression methods
        body.vector(size)
    name = ""
    if body.ended:
        return Hello(name)
    extensions = body.vector(2)
    if not body.ended:
        raise BadHello("something follows its extensions")
    seen: set[int] = set()
    while not extensions.ended:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind in seen:
            raise BadHello(f"it has extension {kind} twice")
        seen.add(kind)
        if kind == _SERVER_NAME:
            name = _server_name(content)
    if _ENCRYPTED_HELLO in seen:
        raise BadHello("it is encrypted, so that the server it is for cannot be seen")
    return Hello(name)


def _server_name(content: _Reader) -> str:
    names = content.vector(2)
    kind, name = names.number(1), names.vector(2)
    if kind != 0 or not names.ended or not content.ended:
        raise BadHello("it names more than one server")
    try:
        return name.take(len(name._data)).decode("ascii")
    except UnicodeDecodeError:
        raise BadHello("the name of its server is not ASCII") from None
