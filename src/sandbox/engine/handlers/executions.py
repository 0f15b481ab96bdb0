"""Running code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.engine import lending
from sandbox.engine.languages import of_cell
from sandbox.engine.waiting import uncancelled
from sandbox.engine.worker_events import DoneInside
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.handlers import Emit, Handlers
    from sandbox.engine.sessions import Sessions


async def run(sessions: Sessions, request: m.Run, emit: Emit) -> m.ExecutionFinished:
    session = sessions.active(request.session)
    of_cell(request.language, session.options.language)
    async with session.turn:
        cell = await sessions.cell_for(session, request.code)
        await session.keep()
        try:
            finished = await session.run(request, cell, emit)
        except BaseException:
            await uncancelled(sessions.end_worker(session))
            raise
        finished = await lending.save(sessions.spawn, session, finished)
        if session.kept is not None and session.kept.untried:
            finished = await sessions.trials.run(session, session.kept, cell, finished)
        if cell.worker.gone is not None:
            session.lose()
            await sessions.end_worker(session)
        return finished


async def interrupt(sessions: Sessions, request: m.Interrupt, emit: Emit) -> m.Done:
    session = sessions.active(request.session)
    if session.running is not None:
        session.running.interrupt()
    elif session.trial is not None:
        session.trial.cancel()
    return m.Done()


async def complete(sessions: Sessions, request: m.Complete, emit: Emit) -> m.Completions:
    session = sessions.active(request.session)
    if session.turn.locked():
        return m.Completions((), request.cursor)  # it runs code: there is nobody to ask now
    async with session.turn:
        return await session.complete(request.code, request.cursor, await sessions.cell(session))


async def clear_cache(sessions: Sessions, request: m.ClearCache, emit: Emit) -> m.Done:
    session = sessions.active(request.session)
    async with session.turn:
        await session.clear_cache()
    return m.Done()


async def reseed(sessions: Sessions, request: m.Reseed, emit: Emit) -> m.Done:
    session = sessions.active(request.session)
    async with session.turn:
        await (await sessions.cell(session)).worker.ask({"do": "reseed"}, DoneInside)
    return m.Done()


HANDLERS: Handlers = {
    m.Run: run,
    m.Interrupt: interrupt,
    m.Complete: complete,
    m.ClearCache: clear_cache,
    m.Reseed: reseed,
}
