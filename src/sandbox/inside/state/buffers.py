"""Large memory beside the pickles: what of it changed since the last checkpoint, and no more.

Where the kernel notes writes (`pages`), a buffer is watched from its first save on. Elsewhere each page has a digest.
A part begins with as many zeros as the buffer's address is away from a page's start: so pages of memory are pages of
the part, and a write to one page never costs two.
"""

import contextlib
from _blake2 import blake2b
from collections.abc import Iterator
from pickle import PickleBuffer
from typing import Any

from .pages import PAGE, Tracker, address_of

WATCHED = 1024 * 1024
"""Smaller buffers are digested whole: that takes at most 1 ms."""
_DIGEST = 8
_MOST_RANGES = 8192
_MOST_WATCHED = 4096

Record = tuple[dict[str, Any], list[Any]]
Range = tuple[int, int]


class Held:
    """A buffer as the last checkpoint has it. `pad`: zeros before it in its part.

    `first`, `last`: of one that is watched, digests of what it has of pages that it shares with other memory.
    """

    __slots__ = ("address", "digests", "first", "last", "mapped", "pad", "size", "watched")

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.size = size
        self.pad = address % PAGE if size >= WATCHED else 0
        self.digests = self.first = self.last = b""
        self.watched = False
        self.mapped = False

    @property
    def total(self) -> int:
        """The size of the part."""
        return self.pad + self.size


class Buffers:
    """All buffers of a session by the numbers of their parts."""

    def __init__(self) -> None:
        self._held: dict[int, Held] = {}
        self._at: dict[Range, int] = {}
        self._next = 1
        self._tracker: Tracker | None = None
        self._can_track = True

    def save(self, buffer: PickleBuffer) -> "tuple[int, Record | None]":
        """The number of the buffer's part, and what to say of it, if anything."""
        view = buffer.raw()
        address, size = address_of(view), view.nbytes
        number = self._at.get((address, size))
        if number is None:
            number = self._new(address, size)
            held = self._held[number]
            self._note(held, view)
            return number, _put(number, held, view)
        held = self._held[number]
        ranges = self._changes(held, view)
        return number, _changed(number, held, view, ranges) if ranges else None

    def adopt(self, number: int, view: memoryview, *, mapped: bool) -> None:
        """A restored buffer lies here now, and is what its part has. `mapped`: it is a private mapping of a file."""
        address = address_of(view)
        held = self._held[number] = Held(address, view.nbytes)
        self._at[address, view.nbytes] = number
        self._next = max(self._next, number + 1)
        held.mapped = mapped and self._have_tracker()
        if not held.mapped:
            self._note(held, view)

    def drop(self, number: int) -> Record:
        """Nobody has the buffer any more."""
        held = self._held.pop(number)
        if self._at.get((held.address, held.size)) == number:
            del self._at[held.address, held.size]
        return {"drop": f"buffer/{number}"}, []

    def layout(self, number: int) -> list[int]:
        """What a restore has to know of it: number, size, zeros before it."""
        held = self._held[number]
        return [number, held.size, held.pad]

    def numbers(self) -> set[int]:
        return set(self._held)

    def size(self, number: int) -> int:
        return self._held[number].size

    def distrust(self) -> None:
        """The store has not got what it was given: take nothing as known."""
        self._at.clear()

    def _new(self, address: int, size: int) -> int:
        number = self._next
        self._next += 1
        self._held[number] = Held(address, size)
        self._at[address, size] = number
        return number

    def _note(self, held: Held, view: memoryview) -> None:
        """Remember what the buffer is now. Watched before it is read: what is written meanwhile counts as new."""
        self._watch(held)
        if held.watched:
            held.first, held.last = _first(view, held), _last(view, held)
        else:
            held.digests = _digests(view, held)

    def _watch(self, held: Held) -> None:
        if held.size < WATCHED or len(self._held) > _MOST_WATCHED or not self._have_tracker():
            return
        assert self._tracker is not None
        # What cannot be registered is digested.
        with contextlib.suppress(OSError):
            self._tracker.watch(held.address, held.size)
            held.watched = True

    def _have_tracker(self) -> bool:
        """Whether the kernel notes writes here, and the worker's filter lets us ask. Tried once."""
        if self._can_track and self._tracker is None:
            try:
                self._tracker = Tracker()
            except OSError:
                self._can_track = False
        return self._can_track

    def _changes(self, held: Held, view: memoryview) -> list[Range]:
        """Ranges of whole pages of the part that are not what they were."""
        if self._tracker is not None and (held.watched or held.mapped):
            watched = held.watched
            try:
                written = self._written(held, view, self._tracker)
            except OSError:
                held.watched = held.mapped = False  # other memory lies there now
                self._note(held, view)
                return [(0, held.total)]
            first = held.address - held.pad
            ranges = [(start - first, min(end - first, held.total)) for start, end in written]
            return _own(ranges, view, held) if watched else ranges
        old, held.digests = held.digests, _digests(view, held)
        return list(_differences(old, held.digests, held.total))

    def _written(self, held: Held, view: memoryview, tracker: Tracker) -> list[Range]:
        if held.watched:
            return tracker.written(held.address, held.size)
        before = tracker.copied(held.address, held.size)
        if not before:
            return []
        # Watched from now on. What a thread has written since the first look, a second one sees.
        held.mapped = False
        self._note(held, view)
        return sorted(before + tracker.copied(held.address, held.size, watched=True))


def _own(ranges: list[Range], view: memoryview, held: Held) -> list[Range]:
    """Without the first page and the last, where it is others' memory in it that was written.

    An allocator keeps its notes there, so that nearly each execution writes to it.
    """
    if ranges and held.pad and ranges[0][0] == 0:
        before, held.first = held.first, _first(view, held)
        if held.first == before:
            ranges[0] = (PAGE, ranges[0][1])
    if ranges and held.total % PAGE and ranges[-1][1] == held.total:
        before, held.last = held.last, _last(view, held)
        if held.last == before:
            ranges[-1] = (ranges[-1][0], held.total - held.total % PAGE)
    return [(start, end) for start, end in ranges if start < end]


def _first(view: memoryview, held: Held) -> bytes:
    return blake2b(view[: PAGE - held.pad], digest_size=_DIGEST).digest()


def _last(view: memoryview, held: Held) -> bytes:
    return blake2b(view[held.size - held.total % PAGE :], digest_size=_DIGEST).digest()


def _digests(view: memoryview, held: Held) -> bytes:
    if held.size < WATCHED:
        return blake2b(view, digest_size=2 * _DIGEST).digest()
    starts = [0, *range(PAGE - held.pad, held.size, PAGE)]
    ends = [*starts[1:], held.size]
    return b"".join([blake2b(view[a:b], digest_size=_DIGEST).digest() for a, b in zip(starts, ends, strict=True)])


def _differences(old: bytes, new: bytes, total: int) -> Iterator[Range]:
    if len(old) != len(new) or total < WATCHED:
        if old != new:
            yield 0, total
        return
    start = None
    for at in range(0, len(new) + 1, _DIGEST):
        differs = old[at : at + _DIGEST] != new[at : at + _DIGEST]
        if differs and start is None:
            start = at // _DIGEST * PAGE
        elif not differs and start is not None:
            yield start, min(at // _DIGEST * PAGE, total)
            start = None
    if start is not None:
        yield start, total


def _put(number: int, held: Held, view: memoryview) -> Record:
    pieces = [bytes(held.pad), view] if held.pad else [view]
    return {"put": f"buffer/{number}", "size": held.total}, pieces


def _changed(number: int, held: Held, view: memoryview, ranges: list[Range]) -> Record:
    """A patch, or all of it where that is hardly more."""
    ranges = _joined(ranges)
    changed = sum(end - start for start, end in ranges)
    if changed * 2 > held.total or len(ranges) > _MOST_RANGES:
        return _put(number, held, view)
    pieces: list[Any] = []
    for start, end in ranges:
        if start < held.pad:
            pieces.append(bytes(held.pad - start))
        pieces.append(view[max(start - held.pad, 0) : end - held.pad])
    header = [[start, end - start] for start, end in ranges]
    return {"patch": f"buffer/{number}", "size": held.total, "ranges": header}, pieces


def _joined(ranges: list[Range]) -> list[Range]:
    found: list[Range] = []
    for start, end in ranges:
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
