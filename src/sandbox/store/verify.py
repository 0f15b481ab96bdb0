"""Looking for damage: every byte that is stored is hashed, and each checkpoint is whole or is said not to be."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sandbox.errors import StoreDamaged
from sandbox.store import extents, manifest, packs
from sandbox.store.database import Database
from sandbox.store.manifest import number_of, row_id
from sandbox.store.parts import PartRow


class Report(NamedTuple):
    """What was found. `whole` and `broken` have the checkpoints of each session; broken ones with what is damaged."""

    database: tuple[str, ...]
    packs: tuple[str, ...]
    whole: dict[str, tuple[int, ...]]
    broken: dict[str, dict[int, tuple[str, ...]]]

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not (self.database or self.packs or self.broken)


def verify(database: Database, directory: Path) -> Report:
    """Read everything. Changes nothing; what is committed or collected meanwhile may be looked at or not."""
    problems = database.check()
    said: list[str] = []
    bad_records = _bad_records(database, directory, said)
    bad_parts = _bad_parts(database, bad_records, said)
    whole: dict[str, tuple[int, ...]] = {}
    broken: dict[str, dict[int, tuple[str, ...]]] = {}
    for key, session in database.all("SELECT key, id FROM sessions ORDER BY key"):
        good, bad = _checkpoints(database, key, bad_parts)
        whole[session] = tuple(good)
        if bad:
            broken[session] = bad
    return Report(tuple(problems), tuple(said), whole, broken)


def _bad_records(database: Database, directory: Path, said: list[str]) -> set[int]:
    bad: set[int] = set()
    query = "SELECT p.id, t.name, p.name FROM packs p JOIN trees t ON t.id = p.tree ORDER BY p.id"
    for pack, tree, name in database.all(query):
        query = "SELECT id, header, start, size, digest FROM records WHERE pack = ? ORDER BY header"
        rows = database.all(query, pack)
        try:
            fd = packs.open_to_read(directory / tree / name)
        except OSError as error:
            if database.one("SELECT 1 FROM packs WHERE id = ?", pack):  # else it was replaced meanwhile
                said.append(f"the pack {name} cannot be opened: {error.strerror}")
                bad.update(row[0] for row in rows)
            continue
        with open(fd, "rb", buffering=0):
            for row in rows:
                try:
                    packs.verify(fd, packs.Written(*row[1:]), name)
                except StoreDamaged as error:
                    said.append(error.message)
                    bad.add(row[0])
    return bad


def _bad_parts(database: Database, bad_records: set[int], said: list[str]) -> set[int]:
    """The parts that are not whole. Those that are missing are found where they are needed."""
    bad: set[int] = set()
    known = {row[0]: row[1] for row in database.all("SELECT id, size FROM records")}
    for number, size, address, where, data in database.all("SELECT id, size, digest, extents, data FROM parts"):
        try:
            if where is None:
                PartRow(number, size, address, None, data).inline()
                continue
            for extent in extents.decode(where, size, f"part {number}"):
                if extent.record in bad_records or extent.start + extent.size > known.get(extent.record, -1):
                    bad.add(number)
        except StoreDamaged as error:
            said.append(error.message)
            bad.add(number)
    return bad


def _checkpoints(database: Database, key: int, bad: set[int]) -> tuple[list[int], dict[int, tuple[str, ...]]]:
    good: list[int] = []
    broken: dict[int, tuple[str, ...]] = {}
    query = "SELECT id FROM checkpoints WHERE id >= ? AND id < ? ORDER BY id"
    there = {row[0] for row in database.all("SELECT id FROM parts")} - bad
    for (row,) in database.all(query, row_id(key, 0), row_id(key + 1, 0)):
        number = number_of(row)
        try:
            found = manifest.load(database, key, number)
        except StoreDamaged as error:
            broken[number] = (error.message,)
            continue
        damaged = [name for name, entry in found.items() if (part := manifest.part_of(entry)) and part not in there]
        if damaged:
            broken[number] = tuple(sorted(damaged))
        else:
            good.append(number)
    return good, broken
