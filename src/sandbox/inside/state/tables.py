"""What the last checkpoint has of each name, and the step from it to the next."""

import resource
import sys
import types
from collections.abc import Iterable
from typing import Any

from .buffers import Buffers
from .extras import Extras, is_extra
from .facts import facts
from .groups import Dump, Failures, Group, digest, dump_one, dump_units
from .index import Index, Stored
from .inline import is_inline, is_same
from .loader import Loaded, Loader
from .lost import Lost, Placeholder, lost_of, type_name
from .names import ESCAPES
from .proofs import Proofs
from .world import World

Record = tuple[dict[str, Any], list[Any]]
_PYTHONS_OWN = frozenset((
    "__name__", "__doc__", "__package__", "__loader__", "__spec__", "__builtins__", "__file__", "__cached__",
    "__warningregistry__",
))  # fmt: skip
_MOST_NAME = 1000
_MUCH = 16 << 20


class Tables:
    """Every name is in one of four: in a group, inline in the index, a library's module, or lost."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.index = Index()
        self.buffers = Buffers()
        self.groups: dict[int, Group] = {}
        self.lost: dict[str, Lost] = {}
        self.nameless: list[Lost] = []
        self.proofs = Proofs()
        self._group_of: dict[str, Group] = {}
        self._inline: dict[str, Any] = {}
        self._modules: dict[str, types.ModuleType] = {}
        self._known: set[str] = set()
        # Lost here and alive: what such an object refers to is not known, so code that uses it may reach anything.
        self._opaque: set[str] = set()
        # To be written at the next save: their group, as it is stored, has names that are lost.
        self._stale: set[str] = set()
        self._emptied = False  # whether groups have lost names since the last save
        self._next = 1

    # --- what code reaches -----------------------------------------------------------------------------------------

    def closure(self, mentioned: Iterable[str]) -> "set[str] | None":
        """The known names that code can reach which mentions these; None if that may be any."""
        found: set[str] = set()
        seen: set[int] = set()
        waiting = [name for name in mentioned if name in self._known]
        while waiting:
            name = waiting.pop()
            found.add(name)
            if name in self._opaque:
                return None
            group = self._group_of.get(name)
            if group is None or group.number in seen:
                continue
            if group.escapes:
                return None
            seen.add(group.number)
            found |= group.names
            waiting.extend(group.strong)
            waiting.extend(group.weak & self._known)
        return found

    def everything(self) -> set[str]:
        return set(self._known)

    def mentions(self, reached: Iterable[str]) -> "tuple[set[str], set[str]]":
        """What the functions among these names mention, and to which attributes they assign."""
        names: set[str] = set()
        stores: set[str] = set()
        for name in reached:
            group = self._group_of.get(name)
            if group is not None:
                names |= group.weak
                stores |= group.stores
        return names, stores

    # --- the step --------------------------------------------------------------------------------------------------

    def save(self, number: int, reached: set[str], extra: set[str], extras: Extras) -> list[Record]:
        """The records of what changed of these names, of those that are new, and of those that are gone."""
        values, gone = self._look(reached, extra, extras.values)
        units = self._units(values, number)
        for name in gone:
            self._forget(name)
        emptied, self._emptied = self._emptied, False
        if not units and not gone and not emptied:
            return self.index.records()
        dumps, failures = dump_units(self._world, values, units)
        dumps = [one for dump in dumps for one in self._without_failing(dump, values, failures)]
        records: list[Record] = []
        taken: set[int] = set()
        for dump in dumps:
            records += self._take(dump, values, number, taken, extras)
        for name, reason in failures.items():
            self._lose(Lost(name, type_name(values[name]), reason, number))
            self._opaque.add(name)
        return [*records, *self._drops(), *self.index.records()]

    def _without_failing(self, dump: Dump, values: dict[str, Any], failures: Failures) -> list[Dump]:
        """The dump, without the names that are known not to load from it."""
        failing = self.proofs.failing(dump.digest, dump.names)
        if not failing:
            return [dump]
        failures.update(failing)
        rest = dump.names - failing.keys()
        return dump_units(self._world, values, [rest])[0] if rest else []

    def _look(self, reached: set[str], extra: set[str], extras: dict[str, Any]) -> "tuple[dict[str, Any], set[str]]":
        """The values of names that may have changed, and the names that are gone."""
        space = self._world.namespace
        new = self._named(space.keys() - self._known - _PYTHONS_OWN)
        if new:
            self.index.reserve(name for name in space if name in new and name not in self.index)
        names = reached | extra | new | self._stale
        self._stale = set()
        names |= self._dependents(names)
        for group in {group.number: group for name in names if (group := self._group_of.get(name))}.values():
            names |= group.names
        names -= _PYTHONS_OWN
        values = {name: space[name] for name in names if name in space}
        values.update((name, extras[name]) for name in sorted(names) if name in extras)
        return values, {name for name in names & self._known if name not in values}

    def _dependents(self, names: set[str]) -> set[str]:
        """Names whose pickles refer to a definition that a name is not bound to any more."""
        space = self._world.namespace
        changed = {name for name in names if self._world.define(name, space.get(name))}
        found: set[str] = set()
        if changed:
            for group in self.groups.values():
                if not changed.isdisjoint(group.strong):
                    found |= group.names
        return found

    def _named(self, keys: set[Any]) -> set[str]:
        """Those that are names. What else was put into globals() is lost, and said to be."""
        good = {key for key in keys if type(key) is str and len(key) <= _MOST_NAME}
        self.nameless = [
            Lost(
                key[:80] if type(key) is str else f"globals()[a {type_name(key)}]",
                type_name(self._world.namespace[key]),
                "it is not bound to a name that a variable can have",
                0,
            )
            for key in keys - good
        ]
        return good

    def _units(self, values: dict[str, Any], number: int) -> "list[frozenset[str]]":
        """Which names are to be pickled, those that were together together. The others are dealt with at once."""
        units: dict[int, set[str]] = {}
        alone = []
        for name, value in values.items():
            if self._is_plain(name, value, number):
                continue
            group = self._group_of.get(name)
            if group is None or (group.ids.get(name) != id(value) and not is_extra(name)):
                alone.append(frozenset((name,)))
            else:
                units.setdefault(group.number, set()).add(name)
        return [*map(frozenset, units.values()), *alone]

    def _is_plain(self, name: str, value: Any, number: int) -> bool:
        """Whether no pickle is needed: then the index is right already."""
        if is_extra(name):
            return False
        if is_inline(value):
            if name not in self._inline or not is_same(value, self._inline[name]):
                self._set(name, {"type": type(value).__name__, "since": number, "value": value})
            self._inline[name] = value
            return True
        if type(value) is types.ModuleType and self._is_library(value):
            if self._modules.get(name) is not value:
                self._set(name, {"type": "module", "since": number, "module": value.__name__})
                self._modules[name] = value
            return True
        if type(value) is Placeholder:
            self._lose(lost_of(value)._replace(name=name))
            return True
        return False

    def _is_library(self, module: types.ModuleType) -> bool:
        name = module.__name__
        return sys.modules.get(name) is module and name not in self._world.modules

    def _set(self, name: str, entry: dict[str, Any]) -> None:
        """The name is this now, whatever it was."""
        self._leave(name)
        self.index.set_name(name, entry)
        self._known.add(name)

    def _leave(self, name: str) -> None:
        group = self._group_of.pop(name, None)
        if group is not None:
            group.names -= {name}
        self._inline.pop(name, None)
        self._modules.pop(name, None)
        self.lost.pop(name, None)
        self._opaque.discard(name)

    def _forget(self, name: str) -> None:
        self._leave(name)
        self.index.drop_name(name)
        self._known.discard(name)

    def _lose(self, lost: Lost) -> None:
        old = self.lost.get(lost.name)
        if old is not None and old[:3] == lost[:3]:
            return  # and it is missing since then
        self._set(lost.name, {"type": lost.type, "since": lost.since, "lost": lost.reason})
        self.lost[lost.name] = lost

    # --- groups ----------------------------------------------------------------------------------------------------

    def _take(self, dump: Dump, values: dict[str, Any], number: int, taken: set[int], extras: Extras) -> list[Record]:
        """What is to be written so that the checkpoint has this dump."""
        group = self._group_for(dump, taken)
        taken.add(group.number)
        found = [self.buffers.save(buffer) for buffer in dump.pickler.buffers]
        records = [record for _, record in found if record is not None]
        buffers = tuple(one for one, _ in found)
        same = group.names == dump.names and group.digest == dump.digest
        if same and not records and group.buffers == buffers:
            return []
        if not same:
            records.append(({"put": f"group/{group.number}", "size": dump.size}, dump.pieces))
        group.buffers = buffers
        for name in dump.names:
            if self._group_of.get(name) is not group:
                self._leave(name)
                self._group_of[name] = group
        group.names = dump.names
        group.take(dump, values)
        self._describe(group, values, number, extras, self.proofs.unproven(dump.pickler.kinds()))
        return records

    def _group_for(self, dump: Dump, taken: set[int]) -> Group:
        """The group that these names were in, unless another dump has it; else a new one."""
        for name in sorted(dump.names):
            group = self._group_of.get(name)
            if group is not None and group.number not in taken and group.names <= dump.names | {name}:
                return group
        group = self.groups[self._next] = Group(self._next, ())
        self._next += 1
        return group

    def _describe(
        self, group: Group, values: dict[str, Any], number: int, extras: Extras, unproven: list[type]
    ) -> None:
        entry = {
            "size": group.size + sum(map(self.buffers.size, group.buffers)),
            "buffers": [self.buffers.layout(one) for one in group.buffers],
            "strong": sorted(group.strong),
            "weak": sorted(group.weak),
            "stores": sorted(group.stores),
            "files": sorted(group.files),
        }
        self.index.set_group(group.number, {key: value for key, value in entry.items() if value})
        for name in group.names:
            value = values[name]
            told = {"group": group.number, "type": type_name(value), "since": number}
            told.update(facts(value), **extras.entry(name))
            held = self._held(name, value, unproven, group) if unproven else []
            if held or _needs_much(group.size):  # to make a text again takes as much again
                self.proofs.await_trial(name, told, held)
            self.index.set_name(name, told)
            self._known.add(name)

    def _held(self, name: str, value: Any, unproven: list[type], group: Group) -> list[type]:
        """Those of a group's unproven types that are in one of its names."""
        if len(group.names) == 1:
            return unproven
        dump = dump_one(self._world, name, value)
        return unproven if dump is None else self.proofs.unproven(dump.pickler.kinds())

    def tried(self, lost: Iterable[Lost], *, proven: bool) -> None:
        """What was pending was loaded in a spare worker; `lost` are the names for which that did not go well."""
        failed = {one.name: one for one in lost if one.name in self._known}
        for name, pending in self.proofs.settle(failed).items():
            if proven and pending.entry.pop("holds", None) is not None and name in self._known:
                self.index.set_name(name, pending.entry)
        for name, one in failed.items():
            group = self._group_of.get(name)
            if group is not None:
                self.proofs.fails(group.digest, name, one.reason)
                self._stale |= group.names
        self._emptied = bool(failed)
        for one in failed.values():
            space = self._world.namespace
            self._lose(one._replace(type=type_name(space[one.name])) if one.name in space else one)
            self._opaque.add(one.name)
        self._stale -= failed.keys()

    def _drops(self) -> list[Record]:
        """Groups without names, and buffers that no group has."""
        records: list[Record] = []
        for number in [group.number for group in self.groups.values() if not group.names]:
            del self.groups[number]
            self.index.drop_group(number)
            records.append(({"drop": f"group/{number}"}, []))
        used = {buffer for group in self.groups.values() for buffer in group.buffers}
        return records + [self.buffers.drop(number) for number in self.buffers.numbers() - used]

    # --- back ------------------------------------------------------------------------------------------------------

    def adopt(self, stored: Stored, loader: Loader) -> None:
        """A restored checkpoint is the last one now. What could not be loaded is written anew as lost."""
        for name, entry in stored.names.items():
            self.index.set_name(name, entry)
            self._known.add(name)
            if "value" in entry:
                self._inline[name] = entry["value"]
            elif "module" in entry:
                self._modules[name] = self._world.namespace.get(name, sys)
        for number, entry in stored.groups.items():
            group = self.groups[number] = Group(number, ())
            self._next = max(self._next, number + 1)
            self.index.set_group(number, entry)
            if number in loader.groups:
                self._adopt_group(group, entry, loader.groups[number])
        self.index.records()  # which the checkpoint has

    def _adopt_group(self, group: Group, entry: dict[str, Any], loaded: Loaded) -> None:
        group.names = frozenset(loaded.values)
        group.digest = digest([loaded.data]) if loaded.whole else b""
        if not loaded.whole:
            self._stale |= loaded.values.keys()
        group.size = len(loaded.data)
        group.strong, group.weak, group.stores, group.files = (
            frozenset(entry.get(what, ())) for what in ("strong", "weak", "stores", "files")
        )
        group.escapes = not ESCAPES.isdisjoint(group.weak)
        group.ids = {name: id(value) for name, value in loaded.values.items()}
        self._group_of.update(dict.fromkeys(group.names, group))
        group.buffers = tuple(buffer.number for buffer in loaded.buffers)
        for buffer in loaded.buffers:
            self.buffers.adopt(buffer.number, buffer.view, mapped=buffer.mapped)

    def restored_lost(self, lost: Lost) -> None:
        """A name that was restored as a placeholder."""
        self._lose(lost)

    def files(self) -> set[str]:
        """The cells that code of the session was compiled from."""
        return {file for group in self.groups.values() for file in group.files}

    def distrust(self) -> None:
        """Write all of it next time."""
        for group in self.groups.values():
            group.digest = b""
        self.buffers.distrust()
        self.index.distrust()


def _needs_much(size: int) -> bool:
    """Whether a pickle is so large that there may not be the memory to load it where there was to make it."""
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0] if size >= _MUCH else resource.RLIM_INFINITY
    return limit != resource.RLIM_INFINITY and size >= limit // 4
