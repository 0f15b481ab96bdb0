"""Saves and restores the ambient items: what differs from a fresh worker's, and only when it has changed."""

import sys
from json import JSONDecodeError, dumps, loads
from typing import Any

from .ambient import EARLY, Item, items
from .groups import Dump
from .loader import Loader
from .lost import Lost, why
from .world import World

Record = tuple[dict[str, Any], list[Any]]
_IMPORTS = "ambient/imports"
_ABSENT = object()
_OWN = {"random", "numpy.random"}


class Ambience:
    """The items, with their stamps in a fresh worker and as of the last checkpoint."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._items = items()
        self._fresh: dict[str, Any] = {}
        self._seen: dict[str, Any] = {}
        self._stored: set[str] = set()
        self._imports: dict[str, bool] = {}
        self._stored_imports: list[str] = []
        self.lost: dict[str, Lost] = {}

    def begin(self, only: "frozenset[str] | None" = None) -> None:
        """Note a fresh worker's; `only` some of it, again.

        Random generators begin elsewhere in each worker: theirs is kept from the first time on.
        """
        for one in self._items:
            if only is None or one.name in only:
                one.begin()
        self._fresh.update({one: stamp for one, stamp in self._stamps(only).items() if one not in _OWN})
        self._seen = dict(self._fresh)

    def save(self, number: int) -> list[Record]:
        """What changed of them since the last time."""
        records = []
        stamps = self._stamps()
        for one in self._items:
            if one.name not in stamps:
                continue
            stamp = stamps[one.name]
            if one.name not in self._seen or stamp != self._seen[one.name]:
                self._seen[one.name] = stamp
                records += self._changed(one, stamp, number)
        return records

    def _stamps(self, only: "frozenset[str] | None" = None) -> dict[str, Any]:
        """Of all items that are there, or `only` some.

        A module may have a library's name and be something else: it has none.
        """
        found = {}
        modules = sys.modules
        for one in self._items:
            if (not one.module or one.module in modules) and (only is None or one.name in only):
                try:
                    found[one.name] = one.stamp()
                except Exception:  # noqa: BLE001, S112 - on the path of each execution, where `suppress` costs more
                    continue
        return found

    def _changed(self, item: Item, stamp: Any, number: int) -> list[Record]:
        key = f"ambient/{item.name}"
        fresh = self._fresh.get(item.name, _ABSENT)
        self.lost.pop(key, None)
        if fresh is not _ABSENT and fresh == stamp:
            if key not in self._stored:
                return []
            self._stored.discard(key)
            return [({"drop": key}, [])]
        try:
            dump = Dump(self._world, {key: item.value()}, frozenset((key,)))
        except BaseException as error:  # noqa: BLE001 - the user's objects are in there too
            self.lost[key] = Lost(f"setting {item.name}", "setting", why(error), number)
            return []
        data = b"".join([dump.data, *(buffer.raw() for buffer in dump.pickler.buffers)])
        self._stored.add(key)
        return [({"put": key, "size": len(data)}, [data])]

    def note_imports(self, names: "list[str]") -> list[Record]:
        """Modules that cells have imported are imported again: some of them matter without being bound to a name."""
        for name in names:
            self._imports.setdefault(name, False)
        for name, done in self._imports.items():
            if not done and name in sys.modules:
                self._imports[name] = True
        now = [name for name, done in self._imports.items() if done and name not in self._world.modules]
        if now == self._stored_imports:
            return []
        self._stored_imports = now
        data = dumps(now).encode("ascii")
        return [({"put": _IMPORTS, "size": len(data)}, [data])]

    def distrust(self) -> None:
        """Write all of it next time."""
        self._seen = dict.fromkeys(self._seen, _ABSENT)
        self._stored_imports = []

    # --- back ------------------------------------------------------------------------------------------------------

    def restore(self, parts: Any, loader: Loader, early: bool) -> list[Lost]:
        """Set what is in the checkpoint: what others depend on `early`, the rest when all variables are there."""
        lost = []
        for one in self._items:
            key = f"ambient/{one.name}"
            if (one.name in EARLY) is not early or key not in parts:
                continue
            self._stored.add(key)
            try:
                one.write(loader.unpickle(bytes(parts[key]))[key])
            except BaseException as error:  # noqa: BLE001 - a damaged part, or a library that will not have it
                lost.append(Lost(f"setting {one.name}", "setting", why(error), 0))
            else:
                self._seen.update(self._stamps(frozenset((one.name,))))
        return lost

    def restore_imports(self, parts: Any, loader: Loader) -> list[Lost]:
        """Import what cells have imported."""
        if _IMPORTS not in parts:
            return []
        try:
            names = [name for name in loads(bytes(parts[_IMPORTS])) if isinstance(name, str)]
        except (JSONDecodeError, UnicodeDecodeError, TypeError) as error:
            return [Lost("setting imports", "setting", why(error), 0)]
        lost = []
        for name in names:
            try:
                loader.module(name)
            except BaseException as error:  # noqa: BLE001 - what a module runs may raise anything
                lost.append(Lost(f"import {name}", "module", why(error), 0))
        self._imports = dict.fromkeys(names, True)
        self._stored_imports = names
        return lost
