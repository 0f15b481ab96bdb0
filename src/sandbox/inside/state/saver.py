"""Saves what an execution changed, and restores a checkpoint in a fresh worker."""

import os
import sys
import types
from _thread import _count as started_threads
from collections.abc import Callable, Iterable
from typing import Any

from . import names as static
from .ambience import Ambience
from .ambient import OF_EACH_WORKER
from .extras import Extras, shown
from .lost import Lost, told
from .pickler import Context
from .proofs import MACHINERY
from .restore import Restoration
from .sources import Sources
from .tables import Tables
from .world import World

Record = tuple[dict[str, Any], list[Any]]


class Delta:
    """What one execution changed: `records`, in order, and every name that is lost as of now.

    `untried`: some of it is not known to load, so that `Saver.check` should load it in a spare worker.
    """

    __slots__ = ("lost", "records", "untried")

    def __init__(self, records: list[Record], lost: list[Lost], *, untried: bool = False) -> None:
        self.records = records
        self.lost = lost
        self.untried = untried


class Saver:
    """Lives in a worker. Made before the fork; what it notes of a session, it notes after."""

    def __init__(self, main: types.ModuleType) -> None:
        self._world = World(main)
        self._tables = Tables(self._world)
        self._extras = Extras(self._world)
        self._ambience = Ambience(self._world)
        self._sources = Sources()
        self._prepared = False
        self._busy = False
        self._distrusted = False

    def prepare(self) -> None:
        """In the zygote, after each import: all that is there now is every worker's.

        What is noted here is shared by them. Each would touch, and so copy, much of the libraries to note it itself.
        """
        self._world.begin()
        self._extras.begin()
        self._ambience.begin()
        self._prepared = True

    def begin(self) -> None:
        """In a fresh session, or before a restore: note what differs from one worker to the next."""
        Context.home = os.getcwd()
        if self._prepared:
            self._ambience.begin(OF_EACH_WORKER)
        else:
            self.prepare()

    def save(self, number: int, codes: Iterable[types.CodeType], source: str) -> Delta:
        """After execution `number`, of which `codes` were compiled from `source`: what it changed.

        Never raises for what objects of the user do: what of them cannot be kept is in the delta's `lost`.
        """
        read = [static.read(code) for code in codes]
        mentioned = {name for one in read for name in one.names}
        reached = None if self._is_open(read) else self._tables.closure(mentioned)
        everything = reached is None
        reached = self._tables.everything() if reached is None else reached | mentioned
        extra = self._look_for_extras(read, reached, everything)
        proofs = self._tables.proofs
        proofs.pending.clear()
        records = self._tables.save(number, reached, extra, self._extras)
        records += self._sources.save(self._tables.files(), number, source)
        records += self._ambience.note_imports([name for one in read for name in one.imports])
        records += self._ambience.save(number)
        return Delta(records, self._lost(), untried=bool(proofs.pending))

    def tried(self, number: int, lost: Iterable[Lost], *, proven: bool = True) -> Delta:
        """The last delta was loaded in a spare worker. What it has to be instead, if that showed names to be lost.

        Not `proven`: that could not be done, and will not be tried again.
        """
        tables = self._tables
        found = {one.name: one for one in lost}
        raw = {told(shown(name)): name for name in tables.everything()} if found else {}
        tables.tried([one._replace(name=raw[name]) for name, one in found.items() if name in raw], proven=proven)
        if not found:
            return Delta([], self._lost())
        return Delta(tables.save(number, set(), set(), self._extras), self._lost())

    def distrust(self) -> None:
        """The last delta did not get into the store: the next one has everything."""
        self._tables.distrust()
        self._ambience.distrust()
        self._distrusted = True

    def restore(self, parts: Any) -> list[Lost]:
        """In a fresh worker, after `begin`: all of a checkpoint. Raises DamagedIndex if it has no index to go by."""
        world, tables, extras = self._world, self._tables, self._extras
        return Restoration(world, tables, extras, self._ambience, self._sources, parts).run()

    def check(
        self,
        parts: Any,
        *,
        whole: bool,
        trying: Callable[[list[str]], object] = len,
        bad: "dict[str, str] | None" = None,
    ) -> list[Lost]:
        """In a spare worker, after `begin`, that is used for nothing else: what would be lost and is not said to be.

        Not `whole`: only what is not known to load, and what that refers to. All of that loads, or it has to be
        seen what a restore makes of it. `trying` hears of names before they are loaded, by the names that people
        know; those in `bad` are known not to load, and why: they are left out.
        """
        world, tables, extras = self._world, self._tables, self._extras
        return Restoration(world, tables, extras, self._ambience, self._sources, parts).check(
            trying, bad or {}, whole=whole
        )

    def _is_open(self, read: "list[static.Code]") -> bool:
        """Whether any variable may have changed: the code reaches for all, or something ran beside it."""
        was_busy, self._busy = self._busy, started_threads() > 0 or _has_tasks()
        distrusted, self._distrusted = self._distrusted, False
        return was_busy or self._busy or distrusted or any(one.escapes for one in read)

    def _look_for_extras(self, read: "list[static.Code]", reached: set[str], everything: bool) -> set[str]:
        weak, stores = self._tables.mentions(reached)
        for one in read:
            stores |= one.stores
        if not MACHINERY.isdisjoint(stores) or any("copyreg" in one.names for one in read):
            self._tables.proofs.forget()
        return self._extras.look(reached | weak, frozenset(stores), everything=everything)

    def _lost(self) -> list[Lost]:
        lost = [*self._tables.lost.values(), *self._tables.nameless, *self._ambience.lost.values()]
        return [one._replace(name=shown(one.name)) for one in lost]


def _has_tasks() -> bool:
    """Whether tasks are left in an event loop: they run on between executions."""
    module = sys.modules.get("asyncio.tasks")
    if module is None:
        return False
    return any(len(getattr(module, name, ())) for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks"))
