"""Which pack the next record goes into: one that nobody else is writing to."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import NamedTuple

from sandbox.errors import StoreDamaged
from sandbox.store.database import Database
from sandbox.store.packs import Pack

# A pack that has grown beyond this gets nothing more: packs are rewritten as a whole.
MOST_PACK = 256 * 1024 * 1024
_MOST_IDLE = 64


class Tree(NamedTuple):
    """The sessions that came from one another by forks, and share parts; never those of two owners."""

    id: int
    name: str


class PackPool:
    """The packs that this process has locked and is not writing to right now. Usable from any thread."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.directory = directory
        self._database = database
        self._lock = threading.Lock()
        self._idle: dict[int, list[Pack]] = {}

    def of(self, tree: Tree) -> TreePacks:
        """The packs of one tree."""
        return TreePacks(self, tree)

    def acquire(self, tree: Tree) -> Pack:
        """Return a locked pack to append to."""
        pack = self.pop(tree.id)
        return pack or self._taken(tree) or Pack.make(self.directory / tree.name)

    def pop(self, tree: int) -> Pack | None:
        """Take an idle one out of the pool."""
        with self._lock:
            idle = self._idle.get(tree)
            pack = idle.pop() if idle else None
            if not idle:
                self._idle.pop(tree, None)
        return pack

    def give_back(self, tree: int, pack: Pack) -> None:
        """Keep a pack for the next one who asks, if there is anything in it and room left."""
        with self._lock:
            if 0 < pack.committed < MOST_PACK and len(self._idle) < _MOST_IDLE:
                self._idle.setdefault(tree, []).append(pack)
                return
        if pack.committed == 0 and pack.id is None:
            os.unlink(pack.path)
        pack.close()

    def close(self, tree: int | None = None) -> None:
        """Give up the locks of one tree, or of all."""
        with self._lock:
            trees = list(self._idle) if tree is None else [tree]
            packs = [pack for each in trees for pack in self._idle.pop(each, ())]
        for pack in packs:
            pack.close()

    def _taken(self, tree: Tree) -> Pack | None:
        """Take over one that nobody writes to, such as a dead process's."""
        rows = self._database.all("SELECT id, name FROM packs WHERE tree = ? AND size < ?", tree.id, MOST_PACK)
        for row, name in rows:
            pack = Pack.take(self.directory / tree.name / name)
            if pack is not None and self._cut(pack, row):
                return pack
        return None

    def _cut(self, pack: Pack, row: int) -> bool:
        """Asked again now that the lock is ours: until then it may have grown, or been replaced.

        One that is damaged is left as it is for `verify` to say so: what is new goes elsewhere.
        """
        try:
            found = self._database.one("SELECT size FROM packs WHERE id = ?", row)
            if found is not None:
                pack.cut(found[0])
                pack.id = row
                return True
        except StoreDamaged:
            pass
        except BaseException:
            pack.close()
            raise
        pack.close()
        return False


class TreePacks:
    """The pool, for one tree."""

    def __init__(self, pool: PackPool, tree: Tree) -> None:
        self._pool, self._tree = pool, tree

    def acquire(self) -> Pack:
        """Return a locked pack to append to."""
        return self._pool.acquire(self._tree)

    def give_back(self, pack: Pack) -> None:
        """Return it to the pool."""
        self._pool.give_back(self._tree.id, pack)
