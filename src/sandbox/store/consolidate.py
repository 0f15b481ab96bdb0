"""Bringing a part that patches have left in many pieces into one record again."""

from __future__ import annotations

from pathlib import Path

from sandbox.errors import StoreDamaged, StoreFull
from sandbox.store import extents
from sandbox.store.commit import Writer
from sandbox.store.database import Database
from sandbox.store.extents import Extent
from sandbox.store.parts import Large, Parts, Reader, rows
from sandbox.store.pool import Tree
from sandbox.store.staged import StagedPart
from sandbox.store.staging import Staging
from sandbox.store.steps import reached


def consolidate(database: Database, staging: Staging, directory: Path, number: int) -> bool:
    """Rewrite a part in one piece; every checkpoint that has it gains. The old pieces go with the next gc.

    False if it stays as it is: its records are damaged, there is no room, or it was changed or dropped meanwhile.
    """
    try:
        row = rows(database, [number])[number]
        if row.extents is None:
            return False
        with Reader(database, directory).open({"part": number}, verified=True) as parts:
            staged = _copied(staging, parts, parts.large["part"])
        staging.sync()
        done = staged is not None and _switched(database, staging, number, row.size, row.extents, staged)
    except (StoreDamaged, StoreFull):
        staging.abort()
        return False
    except BaseException:
        staging.abort()
        raise
    staging.close(committed=done)
    return done


def _copied(staging: Staging, parts: Parts, large: Large) -> StagedPart | None:
    pieces = [(parts.fds[fd], start, size) for _, fd, start, size in large.extents]
    if sum(size for _, _, size in pieces) != large.size:
        return None  # a file with holes, which has to be in pieces
    return staging.joined(pieces)


def _switched(
    database: Database, staging: Staging, number: int, size: int, old: extents.Extents, staged: StagedPart
) -> bool:
    with database.writing():
        found = database.one("SELECT tree, extents FROM parts WHERE id = ?", number)
        if found is None or extents.decode(found[1], size, f"part {number}") != old:
            return False
        tree = database.one("SELECT id, name FROM trees WHERE id = ?", found[0])
        writer = Writer(database, Tree(*tree), staging, {})
        writer.packs()
        where = extents.encode((Extent(0, writer.record(staged.extents[0].record), 0, size),))
        database.run("UPDATE parts SET extents = ? WHERE id = ?", where, number)
        reached("consolidated")
        staging.named = True
    if staging.pack is not None:
        staging.pack.id = writer.pack
    return True
