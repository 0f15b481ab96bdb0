"""What a session may reach, and what it has asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sandbox.errors import UsageError
from sandbox.inside.contain.policy import NAMESPACES
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.handlers import Emit, Handlers
    from sandbox.engine.session import Session
    from sandbox.engine.sessions import Sessions


async def set_network(sessions: Sessions, request: m.SetNetwork, emit: Emit) -> m.Done:
    session = sessions.active(request.session)
    if m.HOST_NETWORK in {request.network, session.options.network}:
        raise UsageError("network='host' is chosen when a sandbox is made, and cannot be changed")
    if request.network not in {"none", *m.PROXIED}:
        raise UsageError(f"network={request.network!r} is not one of 'none', 'policy', 'learn'")
    _check_level(session, request.network)
    before = session.options
    await _set(session, request.network, request.policy)
    if request.network in m.PROXIED and before.network not in m.PROXIED:
        try:
            await _begin(sessions, session)
        except BaseException:
            await _set(session, before.network, before.policy)
            raise
    for borrower in sessions.borrowers(session):  # what works in its files is as much its code as its own is
        if borrower.state != "closed":
            await set_network(sessions, msgspec.structs.replace(request, session=borrower.id), emit)
    return m.Done()


def _check_level(session: Session, network: str) -> None:
    """Raises UsageError where the proxy would not be the only way out."""
    options = session.options
    level = options.isolation if session.cell is None else session.cell.zygote.spec.level
    if network in m.PROXIED and ("network_namespace" in options.without or level not in {NAMESPACES, "auto"}):
        raise UsageError(f"network={network!r} needs a network namespace, and this sandbox has none: level {level}")


async def _set(session: Session, network: str, policy: m.PolicySpec) -> None:
    await session.egress.set(network, policy)
    session.options = msgspec.structs.replace(session.options, network=network, policy=policy)


async def _begin(sessions: Sessions, session: Session) -> None:
    """Give the worker that there is, if there is one, the proxy that it had no use for before."""
    async with session.turn:
        cell = session.cell
        if cell is not None and cell.worker.alive:
            await sessions.connect(session, cell)


async def get_network(sessions: Sessions, request: m.GetNetwork, emit: Emit) -> m.NetworkShown:
    return sessions.active(request.session).egress.shown()


HANDLERS: Handlers = {m.SetNetwork: set_network, m.GetNetwork: get_network}
