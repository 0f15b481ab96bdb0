"""Terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.engine.commands import NUMBERS
from sandbox.engine.terminals import Terminal
from sandbox.engine.waiting import uncancelled
from sandbox.errors import UsageError
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.handlers import Emit, Handlers
    from sandbox.engine.session import Session
    from sandbox.engine.sessions import Sessions

_MOST_TERMINALS = 16
_MOST_SIZE = 4096


async def start_terminal(sessions: Sessions, request: m.StartTerminal, emit: Emit) -> m.TerminalStarted:
    session = sessions.active(request.session)
    if not request.argv:
        raise UsageError("a terminal needs at least the program's name")
    _check_size(request)
    _check_room(session)
    cell = session.cell
    if cell is None or cell.worker.gone is not None:
        async with session.turn:
            cell = await sessions.cell(session)
    terminal = Terminal(next(NUMBERS), request, session.options)
    session.commands[terminal.number] = session.terminals[terminal.number] = terminal
    try:
        await terminal.start(cell, sessions.launcher)
    except BaseException:
        session.commands.pop(terminal.number, None)
        session.terminals.pop(terminal.number, None)
        raise
    sessions.spawn(_follow(session, terminal))
    return m.TerminalStarted(terminal.number)


async def _follow(session: Session, terminal: Terminal) -> None:
    """Its session is busy until its end. What it has left to say stays until it is closed."""
    try:
        await uncancelled(terminal.ended())
    finally:
        session.commands.pop(terminal.number, None)


def _check_size(request: m.StartTerminal | m.ResizeTerminal) -> None:
    if not (0 < request.cols <= _MOST_SIZE and 0 < request.rows <= _MOST_SIZE):
        raise UsageError(f"cols={request.cols}, rows={request.rows}: each is from 1 to {_MOST_SIZE}")


def _check_room(session: Session) -> None:
    """Those that have ended make room, the oldest first."""
    ended = [number for number in session.terminals if number not in session.commands]
    for number in ended[: max(0, len(session.terminals) - _MOST_TERMINALS + 1)]:
        del session.terminals[number]
    if len(session.terminals) >= _MOST_TERMINALS:
        raise UsageError(f"the session has {_MOST_TERMINALS} terminals, the most there can be: close one")


def _terminal(sessions: Sessions, session: str, number: int) -> Terminal:
    terminal: Terminal | None = sessions.active(session).terminals.get(number)
    if terminal is None:
        raise UsageError(f"there is no terminal {number}: it was closed, or the sandbox was stopped")
    return terminal


async def read_terminal(sessions: Sessions, request: m.ReadTerminal, emit: Emit) -> m.TerminalRead:
    return await _terminal(sessions, request.session, request.command).read()


async def resize_terminal(sessions: Sessions, request: m.ResizeTerminal, emit: Emit) -> m.Done:
    _check_size(request)
    _terminal(sessions, request.session, request.command).resize(request.cols, request.rows)
    return m.Done()


async def close_terminal(sessions: Sessions, request: m.CloseTerminal, emit: Emit) -> m.TerminalRead:
    session, terminal = sessions.active(request.session), _terminal(sessions, request.session, request.command)
    await terminal.close()
    session.terminals.pop(request.command, None)
    return m.TerminalRead(b"", terminal.exit_code)


HANDLERS: Handlers = {
    m.StartTerminal: start_terminal,
    m.ReadTerminal: read_terminal,
    m.ResizeTerminal: resize_terminal,
    m.CloseTerminal: close_terminal,
}
