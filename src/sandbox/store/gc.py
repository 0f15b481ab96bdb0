"""Freeing the disk: records that no part needs go, and packs that are mostly dead are written anew.

Nothing in a pack is ever changed or cut: a pack is replaced as a whole, and who has the old one open keeps it. So
readers need no lock; one who looks for a pack by its name and finds it gone looks into the database again.
Killed at any step, this leaves a file that no row names, which the next run removes, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sandbox.errors import StoreDamaged
from sandbox.store import extents, retention
from sandbox.store.database import Database
from sandbox.store.packs import SUFFIX, Pack, Written
from sandbox.store.pool import PackPool, Tree
from sandbox.store.staging import Staging
from sandbox.store.steps import reached


class Freed(NamedTuple):
    """What a collection did: bytes of packs before and after, and packs that were left since they are damaged."""

    before: int
    after: int
    damaged: tuple[str, ...] = ()

    def __add__(self, other: object) -> Freed:
        assert isinstance(other, Freed)
        return Freed(self.before + other.before, self.after + other.after, self.damaged + other.damaged)


class _Record(NamedTuple):
    id: int
    where: Written


def collect(
    database: Database, pool: PackPool, tree: Tree, *, rewrite: bool = True, stopped: Callable[[], bool] = lambda: False
) -> Freed:
    """Collect one tree. Raises StoreDamaged, before anything is deleted, if it cannot be told what is needed.

    Without `rewrite` only packs of which nothing is needed go, which takes no time. Ends early once it is `stopped`.
    """
    before = pack_bytes(database, tree)
    with database.writing():
        _drop_records(database, tree)
        _account(database, tree)
        reached("gc records dropped")
    pool.close(tree.id)
    damaged = tuple(
        name
        for row, name in _packs(database, tree)
        if not stopped() and not _collected(database, pool, tree, row, name, rewrite=rewrite)
    )
    _remove_orphans(database, pool.directory / tree.name)
    return Freed(before, pack_bytes(database, tree), damaged)


def remove_tree(database: Database, pool: PackPool, tree: Tree) -> bool:
    """Remove a tree's packs and row if it has no session any more; return whether it had none."""
    if retention.sessions_of(database, tree):
        return False
    pool.close(tree.id)
    with database.writing():
        if retention.sessions_of(database, tree):
            return False
        query = "DELETE FROM records WHERE pack IN (SELECT id FROM packs WHERE tree = ?)"
        database.run(query, tree.id)
        database.run("DELETE FROM packs WHERE tree = ?", tree.id)
        database.run("DELETE FROM trees WHERE id = ?", tree.id)
    remove_directory(database, pool.directory / tree.name)
    return True


def remove_directory(database: Database, directory: Path) -> None:
    """Remove the directory of a tree that has no row."""
    if directory.is_dir():
        _remove_orphans(database, directory)
        if not any(directory.iterdir()):  # otherwise somebody is still writing to a session that was deleted
            directory.rmdir()


def _packs(database: Database, tree: Tree) -> list[tuple[int, str]]:
    return database.all("SELECT id, name FROM packs WHERE tree = ? ORDER BY id", tree.id)


def pack_bytes(database: Database, tree: Tree) -> int:
    return int(database.one("SELECT total(size) FROM packs WHERE tree = ?", tree.id)[0])


def _drop_records(database: Database, tree: Tree) -> None:
    """Delete the rows of records that no part of the tree has an extent of."""
    live: set[int] = set()
    query = "SELECT id, size, extents FROM parts WHERE tree = ? AND extents IS NOT NULL"
    for part, size, blob in database.all(query, tree.id):
        live.update(extent.record for extent in extents.decode(blob, size, f"part {part}"))
    query = "SELECT r.id FROM packs p JOIN records r ON r.pack = p.id WHERE p.tree = ?"
    dead = [row for row in database.all(query, tree.id) if row[0] not in live]
    database.run_many("DELETE FROM records WHERE id = ?", dead)


def _account(database: Database, tree: Tree) -> None:
    """Say anew what each session takes: a shared part counts for the oldest session that needs it."""
    sizes = {row[0]: row[1] for row in database.all(_SIZES, tree.id)}
    records = {
        row[0]: row[1]
        for row in database.all(
            "SELECT r.id, r.size FROM packs p JOIN records r ON r.pack = p.id WHERE p.tree = ?", tree.id
        )
    }
    where = {
        row[0]: {extent.record for extent in extents.decode(row[2], row[1], f"part {row[0]}")}
        for row in database.all("SELECT id, size, extents FROM parts WHERE tree = ? AND extents IS NOT NULL", tree.id)
    }
    for session in retention.sessions_of(database, tree):
        total = 0
        for part in retention.live_parts(database, [session]):
            total += sizes.pop(part, 0)
            total += sum(records.pop(record, 0) for record in where.pop(part, ()))
        database.run("UPDATE sessions SET bytes = ? WHERE key = ?", total, session)


_SIZES = "SELECT id, coalesce(length(data), 0) + 128 FROM parts WHERE tree = ?"


def _collected(database: Database, pool: PackPool, tree: Tree, row: int, name: str, *, rewrite: bool) -> bool:
    """Remove or rewrite a pack if that is worth it and nobody writes to it. False: it is damaged, and was left."""
    pack = Pack.take(pool.directory / tree.name / name)
    if pack is None:
        return True
    try:
        found = database.one("SELECT size FROM packs WHERE id = ?", row)
        records = _records(database, row)
        if found is None or sum(record.where.stored for record in records) * 2 > found[0]:
            return True
        if records and not rewrite:
            return True
        _replace(database, pool, tree, row, pack, records)
    except StoreDamaged:
        return False
    finally:
        pack.close()
    return True


def _records(database: Database, pack: int) -> list[_Record]:
    query = "SELECT id, header, start, size, digest FROM records WHERE pack = ? ORDER BY header"
    return [_Record(row[0], Written(*row[1:])) for row in database.all(query, pack)]


def _replace(database: Database, pool: PackPool, tree: Tree, row: int, pack: Pack, records: list[_Record]) -> None:
    """Copy the records that are needed into another pack, have the database point there, and remove the old one."""
    staging = Staging(pool.of(tree), lambda _: None, "gc")
    try:
        moved = [(_copy(staging, pack, record), record.id) for record in records]
        staging.sync()
        reached("gc pack copied")
        with database.writing():
            target = None if staging.pack is None else _target(database, tree, staging.pack)
            query = "UPDATE records SET pack = ?, header = ?, start = ? WHERE id = ?"
            database.run_many(query, [(target, new.header, new.start, number) for new, number in moved])
            database.run("DELETE FROM packs WHERE id = ?", row)
            staging.named = True
        reached("gc pack switched")
    except BaseException:
        staging.abort()
        raise
    if staging.pack is not None:
        staging.pack.id = target
    staging.close(committed=True)
    os.unlink(pack.path)
    reached("gc pack removed")


def _copy(staging: Staging, pack: Pack, record: _Record) -> Written:
    copy = staging.copied(pack.fd, record.where.start, record.where.size)
    if copy.digest != record.where.digest:
        raise StoreDamaged(f"the record at {record.where.header} in the pack {pack.path.name} is not what was written")
    return copy


def _target(database: Database, tree: Tree, pack: Pack) -> int:
    if pack.id is not None:
        database.run("UPDATE packs SET size = ? WHERE id = ?", pack.end, pack.id)
        return pack.id
    query = "INSERT INTO packs (tree, name, size) VALUES (?, ?, ?)"
    row = database.run(query, tree.id, pack.path.name, pack.end).lastrowid
    assert row is not None
    return row


def _remove_orphans(database: Database, directory: Path) -> None:
    """Remove files that no row names and nobody is writing."""
    if not directory.is_dir():
        return
    for path in directory.glob(f"*{SUFFIX}"):
        if not _named(database, path.name) and (pack := Pack.take(path)):
            try:
                # Asked again with its lock held: only who has that could have committed it since.
                if not _named(database, path.name):
                    os.unlink(path)
                    reached("gc orphan removed")
            finally:
                pack.close()


def _named(database: Database, name: str) -> bool:
    return database.one("SELECT 1 FROM packs WHERE name = ?", name) is not None
