"""What the server keeps beside the store: keys, which sandboxes there are, what was used."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox.engine.paths import data_dir, passable, private
from sandbox.store.database import Database

_FIRST = """
CREATE TABLE keys (
    id TEXT PRIMARY KEY, digest BLOB NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, created REAL NOT NULL,
    expires REAL, revoked REAL, scopes TEXT NOT NULL, quotas TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE sandboxes (
    owner TEXT NOT NULL, id TEXT NOT NULL, options BLOB NOT NULL, created REAL NOT NULL, open INTEGER NOT NULL,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;
CREATE TABLE used (
    owner TEXT NOT NULL, day INTEGER NOT NULL, cpu_seconds REAL NOT NULL, PRIMARY KEY (owner, day)
) WITHOUT ROWID;
"""
_E2B = """
CREATE TABLE e2b (owner TEXT NOT NULL, id TEXT NOT NULL, box BLOB NOT NULL, PRIMARY KEY (owner, id)) WITHOUT ROWID;
"""
MIGRATIONS = (_FIRST, _E2B)


def server_dir() -> Path:
    """The server's directory, which only its user may enter."""
    return private(passable(data_dir()) / "server")


def open_database() -> Database:
    """Open the database, making it if there is none. Raises StoreError, SandboxStartError."""
    path = server_dir() / "server.db"
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    return Database(path, MIGRATIONS)
