"""What a worker may say of its delta: three kinds of record, each a small header before its payload.

The worker is hostile: a header is bounded before it is decoded, decoded strictly, and rebuilt from what was found.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sandbox.errors import ProtocolError
from sandbox.store.extents import PAGE

MOST_HEADER = 1024 * 1024
MOST_RANGES = 16_384
MOST_KEY = 200
MOST_RECORDS = 100_000
FILES = "file/"
"""Keys that the host makes itself begin so: a worker must not."""


class Put(NamedTuple):
    """The whole part."""

    key: str
    size: int


class Patch(NamedTuple):
    """New bytes for some ranges of the part that the parent has under the key."""

    key: str
    total: int
    ranges: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Bytes of payload."""
        return sum(length for _, length in self.ranges)


class Drop(NamedTuple):
    """The part is not there any more."""

    key: str

    @property
    def size(self) -> int:
        """Bytes of payload: none."""
        return 0


Record = Put | Patch | Drop


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    put: str | None = None
    patch: str | None = None
    drop: str | None = None
    size: int | None = None
    ranges: tuple[tuple[int, int], ...] | None = None


_decoder = msgspec.json.Decoder(_Header)


def decode(header: bytes) -> Record:
    """Read a header. Raises ProtocolError."""
    if len(header) > MOST_HEADER:
        raise ProtocolError(f"a record's header has {len(header)} bytes, the most is {MOST_HEADER}")
    try:
        found = _decoder.decode(header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"a record's header does not decode: {error}") from error
    match found:
        case _Header(put=str(key), patch=None, drop=None, size=int(size), ranges=None):
            return Put(checked_key(key), _size(size))
        case _Header(put=None, patch=str(key), drop=None, size=int(size), ranges=tuple(ranges)):
            return Patch(checked_key(key), _size(size), _ranges(ranges, size))
        case _Header(put=None, patch=None, drop=str(key), size=None, ranges=None):
            return Drop(checked_key(key))
    raise ProtocolError("a record's header is neither put with size, nor patch with size and ranges, nor drop")


def checked_key(key: str) -> str:
    """Return a key that a worker may use. Raises ProtocolError."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise ProtocolError("a record's key is not text") from error
    if not 0 < size <= MOST_KEY or not key.isprintable() or key.startswith(FILES):
        raise ProtocolError(f"a record's key is not one that a worker may use: {key[:MOST_KEY]!r}")
    return key


def _size(size: int) -> int:
    if not 0 <= size < 1 << 48:
        raise ProtocolError(f"a record announces {size} bytes")
    return size


def _ranges(ranges: tuple[tuple[int, int], ...], total: int) -> tuple[tuple[int, int], ...]:
    """Sorted, apart, of whole pages but for the end of the part: so that they can be mapped over it."""
    if not 0 < len(ranges) <= MOST_RANGES:
        raise ProtocolError(f"a patch has {len(ranges)} ranges: from 1 to {MOST_RANGES} are allowed")
    end = 0
    for offset, length in ranges:
        last = offset + length == total
        if offset < end or length <= 0 or offset + length > total or offset % PAGE or (length % PAGE and not last):
            raise ProtocolError(f"a patch of {total} bytes has a range that cannot be: {(offset, length)}")
        end = offset + length
    return ranges
