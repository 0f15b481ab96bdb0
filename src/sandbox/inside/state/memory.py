"""Memory that a restored buffer lies in. The types tell it from memory that the user's code has made."""

import mmap
import os
from typing import Any

from .parts import MAPPED, Place, fill, read_place


class KeptBytes(bytearray):
    """A buffer that was read."""


class KeptMapping(mmap.mmap):
    """A buffer that is mapped from a pack file, copy-on-write."""


def look(parts: Any, key: str) -> "bytes | memoryview":
    """A part's bytes, to be read only: those of a large one in one piece lie in the file, and take no memory."""
    place: Place | None = getattr(parts, "places", {}).get(key)
    if place is None or place.size < MAPPED or len(place.extents) != 1:
        return parts[key] if place is None else memoryview(read_place(place))
    offset, fd, at, length = place.extents[0]
    if offset or length != place.size or at % mmap.ALLOCATIONGRANULARITY or os.fstat(fd).st_size < at + length:
        return memoryview(read_place(place))
    return memoryview(mmap.mmap(fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=at))


def bring(parts: Any, key: str) -> "tuple[memoryview, bool]":
    """A large part's bytes, writable: from 1 MB on, whole pages of memory. True: they are mapped from a file."""
    place: Place | None = getattr(parts, "places", {}).get(key)
    data = parts[key] if place is None else b""
    size = len(data) if place is None else place.size
    if size < MAPPED:
        held = KeptBytes(data if place is None else read_place(place))
        return memoryview(held), False
    whole = KeptMapping(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapped = False
    if place is None:
        whole[:] = data
    else:
        mapped = fill(whole, place)
    return memoryview(whole)[:size], mapped
