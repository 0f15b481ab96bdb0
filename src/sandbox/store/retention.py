"""Dropping checkpoints and sessions: what is left stays whole, and parts that nothing needs any more go at once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sandbox.errors import CheckpointNotFound
from sandbox.store import manifest
from sandbox.store.database import Database
from sandbox.store.history import text
from sandbox.store.manifest import Delta, number_of, row_id
from sandbox.store.pool import Tree
from sandbox.store.steps import reached


class Limits(NamedTuple):
    """Quotas in bytes. `drop_oldest`: make room by dropping a session's oldest checkpoints without a label.

    `checkpoints`: how many without a label are kept of a session, the newest; None for all.
    """

    session_bytes: int = 20 << 30
    total_bytes: int = 100 << 30
    drop_oldest: bool = False
    checkpoints: int | None = None


class _Row:
    """A checkpoint while others are dropped around it."""

    def __init__(self, parent: int, chain: int, delta: Delta, whole: Delta | None) -> None:
        self.parent, self.chain, self.delta, self.whole = parent, chain, delta, whole


def drop(database: Database, session: int, tree: Tree, numbers: Sequence[int], *, outputs: bool = False) -> None:
    """Drop these checkpoints, within a transaction: the difference that each made goes into those after it.

    With `outputs` what their executions printed and showed goes too. That they were, stays in the history.
    """
    parents = _parents(database, session)
    if missing := set(numbers) - parents.keys():
        raise CheckpointNotFound(f"the session has no checkpoint {min(missing)}", {"checkpoint": min(missing)})
    dropped = {number: _load(database, session, number) for number in numbers}
    children: dict[int, set[int]] = {}
    for number, parent in parents.items():
        children.setdefault(parent, set()).add(number)
    changed: dict[int, _Row] = {}
    for number in sorted(numbers):
        row = dropped[number]
        children.setdefault(row.parent, set()).discard(number)
        for child in children.pop(number, ()):
            after = dropped.get(child) or changed.get(child) or _load(database, session, child)
            if child not in dropped:
                changed[child] = after
            _merge(row, after)
            children.setdefault(row.parent, set()).add(child)
    _store(database, session, changed)
    parts = _drop_outputs(database, session, numbers) if outputs else set()
    database.run_many("DELETE FROM checkpoints WHERE id = ?", [(row_id(session, number),) for number in numbers])
    delete_parts(database, tree, parts | {part for row in dropped.values() for part in manifest.parts_of(row.delta)})
    reached("drop written")


def _drop_outputs(database: Database, session: int, numbers: Sequence[int]) -> set[int]:
    """Drop the outputs of the executions that made these checkpoints; return the parts that they were in."""
    query = "SELECT execution FROM checkpoints WHERE id IN (SELECT value FROM json_each(?)) AND execution IS NOT NULL"
    made_by = [row[0] for row in database.all(query, json.dumps([row_id(session, number) for number in numbers]))]
    ids = json.dumps([row_id(session, execution) for execution in made_by])
    where = "outputs_part IS NOT NULL AND id IN (SELECT value FROM json_each(?))"
    parts = {row[0] for row in database.all(f"SELECT outputs_part FROM executions WHERE {where}", ids)}  # noqa: S608
    query = "UPDATE executions SET outputs = NULL, outputs_part = NULL WHERE id IN (SELECT value FROM json_each(?))"
    database.run(query, ids)
    return parts


def _merge(row: _Row, after: _Row) -> None:
    """Have `after` follow on what `row` followed on."""
    if row.whole is not None and after.whole is None:
        after.whole = dict(row.whole)
        for key, entry in after.delta.items():
            if entry is None:
                after.whole.pop(key, None)
            else:
                after.whole[key] = entry
        after.chain = 0
    after.delta = {**row.delta, **after.delta}
    if row.parent == 0:
        after.delta = {key: entry for key, entry in after.delta.items() if entry is not None}
    after.parent = row.parent


def _store(database: Database, session: int, changed: dict[int, _Row]) -> None:
    database.run_many(
        "UPDATE checkpoints SET parent = ?, chain = ?, delta = ?, whole = ? WHERE id = ?",
        [
            (row.parent, row.chain, manifest.encode(row.delta), row.whole and manifest.encode(row.whole),
             row_id(session, number))
            for number, row in changed.items()
        ],
    )  # fmt: skip


def delete_session(database: Database, session: int, tree: Tree) -> None:
    """Delete a session, within a transaction."""
    parts = live_parts(database, [session])
    low, high = row_id(session, 0), row_id(session + 1, 0)
    database.run("DELETE FROM checkpoints WHERE id >= ? AND id < ?", low, high)
    database.run("DELETE FROM executions WHERE id >= ? AND id < ?", low, high)
    database.run("DELETE FROM artifacts WHERE session = ?", session)
    database.run("DELETE FROM sessions WHERE key = ?", session)
    delete_parts(database, tree, parts)


def delete_artifacts(database: Database, session: int, tree: Tree, names: Iterable[tuple[int, str]]) -> None:
    """Delete artifacts by execution and name, within a transaction."""
    parts: set[int] = set()
    for execution, name in names:
        at = (session, execution, text(name))
        query = "SELECT part FROM artifacts WHERE session = ? AND execution = ? AND name = ?"
        parts.update(row[0] for row in database.all(query, *at))
        database.run("DELETE FROM artifacts WHERE session = ? AND execution = ? AND name = ?", *at)
    if parts:
        delete_parts(database, tree, parts)


def delete_parts(database: Database, tree: Tree, candidates: set[int]) -> None:
    """Delete those of these parts that nothing in the tree needs, within a transaction."""
    dead = candidates - live_parts(database, sessions_of(database, tree))
    database.run("DELETE FROM parts WHERE id IN (SELECT value FROM json_each(?))", json.dumps(sorted(dead)))


def sessions_of(database: Database, tree: Tree) -> list[int]:
    """The keys of a tree's sessions, the oldest first."""
    return [row[0] for row in database.all("SELECT key FROM sessions WHERE tree = ? ORDER BY key", tree.id)]


def live_parts(database: Database, sessions: Iterable[int]) -> set[int]:
    """The parts that these sessions need. Raises StoreDamaged if that cannot be told: then nothing may be deleted.

    A whole manifest has nothing that the differences on the way to it do not have.
    """
    live: set[int] = set()
    for session in sessions:
        low, high = row_id(session, 0), row_id(session + 1, 0)
        for number, blob in database.all("SELECT id, delta FROM checkpoints WHERE id >= ? AND id < ?", low, high):
            live |= manifest.parts_of(manifest.decode(blob, f"checkpoint {number_of(number)}"))
        query = "SELECT outputs_part FROM executions WHERE id >= ? AND id < ? AND outputs_part IS NOT NULL"
        live.update(row[0] for row in database.all(query, low, high))
        live.update(row[0] for row in database.all("SELECT part FROM artifacts WHERE session = ?", session))
    return live


def oldest(database: Database, session: int, head: int) -> Iterator[list[int]]:
    """Checkpoints that may be dropped to make room, the oldest first, in batches that grow."""
    numbers = iter([number for number in unlabelled(database, session) if number != head])
    size = 1
    while batch := list(itertools.islice(numbers, size)):
        yield batch
        size *= 2


def unlabelled(database: Database, session: int) -> list[int]:
    """The checkpoints without a label, the oldest first."""
    query = "SELECT id FROM checkpoints WHERE id >= ? AND id < ? AND label IS NULL ORDER BY id"
    return [number_of(row[0]) for row in database.all(query, row_id(session, 0), row_id(session + 1, 0))]


def _parents(database: Database, session: int) -> dict[int, int]:
    query = "SELECT id, parent FROM checkpoints WHERE id >= ? AND id < ?"
    rows = database.all(query, row_id(session, 0), row_id(session + 1, 0))
    return {number_of(row[0]): row[1] for row in rows}


def _load(database: Database, session: int, number: int) -> _Row:
    query = "SELECT parent, chain, delta, whole FROM checkpoints WHERE id = ?"
    parent, chain, delta, whole = database.one(query, row_id(session, number))
    what = f"checkpoint {number}"
    return _Row(parent, chain, manifest.decode(delta, what), whole and manifest.decode(whole, what))
