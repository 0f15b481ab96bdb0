"""What is known of a session: artifacts, metrics, figures, history."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

from sandbox.engine import files, stored_past
from sandbox.engine.answers import sent
from sandbox.errors import SandboxFileNotFoundError, UsageError
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.handlers import Emit, Handlers
    from sandbox.engine.session import Session
    from sandbox.engine.sessions import Sessions


async def list_artifacts(sessions: Sessions, request: m.ListArtifacts, emit: Emit) -> m.ArtifactsListed:
    session = sessions.known(request.session)
    await bring_artifacts(sessions, session)
    return m.ArtifactsListed(tuple(session.artifacts.all))


async def read_artifact(sessions: Sessions, request: m.ReadArtifact, emit: Emit) -> m.Done:
    session = sessions.known(request.session)
    await bring_artifacts(sessions, session)
    found = next(iter(session.artifacts.named((request.artifact,))), None)
    if found is None:
        raise SandboxFileNotFoundError(
            f"the session has no artifact {request.artifact[:200]!r}", {"errno": errno.ENOENT, "path": request.artifact}
        )
    await sent(files.own(found.path, request.offset, request.length), emit)
    return m.Done()


async def remove_artifacts(sessions: Sessions, request: m.RemoveArtifacts, emit: Emit) -> m.ArtifactsListed:
    session = sessions.active(request.session)
    async with session.turn:  # an execution may be adding to them
        await bring_artifacts(sessions, session)
        removed = session.artifacts.named(request.ids)
        await session.keep()
        if session.kept is not None:
            await session.kept.remove_artifacts(removed)
        await asyncio.to_thread(session.artifacts.drop, removed)
    return m.ArtifactsListed(tuple(removed))


async def bring_artifacts(sessions: Sessions, session: Session) -> None:
    """Once: those that were made before this engine had the session."""
    async with session.bringing:
        if not session.options.persist or session.artifacts.complete:
            return
        there = {one.id for one in session.artifacts.all}
        session.artifacts.add_stored(
            await stored_past.artifacts(sessions.stored, session.id, session.owner, session.artifacts.directory, there)
        )


async def get_metrics(sessions: Sessions, request: m.GetMetrics, emit: Emit) -> m.MetricsMeasured:
    session = sessions.active(request.session)
    return m.MetricsMeasured(await sessions.meter(session).measure(session))


async def get_stats(sessions: Sessions, request: m.GetStats, emit: Emit) -> m.StatsCounted:
    session = sessions.known(request.session)
    if not session.options.persist:
        return session.stats(None)
    return session.stats(await stored_past.stats(sessions.stored, session.id, session.owner))


async def get_history(sessions: Sessions, request: m.GetHistory, emit: Emit) -> m.HistoryListed:
    if request.limit < 0:
        raise UsageError(f"limit={request.limit} is negative")
    session = sessions.known(request.session)
    if session.options.persist:
        return m.HistoryListed(
            tuple(await stored_past.history(sessions.stored, session.id, session.owner, request.limit))
        )
    return m.HistoryListed(tuple(reversed(session.history))[: request.limit])


HANDLERS: Handlers = {
    m.ListArtifacts: list_artifacts,
    m.ReadArtifact: read_artifact,
    m.RemoveArtifacts: remove_artifacts,
    m.GetMetrics: get_metrics,
    m.GetStats: get_stats,
    m.GetHistory: get_history,
}
