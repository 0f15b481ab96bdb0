"""Time travel."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from sandbox.engine import files, timeline
from sandbox.engine.answers import sent
from sandbox.engine.waiting import uncancelled
from sandbox.errors import UsageError
from sandbox.ids import checked_session_id
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.handlers import Emit, Handlers
    from sandbox.engine.session import Session
    from sandbox.engine.sessions import Sessions

_AT_ONCE = 2 * (os.cpu_count() or 1)


async def make_checkpoint(sessions: Sessions, request: m.MakeCheckpoint, emit: Emit) -> m.CheckpointsListed:
    async with sessions.active(request.session).turn:
        session, kept = await sessions.kept(request.session)
        await kept.checkpoint(request.label, session.own_workspace)
    listed = await kept.timeline(timeline.listing)
    made = tuple(one for one in listed.checkpoints if one.number == listed.head)
    return m.CheckpointsListed(made, listed.head)


async def list_checkpoints(sessions: Sessions, request: m.ListCheckpoints, emit: Emit) -> m.CheckpointsListed:
    _, kept = await sessions.kept(request.session)
    return await kept.timeline(timeline.listing)


async def rollback(sessions: Sessions, request: m.Rollback, emit: Emit) -> m.Done:
    async with sessions.active(request.session).turn:
        session, kept = await sessions.kept(request.session)
        await kept.checkpoint(None, session.own_workspace)  # nothing of what is there now is lost
        await kept.rollback(request)
        if session.cell is not None:
            session.step("lose")
            await sessions.end_worker(session)
        if session.own_workspace is not None:
            await kept.restore_files(session.own_workspace)
            await session.own_workspace.changed()
        await sessions.cell(session)
    return m.Done()


async def fork(sessions: Sessions, request: m.Fork, emit: Emit) -> m.Done:
    ids = tuple(map(checked_session_id, request.ids))
    async with sessions.active(request.session).turn:
        session, kept = await sessions.kept(request.session)
        if session.lender is not None:
            raise UsageError(f"the session {session.id!r} has no files of its own to fork: fork {session.lender.id!r}")
        await kept.checkpoint(None, session.own_workspace)
        await kept.fork(ids, session.options)
    await _open_all(sessions, ids, session)
    return m.Done()


async def _open_all(sessions: Sessions, ids: tuple[str, ...], parent: Session) -> None:
    """Start all of them, several at a time. If one cannot be started there is none."""
    few = asyncio.Semaphore(_AT_ONCE)

    async def open_one(session: str) -> None:
        async with few:
            await sessions.open(m.OpenSession(parent.options, session, owner=parent.owner))

    try:
        async with asyncio.TaskGroup() as opening:
            for session in ids:
                opening.create_task(open_one(session))
    except BaseException as error:
        await uncancelled(sessions.forget_all(ids, parent.owner))
        if isinstance(error, ExceptionGroup):
            raise error.exceptions[0] from error
        raise


async def list_variables(sessions: Sessions, request: m.ListVariables, emit: Emit) -> m.VariablesListed:
    _, kept = await sessions.kept(request.session)
    return m.VariablesListed(await kept.timeline(timeline.variables))


async def compare(sessions: Sessions, request: m.Compare, emit: Emit) -> m.Compared:
    _, kept = await sessions.kept(request.session)
    return await kept.timeline(lambda store, session: timeline.compare(store, session, request.old, request.new))


async def digest(sessions: Sessions, request: m.GetDigest, emit: Emit) -> m.Digested:
    _, kept = await sessions.kept(request.session)
    return await kept.timeline(lambda store, session: timeline.digest(store, session, request.checkpoint))


async def export(sessions: Sessions, request: m.Export, emit: Emit) -> m.Done:
    _, kept = await sessions.kept(request.session)
    scratch = sessions.launcher.run.path / f"export-{os.urandom(8).hex()}"
    try:
        exported = await kept.timeline(lambda store, session: timeline.export(store, session, request, scratch))
        await sent(files.in_pieces(exported) if isinstance(exported, bytes) else files.own(exported), emit)
    finally:
        scratch.unlink(missing_ok=True)
    return m.Done()


HANDLERS: Handlers = {
    m.MakeCheckpoint: make_checkpoint,
    m.ListCheckpoints: list_checkpoints,
    m.Rollback: rollback,
    m.Fork: fork,
    m.ListVariables: list_variables,
    m.Compare: compare,
    m.GetDigest: digest,
    m.Export: export,
}
