"""What a session has done so far."""

from __future__ import annotations

from msgspec import Struct

from sandbox.protocol.base import LastEvent, Request


class GetStats(Request, frozen=True, tag="get_stats"):
    """Count the session's executions. Answered by `StatsCounted`."""

    session: str


class GetHistory(Request, frozen=True, tag="get_history"):
    """List the last executions, newest first. Answered by `HistoryListed`."""

    session: str
    limit: int = 100


class StatsCounted(LastEvent, frozen=True, tag="stats"):
    """What the session has run so far."""

    total_executions: int
    average_execution_time: float
    cache_hits: int
    cache_misses: int
    cached_compilations: int
    artifacts_count: int


class HistoryRecord(Struct, frozen=True):
    """One execution of the past."""

    number: int
    code: str
    status: str
    started_at: float
    execution_time: float
    cache_hit: bool
    error_type: str | None = None
    error: str | None = None
    cause: str | None = None
    artifacts: tuple[str, ...] = ()
    request_id: str | None = None


class HistoryListed(LastEvent, frozen=True, tag="history"):
    """Past executions, newest first."""

    records: tuple[HistoryRecord, ...]
