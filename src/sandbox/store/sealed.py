"""Values in database columns: compressed where that pays, and with a check, since SQLite's pages have none."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import zstandard
from blake3 import blake3

from sandbox.errors import StoreDamaged

_RAW, _ZSTD = b"\0", b"\1"
_CHECK = 8
_HEAD = 1 + _CHECK
_WORTH = 256
# The largest value that is ever put into a column, and so the largest that one may unpack to.
MOST_SEALED = 256 * 1024 * 1024
_encode = msgspec.msgpack.Encoder().encode
_own = threading.local()


def digest(data: bytes | memoryview | bytearray) -> bytes:
    """The content's address: 32 bytes of BLAKE3."""
    return blake3(data).digest()


def packed(data: bytes) -> bytes:
    """Compress if that saves an eighth; the first byte says which it was."""
    if len(data) >= _WORTH:
        small = _compressor().compress(data)
        if len(small) < len(data) - len(data) // 8:
            return _ZSTD + small
    return _RAW + data


def unpacked(blob: bytes, most: int = MOST_SEALED) -> bytes:
    """Undo `packed`. Raises StoreDamaged."""
    if not isinstance(blob, bytes):
        raise StoreDamaged("a stored value is not bytes")
    if blob[:1] == _RAW:
        return blob[1:]
    if blob[:1] != _ZSTD:
        raise StoreDamaged("a stored value begins with no known codec")
    try:
        size = zstandard.frame_content_size(blob[1:])
        if not 0 <= size <= most:
            raise StoreDamaged(f"a stored value announces {size} bytes, the most is {most}")
        return zstandard.ZstdDecompressor().decompress(blob[1:], max_output_size=most)
    except zstandard.ZstdError as error:
        raise StoreDamaged(f"a stored value does not unpack: {error}") from error


def seal(value: Any) -> bytes:
    """Encode, compress and add a check."""
    blob = packed(_encode(value))
    return blob[:1] + blake3(blob).digest(length=_CHECK) + blob[1:]


def unseal(blob: bytes, decoder: msgspec.msgpack.Decoder[Any], what: str) -> Any:
    """Undo `seal`. Raises StoreDamaged, which names `what`."""
    if not isinstance(blob, bytes):
        raise StoreDamaged(f"{what} is not bytes", {"what": what})
    body = blob[:1] + blob[_HEAD:]
    if len(blob) < _HEAD or blake3(body).digest(length=_CHECK) != blob[1:_HEAD]:
        raise StoreDamaged(f"{what} is not what was written: its check differs", {"what": what})
    try:
        return decoder.decode(unpacked(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreDamaged(f"{what} does not decode: {error}", {"what": what}) from error


def _compressor() -> zstandard.ZstdCompressor:
    """One for each thread: they must not be shared, and making one costs more than a small compression."""
    found: zstandard.ZstdCompressor | None = getattr(_own, "compressor", None)
    if found is None:
        found = _own.compressor = zstandard.ZstdCompressor(level=1)
    return found
