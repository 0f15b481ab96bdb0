"""The table of sessions: making, finding, holding and forking them."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec

from sandbox.errors import SessionBusy, SessionExists, SessionNotFound, SessionTaken, StoreDamaged
from sandbox.ids import checked_session_id
from sandbox.store import manifest
from sandbox.store.database import Database
from sandbox.store.history import text
from sandbox.store.holder import Holder
from sandbox.store.manifest import row_id
from sandbox.store.pool import Tree

_COLUMNS = (
    "s.key, s.id, s.owner, s.name, s.label, s.created, s.used, s.bytes, s.head, s.next, s.holder, s.origin, s.options, "
    "s.tree, t.name FROM sessions s JOIN trees t ON t.id = s.tree"
)


class Origin(msgspec.Struct, frozen=True):
    """What a session was forked from."""

    session: str
    checkpoint: int


class SessionInfo(NamedTuple):
    """What the store knows of a session. `bytes` is what it has added; forks share what was there before."""

    key: int
    id: str
    owner: str
    name: str
    label: str | None
    created: float
    used: float
    bytes: int
    head: int
    next: int
    holder: Holder | None
    origin: Origin | None
    options: dict[str, Any]
    tree: Tree

    @property
    def held(self) -> bool:
        """Whether a process that is alive, as far as can be told, has it open."""
        return self.holder is not None and not self.holder.dead


class New(NamedTuple):
    """What a session is made with."""

    id: str
    owner: str
    name: str = ""
    label: str | None = None
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


class Lease(NamedTuple):
    """The right to write to a session. Every write names the epoch and fails when there is a newer one."""

    key: int
    epoch: int


def insert(database: Database, new: New, tree: int, *, origin: Origin | None = None, holder: Holder | None) -> Lease:
    """Make a session, within a transaction. Raises SessionExists."""
    if database.one("SELECT 1 FROM sessions WHERE id = ?", checked_session_id(new.id)):
        raise SessionExists(f"there is a session {new.id!r} already", {"session": new.id})
    now = time.time()
    key = database.run(
        "INSERT INTO sessions (id, tree, owner, head, next, bytes, used, epoch, holder, created, name, label, origin, "
        "options) VALUES (?, ?, ?, 0, 1, 0, ?, 1, ?, ?, ?, ?, ?, ?)",
        new.id, tree, new.owner, now, holder and holder.encode(), now, text(new.name), new.label and text(new.label),
        origin and msgspec.json.encode(origin).decode(), msgspec.json.encode(new.options).decode(),
    ).lastrowid  # fmt: skip
    assert key is not None
    return Lease(key, 1)


def insert_tree(database: Database, name: str, owner: str) -> Tree:
    """Make a tree, within a transaction."""
    row = database.run("INSERT INTO trees (name, owner) VALUES (?, ?)", name, owner).lastrowid
    assert row is not None
    return Tree(row, name)


def find(database: Database, session: str, owner: str) -> SessionInfo:
    """Raises SessionNotFound, also for another owner's: whether that exists is not told."""
    row = database.one(f"SELECT {_COLUMNS} WHERE s.id = ? AND s.owner = ?", session, owner)
    if row is None:
        raise SessionNotFound(f"there is no session {session!r}", {"session": session})
    return _info(row)


def listing(database: Database, owner: str | None) -> list[SessionInfo]:
    """Every session, or an owner's; the last used first."""
    query = f"SELECT {_COLUMNS} WHERE ? IS NULL OR s.owner = ? ORDER BY s.used DESC, s.key DESC"
    return [_info(row) for row in database.all(query, owner, owner)]


def _info(row: Any) -> SessionInfo:
    try:
        holder = None if row[10] is None else Holder.decode(row[10])
        origin = None if row[11] is None else msgspec.json.decode(row[11], type=Origin)
        options = msgspec.json.decode(row[12], type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise StoreDamaged(f"the row of the session {row[1]!r} does not decode: {error}") from error
    return SessionInfo._make([*row[:10], holder, origin, options, Tree(row[13], row[14])])


def take(database: Database, info: SessionInfo, *, takeover: bool) -> Lease:
    """Take the lease. Raises SessionBusy if its holder is not provably dead, unless `takeover`."""
    me = Holder.this()
    with database.writing():
        row = database.one("SELECT holder, epoch FROM sessions WHERE key = ?", info.key)
        if row is None:
            raise SessionNotFound(f"there is no session {info.id!r}", {"session": info.id})
        holder = None if row[0] is None else Holder.decode(row[0])
        if holder is not None and not takeover and not holder.dead:
            where = "this process" if holder == me else str(holder)
            raise SessionBusy(
                f"the session {info.id!r} is open in {where}: close it there, or end that process",
                {"session": info.id, "holder": str(holder), "pid": holder.pid},
            )
        query = "UPDATE sessions SET holder = ?, epoch = ?, used = ? WHERE key = ?"
        database.run(query, me.encode(), row[1] + 1, time.time(), info.key)
    return Lease(info.key, row[1] + 1)


def release(database: Database, lease: Lease) -> None:
    """Give the lease back; does nothing if somebody has taken it over."""
    with database.writing():
        database.run("UPDATE sessions SET holder = NULL WHERE key = ? AND epoch = ?", *lease)


def update(database: Database, lease: Lease, what: str, *values: Any) -> None:
    """Write columns of the session's row, within a transaction. Raises SessionTaken."""
    query = f"UPDATE sessions SET {what} WHERE key = ? AND epoch = ?"  # noqa: S608 - the columns are named below
    if database.run(query, *values, *lease).rowcount != 1:
        raise taken(database, lease)


def taken(database: Database, lease: Lease) -> SessionTaken:
    """The error for a lease that is not valid any more."""
    row = database.one("SELECT id, holder FROM sessions WHERE key = ?", lease.key)
    if row is None:
        return SessionTaken("the session was deleted meanwhile; nothing was written")
    holder = "nobody now" if row[1] is None else str(Holder.decode(row[1]))
    return SessionTaken(f"the session {row[0]!r} was taken over, and is held by {holder}; nothing was written")


def require(database: Database, lease: Lease) -> None:
    """Raises SessionTaken unless the lease is valid."""
    if not database.one("SELECT 1 FROM sessions WHERE key = ? AND epoch = ?", *lease):
        raise taken(database, lease)


def copy_path(database: Database, source: int, number: int, target: int) -> None:
    """Copy to a fork the executions that led to the checkpoint `number`, with their artifacts."""
    low, high = row_id(source, 0), row_id(source + 1, 0)
    skipped = msgspec.json.encode(sorted(elsewhere(database, source, number))).decode()
    database.run(
        "INSERT INTO executions SELECT ? + id, status, error_type, cause, started, seconds, cache_hit, code, info, "
        "outputs, outputs_part FROM executions WHERE id >= ? AND id < ? AND id - ? NOT IN "
        "(SELECT value FROM json_each(?))",
        row_id(target, 0) - low, low, high, low, skipped,
    )  # fmt: skip
    database.run(
        "INSERT INTO artifacts SELECT ?, execution, name, mime, size, sha256, created, part FROM artifacts "
        "WHERE session = ? AND execution NOT IN (SELECT value FROM json_each(?))",
        target, source, skipped,
    )  # fmt: skip


def elsewhere(database: Database, session: int, number: int) -> set[int]:
    """The executions that did not lead to the checkpoint `number`: those whose own checkpoints are on other ways."""
    path = set(_path(database, session, number))
    query = "SELECT id, execution FROM checkpoints WHERE id >= ? AND id < ? AND execution IS NOT NULL"
    rows = database.all(query, row_id(session, 0), row_id(session + 1, 0))
    return {row[1] for row in rows if manifest.number_of(row[0]) not in path}


def _path(database: Database, session: int, number: int) -> list[int]:
    path = []
    while number:
        path.append(number)
        number = database.one("SELECT parent FROM checkpoints WHERE id = ?", row_id(session, number))[0]
    return path
