"""Sets that are walked in the order in which they were: it depends on their past, and code depends on it.

The order is that of the slots of a table. An element is in the first slot of its own that was free when it came. So
a set whose order does not come out right when its elements are added in order is stored with an order of adding that
gives it. It is found by looking at the slots (CPython's layout since 3.7), and tried; a set for which none is found
stays as pickle makes it. frozensets cannot be put in order, having been made.
"""

import ctypes
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..registry import builder

_HEAD = struct.Struct("nnnP")  # fill, used, mask, table
_ENTRY = struct.Struct("Pn")  # key, hash
_AT = object.__basicsize__
_MOST = 50_000
# As many are too many for the table that every set begins with.
_LEAST = 5
_PROBES, _SHIFT, _WORD = 9, 5, (1 << 64) - 1


class Order(NamedTuple):
    """Add `first` and fillers that have `fillers` for slots, then `rest`; take the fillers out.

    `at_once`: the first ones as a set, as copies and unions do it: tables get other sizes so.
    """

    first: list[Any]
    fillers: list[int]
    rest: list[Any]
    at_once: bool


class _Filler:
    """Keeps a slot until others are in theirs."""

    __slots__ = ("_slot",)

    def __init__(self, slot: int) -> None:
        self._slot = slot

    def __hash__(self) -> int:
        return self._slot

    def __eq__(self, other: object) -> bool:
        return self is other


def orders(objects: list[Any]) -> "list[tuple[Any, Order]]":
    """Sets among these that a pickle does not keep in order, with what does."""
    found = []
    for one in objects:
        if type(one) is set and 1 < len(one) <= _MOST and list(set(iter(one))) != list(one):
            order = _order_of(one)
            if order is not None:
                found.append((one, order))
    return found


def _order_of(value: set[Any]) -> "Order | None":
    size, slots = _slots(value)
    if not slots:
        return None
    at = dict(slots)
    home = [element for slot, element in slots if hash(element) & (size - 1) == slot]
    paths = {id(element): _path(hash(element), slot, size) for slot, element in slots}
    gaps = {slot for path in paths.values() for slot in path if slot not in at}
    free = (slot for slot in range(size) if slot not in at and slot not in gaps)
    count, at_once = _grows_at(size)
    fillers = [*gaps, *(slot for slot, _ in zip(free, range(count - len(home) - len(gaps)), strict=False))]
    first = home[: max(count - len(fillers), 0)]
    rest = _after_what_they_need(slots, paths, at, {id(one) for one in first})
    order = Order(first, fillers, rest, at_once)
    trial: set[Any] = set()
    arrange(trial, *order)
    return order if list(trial) == list(value) else None


def _slots(value: set[Any]) -> tuple[int, list[tuple[int, Any]]]:
    """The size of a set's table, and its elements with their slots; none if the table is not where it should be."""
    _, used, mask, table = _HEAD.unpack(ctypes.string_at(id(value) + _AT, _HEAD.size))
    size = mask + 1
    if used != len(value) or size & mask or not 8 <= size <= 16 * _MOST:
        return 0, []
    elements = {id(one): one for one in value}
    entries = _ENTRY.iter_unpack(ctypes.string_at(table, size * _ENTRY.size))
    slots = [(slot, elements[key]) for slot, (key, _) in enumerate(entries) if key in elements]
    return (size, slots) if [id(one) for _, one in slots] == list(map(id, value)) else (0, [])


def _path(hashed: int, slot: int, size: int) -> list[int]:
    """The slots that are looked at before `slot`, in a table of this size."""
    found: list[int] = []
    for one in _probes(hashed & _WORD, size - 1):
        if one == slot or len(found) > size:
            return found
        found.append(one)
    return found


def _probes(hashed: int, mask: int) -> Iterator[int]:
    perturb, at = hashed, hashed & mask
    while True:
        yield from range(at, at + _PROBES + 1 if at + _PROBES <= mask else at + 1)
        perturb >>= _SHIFT
        at = (at * 5 + 1 + perturb) & mask


def _grows_at(size: int) -> tuple[int, bool]:
    """How many elements a table has when it grows to this size; true if they have to be added at once for that."""
    now, count = 8, 0
    while now < size:
        count = -(-(now - 1) * 3 // 5)
        wanted = count * 4
        now = 8
        while now <= wanted:
            now <<= 1
    return (count, False) if now == size else (max(size // 4, _LEAST), True)


def _after_what_they_need(
    slots: list[tuple[int, Any]], paths: dict[int, list[int]], at: dict[int, Any], done: set[int]
) -> list[Any]:
    """Elements in such an order that each finds the slots before its own taken."""
    found: list[Any] = []
    waiting = [element for _, element in reversed(slots) if id(element) not in done]
    visited: set[int] = set()
    while waiting:
        element = waiting[-1]
        needs = [at[slot] for slot in paths[id(element)] if slot in at and id(at[slot]) not in done]
        if id(element) in done:
            waiting.pop()
        elif needs and id(element) not in visited:
            visited.add(id(element))
            waiting.extend(needs)
        else:
            done.add(id(element))
            found.append(waiting.pop())
    return found


@builder
def arrange(value: set[Any], first: list[Any], fillers: list[int], rest: list[Any], at_once: bool) -> None:
    """Put the elements in order again."""
    kept = [_Filler(slot) for slot in fillers]
    value.clear()
    if at_once:
        value.update({*first, *kept})
    for one in rest if at_once else (*first, *kept, *rest):
        value.add(one)
    for filler in kept:
        value.discard(filler)
