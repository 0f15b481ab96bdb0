"""Groups: names whose values share objects, pickled together so that they go on to share them."""

import io
import sys
from _blake2 import blake2b
from collections.abc import Callable, Iterable
from typing import Any

from .kinds.sets import orders
from .lost import why
from .names import ESCAPES
from .pickler import DeepPickler, FastPickler
from .world import World

Values = dict[str, Any]
Failures = dict[str, str]


def digest(data: Any) -> bytes:
    """Whether a pickle is what it was."""
    return blake2b(data, digest_size=16).digest()


class Dump:
    """The pickle of some names together, and what was found out on the way."""

    def __init__(self, world: World, values: Values, names: "frozenset[str]", *, deep: bool = False) -> None:
        file = io.BytesIO()
        self.names = names
        self.pickler: Any = (DeepPickler if deep else FastPickler)(file, world, names)
        self.pickler.dump({name: values[name] for name in sorted(names)})
        self._add_orders(file)
        self.data = file.getvalue()
        self.digest = digest(self.data)
        self._shareable: tuple[set[int], Any] | None = None

    def _add_orders(self, file: io.BytesIO) -> None:
        """A second pickle, where there are sets whose order the first one does not keep."""
        if _SET in file.getvalue():
            found = orders([value for _, value in self.pickler.memo.copy().values()])
            if found:
                self.pickler.dump([(value, *order) for value, order in found])

    def shareable(self) -> set[int]:
        """Ids of objects whose identity counts. They stay theirs as long as the dump is there."""
        if self._shareable is None:
            self._shareable = self.pickler.shareable()
        return self._shareable[0]


_SET = b"\x8f\x94"
"""How a set begins in a pickle: empty, noted in the memo."""


class Group:
    """A group as the last checkpoint has it."""

    __slots__ = ("buffers", "digest", "escapes", "files", "ids", "names", "number", "size", "stores", "strong", "weak")

    def __init__(self, number: int, names: Iterable[str]) -> None:
        self.number = number
        self.names = frozenset(names)
        self.digest = b""
        self.buffers: tuple[int, ...] = ()
        self.strong: frozenset[str] = frozenset()
        self.weak: frozenset[str] = frozenset()
        self.stores: frozenset[str] = frozenset()
        self.files: frozenset[str] = frozenset()
        self.ids: dict[str, int] = {}
        self.size = 0
        self.escapes = False

    def take(self, dump: Dump, values: Values) -> None:
        """What the dump has found out is so now."""
        pickler = dump.pickler
        self.digest = dump.digest
        self.strong = frozenset(pickler.strong)
        self.weak = frozenset(pickler.weak)
        self.stores = frozenset(pickler.stores)
        self.files = frozenset(pickler.files)
        self.size = len(dump.data)
        self.ids = {name: id(values[name]) for name in dump.names}
        self.escapes = not ESCAPES.isdisjoint(self.weak)


def dump_one(world: World, name: str, value: Any) -> "Dump | None":
    """One name by itself; None if it cannot be pickled."""
    found = _dump_or_split(world, {name: value}, frozenset((name,)), {})
    return found[0] if found else None


def dump_units(world: World, values: Values, units: "list[frozenset[str]]") -> "tuple[list[Dump], Failures]":
    """Pickle names in such groups that no two share anything. `units` go together anyway.

    What cannot be pickled is left out, with why, and costs nothing else.
    """
    failures: Failures = {}
    dumps = [dump for unit in units for dump in _dump_or_split(world, values, unit, failures)]
    while True:
        merged = _merge(dumps)
        if merged is None:
            return dumps, failures
        alone, together = merged
        dumps = [*alone, *(dump for unit in together for dump in _dump_or_split(world, values, unit, failures))]


def _dump_or_split(world: World, values: Values, unit: "frozenset[str]", failures: Failures) -> list[Dump]:
    """One dump, of those names of the unit that can be pickled."""
    try:
        return [_dump(world, values, unit)]
    except BaseException as error:  # noqa: BLE001 - a value's own code may raise anything
        if len(unit) == 1:
            failures[next(iter(unit))] = why(error)
            return []
    good = frozenset(name for name in sorted(unit) if _dump_or_split(world, values, frozenset((name,)), failures))
    if good == unit:
        # Each by itself is fine, and not all of them: take them as they are, apart.
        return [_dump(world, values, frozenset((name,))) for name in sorted(good)]
    return _dump_or_split(world, values, good, failures) if good else []


def _dump(world: World, values: Values, unit: "frozenset[str]") -> Dump:
    try:
        return Dump(world, values, unit)
    except RecursionError:
        from .deep import deeply  # noqa: PLC0415

        found: Dump = deeply(lambda: Dump(world, values, unit, deep=sys.version_info >= (3, 12)))
        return found


def _merge(dumps: list[Dump]) -> "tuple[list[Dump], list[frozenset[str]]] | None":
    """Those that share nothing, and the names of those that do, together; None if nobody shares."""
    if len(dumps) < 2:
        return None
    roots = _Union(len(dumps))
    owners: dict[int, int] = {}
    for number, dump in enumerate(dumps):
        ids = dump.shareable()
        for shared in owners.keys() & ids:
            roots.join(owners[shared], number)
        owners.update(dict.fromkeys(ids, number))
    _join_cycles(dumps, roots.join)
    sets = roots.sets()
    if len(sets) == len(dumps):
        return None
    alone = [dumps[one[0]] for one in sets if len(one) == 1]
    return alone, [frozenset().union(*(dumps[i].names for i in one)) for one in sets if len(one) > 1]


def _join_cycles(dumps: list[Dump], join: Callable[[int, int], None]) -> None:
    """Join groups that refer to one another in a ring: neither could be loaded first."""
    owner = {name: number for number, dump in enumerate(dumps) for name in dump.names}
    links = [{owner[name] for name in dump.pickler.strong if name in owner} - {n} for n, dump in enumerate(dumps)]
    if not any(links):
        return
    reached = [_reached(links, number) for number in range(len(dumps))]
    for number, found in enumerate(reached):
        for other in found:
            if other > number and number in reached[other]:
                join(number, other)


def _reached(links: list[set[int]], start: int) -> set[int]:
    found: set[int] = set()
    waiting = list(links[start])
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting.extend(links[one])
    return found


class _Union:
    """Numbers that belong together."""

    def __init__(self, count: int) -> None:
        self._root = list(range(count))

    def _find(self, one: int) -> int:
        while self._root[one] != one:
            one = self._root[one]
        return one

    def join(self, one: int, other: int) -> None:
        self._root[self._find(one)] = self._find(other)

    def sets(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for one in range(len(self._root)):
            found.setdefault(self._find(one), []).append(one)
        return list(found.values())
