"""Length-prefixed frames on a stream socket. Standard library only: both sides run this file.

A frame is a little-endian u32 length and that many bytes of JSON. Nothing here does I/O, so it can be tested with
any split of the bytes.
"""

import struct
from collections.abc import Iterator
from json import dumps  # this one, whatever a cell makes of the module

MAX_FRAME = 32 * 1024 * 1024
_HEADER = struct.Struct("<I")
HEADER_SIZE = _HEADER.size


class BadFrame(Exception):
    """The peer sent bytes that are not a frame. The connection cannot be trusted after it."""


def encode(message: object) -> bytes:
    """Return one message as a frame.

    Raises `BadFrame` if it is larger than `MAX_FRAME` bytes, and `ValueError` for what the other side would refuse:
    NaN, infinities and lone surrogates, which JSON has no form for.
    """
    body = dumps(message, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
    if len(body) > MAX_FRAME:
        raise BadFrame(f"a {len(body)} byte message does not fit into a frame of at most {MAX_FRAME} bytes")
    return _HEADER.pack(len(body)) + body


class FrameBuffer:
    """Collects bytes as they arrive and gives back whole frames' bodies."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._pending = bytearray()
        self._limit = limit

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._pending)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add `data`; yield the body of every frame that is now complete. Raises `BadFrame`."""
        self._pending += data
        while len(self._pending) >= _HEADER.size:
            (size,) = _HEADER.unpack_from(self._pending)
            # Checked before the body is there, so that a forged header costs no memory.
            if size > self._limit:
                raise BadFrame(f"the peer announced a frame of {size} bytes; the limit is {self._limit}")
            end = _HEADER.size + size
            if len(self._pending) < end:
                return
            frame = bytes(self._pending[_HEADER.size : end])
            # Moves nothing: a bytearray keeps where it begins, so many small frames cost as much each as one.
            del self._pending[:end]
            yield frame
