"""The connection: short transactions, durable when they return, and errors that say what to do."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError, StoreDamaged, StoreError, StoreFull, UsageError
from sandbox.store.schema import APPLICATION_ID, MIGRATIONS

NAME = "store.db"
_BUSY_MS = 20_000
# A write-ahead log that was once this long is overwritten from its start on, and a commit that does not lengthen
# its file is spared the file system's own journal: measured 0.16 ms against 0.22 for a small one.
_LOG_BYTES = 4 * 1024 * 1024
_BACKSTOP_PAGES = 8192
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_REFUSED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


class Database:
    """One connection to the store's database. Usable from any thread, one at a time; not after a fork."""

    def __init__(self, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._pid = os.getpid()
        with self._errors():
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000, cached_statements=256
            )
        try:
            with self._errors():
                self._prepare(migrations)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with self.lock:
            self._connection.close()

    def all(self, sql: str, *values: Any) -> list[Any]:
        """Return every row."""
        with self.lock:
            try:
                return self._of_this_process().execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise _translated(error, self.path) from error

    def one(self, sql: str, *values: Any) -> Any:
        """Return the first row, or None."""
        with self.lock:
            try:
                return self._of_this_process().execute(sql, values).fetchone()
            except sqlite3.Error as error:
                raise _translated(error, self.path) from error

    def run(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Execute one statement that writes; only within `writing`."""
        # Not `_errors`: there are several of these for each execution, and a context manager takes as long as one.
        try:
            return self._of_this_process().execute(sql, values)
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute a statement that writes once for each row; only within `writing`."""
        with self._errors():
            self._of_this_process().executemany(sql, rows)

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """One transaction: durable when this ends, and as if it had never been when it raises."""
        return self._transaction("BEGIN IMMEDIATE")

    def reading(self) -> contextlib.AbstractContextManager[None]:
        """What is read within comes from one state of the database."""
        return self._transaction("BEGIN")

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self.lock:
            connection = self._of_this_process()
            if connection.in_transaction:  # of this thread, which has the lock: the outer one ends it
                yield
                return
            self.run(begin)
            try:
                yield
                self.run("COMMIT")
            except BaseException:
                # After some errors, a full disk among them, SQLite has rolled back already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def tend(self) -> None:
        """For idle moments: move what was logged into the database, so that the log is used from its start again."""
        with self.lock, self._errors():
            self._of_this_process().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if self._log_size() < _LOG_BYTES:
                self._lengthen_log()

    def check(self) -> list[str]:
        """What SQLite itself finds wrong."""
        with self.lock:
            try:
                found = [str(row[0]) for row in self.all("PRAGMA integrity_check(20)")]
                broken = self.all("PRAGMA foreign_key_check")
            except StoreDamaged as error:
                return [error.message]
        return [text for text in found if text != "ok"] + [f"{row[0]} refers to a missing {row[2]}" for row in broken]

    def _prepare(self, migrations: Sequence[str]) -> None:
        run = self._connection.execute
        # Damage can make text of anything: it is read all the same, and found where it is looked at.
        self._connection.text_factory = _text
        run(f"PRAGMA busy_timeout = {_BUSY_MS}")
        self._refuse_foreign(len(migrations))
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
            run(f"PRAGMA {pragma}").fetchall()
        run(f"PRAGMA wal_autocheckpoint = {_BACKSTOP_PAGES}").fetchall()
        if self._version() < len(migrations):
            with self.writing():
                self._migrate(migrations)

    def _refuse_foreign(self, newest: int) -> None:
        kind = self._connection.execute("PRAGMA application_id").fetchone()[0]
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and kind != APPLICATION_ID:
            raise StoreError(f"{self.path} is a database of something else; it was left as it is")
        if self._version() > newest:
            raise StoreError(
                f"{self.path} has schema version {self._version()}, and this release knows up to {newest}: "
                "it was written by a newer release; upgrade this one, or set SANDBOX_HOME to another directory"
            )

    def _migrate(self, migrations: Sequence[str]) -> None:
        """Within one transaction: another process may have migrated since, and a failure leaves the old version."""
        run = self._connection.execute
        for number in range(self._version(), len(migrations)):
            for statement in _statements(migrations[number]):
                run(statement)
            run(f"PRAGMA user_version = {number + 1}")
        run(f"PRAGMA application_id = {APPLICATION_ID}")

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _log_size(self) -> int:
        try:
            return os.stat(f"{self.path}-wal").st_size
        except FileNotFoundError:
            return 0

    def _lengthen_log(self) -> None:
        """Write much in one transaction that leaves nothing behind: there is no other way to a longer log."""
        with self.writing():
            self.run("CREATE TABLE filler (bytes BLOB)")
            self.run("INSERT INTO filler VALUES (zeroblob(?))", _LOG_BYTES)
            self.run("DROP TABLE filler")
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _of_this_process(self) -> sqlite3.Connection:
        if os.getpid() != self._pid:
            raise UsageError("a store does not survive a fork: open one in the new process")
        return self._connection

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _statements(script: str) -> Iterator[str]:
    """`executescript` would commit the transaction that is open."""
    statement = ""
    for line in script.splitlines():
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def _translated(error: sqlite3.Error, path: Path) -> SandboxError:
    code = getattr(error, "sqlite_errorcode", 0)
    details = {"path": str(path), "sqlite": getattr(error, "sqlite_errorname", type(error).__name__)}
    if code in _FULL:
        return StoreFull(f"the disk of {path} has no room: free some, or drop checkpoints", details)
    if code & 0xFF in _DAMAGED:
        return StoreDamaged(f"the database {path} is damaged: {error}", details)
    if code & 0xFF in _REFUSED:
        return StoreError(f"the database {path} cannot be opened or written: {error}", details)
    if code & 0xFF == sqlite3.SQLITE_BUSY:
        return StoreError(f"another process kept {path} locked for {_BUSY_MS / 1000:.0f} s; try again", details)
    return StoreError(f"the database {path} failed: {error}", details)
