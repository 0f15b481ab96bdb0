"""The record of executions: what was run, what came of it, and what it printed and showed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from sandbox.errors import StoreDamaged, UsageError
from sandbox.store.database import Database
from sandbox.store.manifest import NUMBERS, number_of, row_id
from sandbox.store.parts import Reader
from sandbox.store.sealed import packed, unpacked

MOST_OUTPUTS = 64 * 1024 * 1024
MOST_CODE = 16 * 1024 * 1024
_COLUMNS = (
    "id, status, error_type, cause, started, seconds, cache_hit, code, info, outputs IS NOT NULL OR "
    "outputs_part IS NOT NULL"
)


class ArtifactRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact's row; its bytes are a part, of which `part` is the number once it is stored."""

    name: str
    mime: str
    size: int
    sha256: str
    created: float
    part: int = 0


class ExecutionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One execution. `info` is whatever JSON the caller likes, and so are the outputs that go with it."""

    number: int
    code: str
    status: str
    started: float
    seconds: float = 0.0
    error_type: str | None = None
    cause: str | None = None
    cache_hit: bool = False
    info: dict[str, Any] = {}
    has_outputs: bool = False


class Stats(NamedTuple):
    """Figures over a session's executions."""

    executions: int
    cache_hits: int
    seconds: float
    artifacts: int


def encode_outputs(outputs: Sequence[Any]) -> bytes | None:
    """The form in the database; None if there are none. Raises UsageError."""
    if not outputs:
        return None
    data = _json(outputs)
    if len(data) > MOST_OUTPUTS:
        raise UsageError(f"the outputs of an execution have {len(data)} bytes, the most is {MOST_OUTPUTS}")
    return data


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"outputs and info are JSON, and this cannot be: {error}") from error


def text(value: str) -> str:
    """Text as it can be stored: with what is no character (half of one, say) replaced."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def insert(database: Database, session: int, record: ExecutionRecord, outputs: bytes | None, part: int | None) -> None:
    """Add an execution, within a transaction."""
    if len(record.code) > MOST_CODE:
        raise UsageError(f"the code of an execution has {len(record.code)} characters, the most is {MOST_CODE}")
    if not 0 < record.number < 1 << NUMBERS:
        raise UsageError(f"an execution cannot have the number {record.number}")
    row = row_id(session, record.number)
    if database.one("SELECT 1 FROM executions WHERE id = ?", row):
        raise UsageError(f"there is an execution {record.number} already")
    database.run(
        "INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row, record.status,
        record.error_type and text(record.error_type), record.cause, record.started, record.seconds, record.cache_hit,
        text(record.code),
        packed(_json(record.info)), outputs and packed(outputs), part,
    )  # fmt: skip


def insert_artifacts(database: Database, session: int, execution: int, artifacts: Sequence[ArtifactRecord]) -> None:
    """Add an execution's artifacts, within a transaction."""
    database.run_many(
        "INSERT INTO artifacts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(session, execution, text(a.name), a.mime, a.size, a.sha256, a.created, a.part) for a in artifacts],
    )


def page(database: Database, session: int, limit: int, before: int | None) -> list[ExecutionRecord]:
    """Executions, newest first; `before` a number, for the next page."""
    last = row_id(session + 1, 0) if before is None else row_id(session, before)
    query = f"SELECT {_COLUMNS} FROM executions WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?"  # noqa: S608
    return [_record(row) for row in database.all(query, row_id(session, 0), last, limit)]


def _record(row: Sequence[Any]) -> ExecutionRecord:
    return ExecutionRecord(
        number=number_of(row[0]), status=row[1], error_type=row[2], cause=row[3], started=row[4], seconds=row[5],
        cache_hit=bool(row[6]), code=row[7], info=msgspec.json.decode(unpacked(row[8])), has_outputs=bool(row[9]),
    )  # fmt: skip


def last(database: Database, session: int) -> int:
    """The highest number of an execution; 0 if there is none."""
    query = "SELECT max(id) FROM executions WHERE id >= ? AND id < ?"
    row = database.one(query, row_id(session, 0), row_id(session + 1, 0))
    return number_of(row[0] or 0)


def stats(database: Database, session: int) -> Stats:
    """Count."""
    query = "SELECT count(*), total(cache_hit), total(seconds) FROM executions WHERE id >= ? AND id < ?"
    count, hits, seconds = database.one(query, row_id(session, 0), row_id(session + 1, 0))
    artifacts = database.one("SELECT count(*) FROM artifacts WHERE session = ?", session)[0]
    return Stats(count, int(hits), seconds, artifacts)


def artifacts(database: Database, session: int) -> list[tuple[int, ArtifactRecord]]:
    """Every artifact with the number of its execution."""
    query = (
        "SELECT execution, name, mime, size, sha256, created, part FROM artifacts WHERE session = ? "
        "ORDER BY execution, name"
    )
    return [
        (row[0], ArtifactRecord(name=row[1], mime=row[2], size=row[3], sha256=row[4], created=row[5], part=row[6]))
        for row in database.all(query, session)
    ]


def stored_outputs(database: Database, session: int, execution: int) -> tuple[bytes | None, int | None]:
    """An execution's outputs as JSON, or the part that has them. Raises UsageError if there is no such execution."""
    row = database.one("SELECT outputs, outputs_part FROM executions WHERE id = ?", row_id(session, execution))
    if row is None:
        raise UsageError(f"the session has no execution {execution}")
    return row[0] and unpacked(row[0]), row[1]


def outputs(database: Database, reader: Reader, session: int, execution: int) -> list[Any]:
    """What an execution printed and showed. Raises UsageError, StoreDamaged."""
    data, part = stored_outputs(database, session, execution)
    if part is not None:
        with reader.open({"outputs": part}) as parts:
            data = parts.read("outputs")
    try:
        return msgspec.json.decode(data, type=list[Any]) if data else []
    except msgspec.DecodeError as error:
        raise StoreDamaged(f"the outputs of execution {execution} do not decode: {error}") from error
