"""The database's schema, as migrations that are numbered from 1.

A checkpoint's or execution's row id is its session's key and its number: `key << 32 | number`. So the rows of a
session lie together, and a commit writes as few pages as can be.
"""

from __future__ import annotations

APPLICATION_ID = 0x53424F58

_FIRST = """
CREATE TABLE trees (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, owner TEXT NOT NULL
);
CREATE TABLE sessions (
    key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tree INTEGER NOT NULL REFERENCES trees (id),
    owner TEXT NOT NULL, head INTEGER NOT NULL, next INTEGER NOT NULL, bytes INTEGER NOT NULL, used REAL NOT NULL,
    epoch INTEGER NOT NULL, holder TEXT, created REAL NOT NULL, name TEXT NOT NULL, label TEXT, origin TEXT,
    options TEXT NOT NULL
);
CREATE INDEX sessions_by_tree ON sessions (tree);
CREATE TABLE checkpoints (
    id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, execution INTEGER, made REAL NOT NULL, label TEXT,
    chain INTEGER NOT NULL, delta BLOB NOT NULL, whole BLOB
);
CREATE TABLE executions (
    id INTEGER PRIMARY KEY, status TEXT NOT NULL, error_type TEXT, cause TEXT, started REAL NOT NULL,
    seconds REAL NOT NULL, cache_hit INTEGER NOT NULL, code TEXT NOT NULL, info BLOB NOT NULL, outputs BLOB,
    outputs_part INTEGER
);
CREATE TABLE artifacts (
    session INTEGER NOT NULL, execution INTEGER NOT NULL, name TEXT NOT NULL, mime TEXT NOT NULL,
    size INTEGER NOT NULL, sha256 TEXT NOT NULL, created REAL NOT NULL, part INTEGER NOT NULL,
    PRIMARY KEY (session, execution, name)
) WITHOUT ROWID;
CREATE TABLE packs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tree INTEGER NOT NULL REFERENCES trees (id), name TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL
);
CREATE INDEX packs_by_tree ON packs (tree);
CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pack INTEGER NOT NULL REFERENCES packs (id), header INTEGER NOT NULL,
    start INTEGER NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL
);
CREATE INDEX records_by_pack ON records (pack, header);
CREATE TABLE parts (
    id INTEGER PRIMARY KEY, tree INTEGER NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL, extents BLOB, data BLOB
);
CREATE INDEX large_parts ON parts (tree, digest) WHERE extents IS NOT NULL;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)
"""Number n takes a database of version n to n + 1: an empty one is of version 0. None is ever changed or removed."""
