"""Animations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.engine import stored_past
from sandbox.engine.animations.execution import Place
from sandbox.engine.handlers.past import bring_artifacts
from sandbox.errors import UsageError
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.handlers import Emit, Handlers
    from sandbox.engine.session import Session
    from sandbox.engine.sessions import Sessions

QUALITIES = ("low_quality", "medium_quality", "high_quality", "production_quality", "fourk_quality")
FORMATS = ("mp4", "gif", "webm", "png")


async def create_animation(sessions: Sessions, request: m.CreateAnimation, emit: Emit) -> m.ExecutionFinished:
    session = sessions.active(request.session)
    _check(request)
    async with session.turn:
        cell = await sessions.cell(session)
        await session.keep()
        finished = await session.animate(request, Place(cell, sessions.launcher, sessions.warm), emit)
        if cell.worker.gone is not None:
            session.lose()
            await sessions.end_worker(session)
        return finished


def _check(request: m.CreateAnimation) -> None:
    if request.quality not in QUALITIES:
        raise UsageError(f"quality={request.quality!r} is not one of {', '.join(map(repr, QUALITIES))}")
    if request.format not in FORMATS:
        raise UsageError(f"format={request.format!r} is not one of {', '.join(map(repr, FORMATS))}")


async def list_animations(sessions: Sessions, request: m.ListAnimations, emit: Emit) -> m.AnimationsListed:
    session = sessions.known(request.session)
    await bring_artifacts(sessions, session)
    return m.AnimationsListed(tuple(await _there(sessions, session)))


async def _there(sessions: Sessions, session: Session) -> list[m.AnimationInfo]:
    artifacts = {one.id: one for one in session.artifacts.all}
    if session.options.persist:
        return await stored_past.animations(sessions.stored, session.id, session.owner, artifacts)
    return [one for one in session.animations if one.artifact.id in artifacts]


HANDLERS: Handlers = {m.CreateAnimation: create_animation, m.ListAnimations: list_animations}
