"""Opening, closing and deleting sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.handlers import Emit, Handlers
    from sandbox.engine.sessions import Sessions


async def open_session(sessions: Sessions, request: m.OpenSession, emit: Emit) -> m.SessionOpened:
    return await sessions.open(request)


async def close_session(sessions: Sessions, request: m.CloseSession, emit: Emit) -> m.Done:
    await sessions.close(sessions.known(request.session))
    return m.Done()


async def delete_session(sessions: Sessions, request: m.DeleteSession, emit: Emit) -> m.Done:
    await sessions.delete(sessions.known(request.session))
    return m.Done()


HANDLERS: Handlers = {
    m.OpenSession: open_session,
    m.CloseSession: close_session,
    m.DeleteSession: delete_session,
}
