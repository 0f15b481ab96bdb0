"""A checkpoint's parts as the engine hands them to a worker: small ones as bytes, large ones where they lie."""

import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

PAGE = 4096
LARGE = 64 * 1024
MAPPED = 1024 * 1024
"""Parts from here on are mapped; below that, a copy costs less than a mapping's faults."""


class Extent(NamedTuple):
    """`length` bytes from `at` in the file `fd`, to be found at `offset` in the part. Later ones lie over earlier."""

    offset: int
    fd: int
    at: int
    length: int


class Place(NamedTuple):
    """Where a large part lies. What no extent covers is zeros."""

    size: int
    extents: Sequence[Extent]


class Parts(Mapping[str, bytes]):
    """A manifest's parts: `small` by their bytes, `large` by their places in files that are open for reading."""

    def __init__(self, small: Mapping[str, bytes], large: Mapping[str, Place]) -> None:
        self._small = small
        self.places = large

    def __getitem__(self, key: str) -> bytes:
        found = self._small.get(key)
        return bytes(read_place(self.places[key])) if found is None else found

    def __iter__(self) -> Iterator[str]:
        yield from self._small
        yield from self.places

    def __len__(self) -> int:
        return len(self._small) + len(self.places)


def read_place(place: Place) -> bytearray:
    """All bytes of a large part. Raises ValueError if the file does not have them."""
    data = bytearray(place.size)
    with memoryview(data) as view:
        for extent in place.extents:
            _read_into(view, extent)
    return data


def _read_into(view: memoryview, extent: Extent) -> None:
    offset, fd, at, length = extent
    if offset < 0 or offset + length > len(view):
        raise ValueError(f"an extent of {length} bytes at {offset} lies outside of its part of {len(view)}")
    while length:
        got = os.preadv(fd, [view[offset : offset + length]], at)
        if not got:
            raise ValueError(f"the pack ends {length} bytes too early")
        offset, at, length = offset + got, at + got, length - got


def fill(whole: mmap.mmap, place: Place) -> bool:
    """Map a large part's extents over fresh memory, copy-on-write. False: some lie askew, and were read into it."""
    from .pages import map_over  # noqa: PLC0415 - ctypes is for those who have something to map

    mapped = True
    with memoryview(whole) as view:
        for extent in place.extents:
            offset, fd, at, length = extent
            whole_pages = not (offset | at) % PAGE and (not length % PAGE or offset + length == place.size)
            there = 0 <= offset < offset + length <= place.size and os.fstat(fd).st_size >= at + length
            if whole_pages and there:
                map_over(whole, offset, fd, at, length)
            else:
                _read_into(view, extent)
                mapped = False
    return mapped
