"""Puts a checkpoint into a fresh worker, in the order in which one thing needs the other."""

from collections.abc import Callable
from typing import Any

from .ambience import Ambience
from .extras import Extras, is_extra, order_of, shown
from .groups import dump_one
from .index import Stored
from .loader import Loader
from .lost import Lost, Placeholder, told, why
from .proofs import missing
from .sources import Sources
from .tables import Tables
from .world import World


class Restoration:
    """One restore."""

    def __init__(
        self, world: World, tables: Tables, extras: Extras, ambience: Ambience, sources: Sources, parts: Any
    ) -> None:
        self._world = world
        self._tables = tables
        self._extras = extras
        self._ambience = ambience
        self._sources = sources
        self._parts = parts
        self._stored = Stored(parts)
        self._loader = Loader(world, self._stored, parts, self._found)
        self._extra: dict[str, Any] = {}
        self._lost: dict[str, Lost] = {}

    def run(self) -> list[Lost]:
        """All of it. What is lost has placeholders, and is returned."""
        settings = self._ambience.restore(self._parts, self._loader, early=True)
        self._sources.restore(self._parts)
        settings += self._ambience.restore_imports(self._parts, self._loader)
        self._load()
        self._tables.adopt(self._stored, self._loader)
        self._put_extras_back()
        settings += self._ambience.restore(self._parts, self._loader, early=False)
        self._loader.groups.clear()  # which would keep the memory of arrays as if somebody looked at it
        self._place_lost()
        self._order()
        return [*(one._replace(name=shown(one.name)) for one in self._lost.values()), *settings]

    def check(self, trying: Callable[[list[str]], object], bad: dict[str, str], *, whole: bool) -> list[Lost]:
        """Load the `whole` in the order of a restore, or the names that are to be tried; return what does not load.

        This worker is good for nothing else then.
        """
        self._ambience.restore(self._parts, self._loader, early=True)
        self._sources.restore(self._parts)
        self._ambience.restore_imports(self._parts, self._loader)
        names = self._stored.names
        for name, why_not in bad.items():
            raw = next((one for one in names if told(shown(one)) == name), None)
            if raw is not None:
                self._loader.fail(raw, why_not)
        for name, entry in names.items():
            if whole or "holds" in entry:
                trying([told(shown(one)) for one in self._loader.names_of(entry.get("group"))])
                self._load_safely(name, entry)
        return [one._replace(name=shown(name)) for name, one in self._lost.items() if "lost" not in names[name]]

    def _found(self, name: str, value: Any) -> None:
        if is_extra(name):
            self._extra[name] = value
        else:
            self._world.namespace[name] = value
            self._world.define(name, value)

    def _load(self) -> None:
        for name, entry in self._stored.names.items():
            self._load_safely(name, entry)

    def _load_safely(self, name: str, entry: dict[str, Any]) -> None:
        try:
            self._load_name(name, entry)
        except BaseException as error:  # noqa: BLE001 - a damaged entry, a module that raises
            self._lose(name, entry, why(error))

    def _load_name(self, name: str, entry: dict[str, Any]) -> None:
        if "value" in entry:
            self._world.namespace[name] = entry["value"]
        elif "module" in entry:
            self._world.namespace[name] = self._loader.module(entry["module"])
        elif "lost" in entry:
            self._lost[name] = Lost(name, str(entry.get("type")), str(entry["lost"]), int(entry.get("since", 0)))
        else:
            self._loader.load(entry["group"])
            if "holds" in entry and name not in self._loader.failed:
                self._check_types(name, entry)
            if name in self._loader.failed:
                self._lose(name, entry, self._loader.failed[name])

    def _check_types(self, name: str, entry: dict[str, Any]) -> None:
        """Refuse a value in which types that it had did not come back. Pickling it again tells."""
        value = self._loader.groups[entry["group"]].values[name]
        dump = dump_one(self._world, name, value)
        gone = [] if dump is None else missing(entry["holds"], dump.pickler.kinds())
        if gone:
            self._loader.refuse(name, f"a {gone[0]} in it came back as something else")

    def _lose(self, name: str, entry: Any, reason: str) -> None:
        held = entry if isinstance(entry, dict) else {}
        since = held.get("since", 0)
        self._lost[name] = Lost(name, str(held.get("type")), reason, since if isinstance(since, int) else 0)

    def _put_extras_back(self) -> None:
        # What was put into a class comes before what was put in that class's place.
        for name, value in sorted(self._extra.items(), key=lambda one: order_of(self._stored.names[one[0]])):
            try:
                self._extras.put_back(name, self._stored.names[name], value)
            except BaseException as error:  # noqa: BLE001 - a library may refuse what was put into it
                self._lose(name, self._stored.names[name], why(error))

    def _place_lost(self) -> None:
        for name, lost in self._lost.items():
            self._tables.restored_lost(lost)
            if not is_extra(name):
                self._world.namespace[name] = Placeholder(lost)

    def _order(self) -> None:
        """Names in the order in which the session had them, whichever order they were loaded in."""
        space = self._world.namespace
        there = {name: space.pop(name) for name in self._stored.names if name in space}
        space.update(there)
        self._extras.settle()
