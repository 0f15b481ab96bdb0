"""Where the bytes of a large part are: a flat, sorted list of pieces of records. What no extent covers is zeros."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from sandbox.errors import StoreDamaged
from sandbox.store.sealed import seal, unseal

PAGE = 4096
# Beyond these a part is rewritten whole: each extent costs its worker a mapping or a read, and garbage costs disk.
MOST_EXTENTS = 1000
_PAGES_AN_EXTENT = 16
_decoder = msgspec.msgpack.Decoder(tuple[tuple[int, int, int, int], ...])


class Extent(NamedTuple):
    """`size` bytes at `at` in the part are those at `start` in the content of the record `record`."""

    at: int
    record: int
    start: int
    size: int

    @property
    def end(self) -> int:
        """Where it ends in the part."""
        return self.at + self.size


Extents = tuple[Extent, ...]


def overlay(base: Iterable[Extent], patch: Extents) -> Extents:
    """Lay `patch` over `base`: both sorted and without overlap, and so is the result, with neighbours joined."""
    result: list[Extent] = []
    waiting = list(reversed(patch))
    for extent in base:
        rest: Extent | None = extent
        while rest is not None and waiting and waiting[-1].at < rest.end:
            new = waiting[-1]
            if rest.at < new.at:
                _join(result, _cut(rest, rest.at, new.at))
            if new.end > rest.end:
                rest = None  # the patch reaches into the next one, or into the hole behind this
            else:
                _join(result, waiting.pop())
                rest = _cut(rest, max(rest.at, new.end), rest.end)
        if rest is not None:
            _join(result, rest)
    for new in reversed(waiting):
        _join(result, new)
    return tuple(result)


def _cut(extent: Extent, at: int, end: int) -> Extent | None:
    """The part of an extent from `at` to `end`; None if that is nothing."""
    return Extent(at, extent.record, extent.start + at - extent.at, end - at) if end > at else None


def _join(result: list[Extent], extent: Extent | None) -> None:
    """Append, or lengthen the last one if this is its continuation."""
    if extent is None:
        return
    if result:
        last = result[-1]
        if last.end == extent.at and last.record == extent.record and last.start + last.size == extent.start:
            result[-1] = last._replace(size=last.size + extent.size)
            return
    result.append(extent)


def most_extents(size: int) -> int:
    """How many extents a part of this size may have before it is rewritten in one piece."""
    return max(MOST_EXTENTS, size // (PAGE * _PAGES_AN_EXTENT))


def check(extents: Extents, size: int, what: str) -> Extents:
    """Return them if they are sorted, apart and within the part. Raises StoreDamaged."""
    end = 0
    for extent in extents:
        if extent.at < end or extent.size <= 0 or extent.start < 0 or extent.end > size:
            raise StoreDamaged(f"{what} has an extent that cannot be: {tuple(extent)} in {size} bytes", {"what": what})
        end = extent.end
    return extents


def encode(extents: Extents) -> bytes:
    """The form in the database."""
    return seal(extents)


def decode(blob: bytes, size: int, what: str) -> Extents:
    """Undo `encode`. Raises StoreDamaged."""
    return check(tuple(Extent(*row) for row in unseal(blob, _decoder, what)), size, what)
