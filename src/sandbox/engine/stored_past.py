"""What is stored of a session's past, whoever holds the session now; nothing, if it is not stored (yet)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sandbox.engine import stored_artifacts
from sandbox.engine.animations import records
from sandbox.errors import SessionNotFound
from sandbox.protocol.messages import AnimationInfo, ArtifactInfo, HistoryRecord

if TYPE_CHECKING:
    from sandbox.engine.store_thread import StoreThread
    from sandbox.store.history import ExecutionRecord, Stats
    from sandbox.store.store import Store

_T = TypeVar("_T")
_MOST_EXECUTIONS = 100_000


async def delete(thread: StoreThread, name: str, owner: str) -> None:
    """Delete a session that nobody holds, if there is such a one. Raises SessionBusy."""

    def delete(store: Store) -> None:
        with contextlib.suppress(SessionNotFound):
            store.open(name, owner=owner).delete()

    await thread.call(delete)


async def artifacts(thread: StoreThread, name: str, owner: str, directory: Path, there: set[str]) -> list[ArtifactInfo]:
    """Bring the artifacts that are not `there` into a directory."""
    return await _past(thread, [], lambda store: stored_artifacts.bring(store, name, owner, directory, there))


async def stats(thread: StoreThread, name: str, owner: str) -> Stats | None:
    """Figures over all executions."""
    return await _past(thread, None, lambda store: store.stats(name, owner=owner))


async def history(thread: StoreThread, name: str, owner: str, limit: int) -> list[HistoryRecord]:
    """The last executions, newest first."""
    nothing: list[ExecutionRecord] = []
    rows = await _past(thread, nothing, lambda store: store.history(name, owner=owner, limit=limit))
    return [_history(row) for row in rows]


async def animations(
    thread: StoreThread, name: str, owner: str, artifacts: Mapping[str, ArtifactInfo]
) -> list[AnimationInfo]:
    """What was rendered, oldest first, of which there are the artifacts still."""
    nothing: list[ExecutionRecord] = []
    rows = await _past(thread, nothing, lambda store: store.history(name, owner=owner, limit=_MOST_EXECUTIONS))
    return [one for row in reversed(rows) for one in records.read(row.info.get("animations", ()), artifacts)]


async def _past(thread: StoreThread, nothing: _T, action: Callable[[Store], _T]) -> _T:
    try:
        return await thread.call(action)
    except SessionNotFound:
        return nothing


def _history(row: ExecutionRecord) -> HistoryRecord:
    return HistoryRecord(
        number=row.number,
        code=row.code,
        status=row.status,
        started_at=row.started,
        execution_time=row.seconds,
        cache_hit=row.cache_hit,
        error_type=row.error_type,
        error=row.info.get("error"),
        cause=row.cause,
        artifacts=tuple(row.info.get("artifacts", ())),
        request_id=row.info.get("request_id"),
    )
