"""Running programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.engine.commands import NUMBERS, Command
from sandbox.errors import UsageError
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.handlers import Emit, Handlers
    from sandbox.engine.sessions import Sessions


async def start_command(sessions: Sessions, request: m.StartCommand, emit: Emit) -> m.CommandFinished:
    session = sessions.active(request.session)
    if not request.argv:
        raise UsageError("a command needs at least the program's name")
    cell = session.cell
    if cell is None or cell.worker.gone is not None:
        async with session.turn:
            cell = await sessions.cell(session)
    command = Command(next(NUMBERS), request, session.options, emit)
    session.commands[command.number] = command
    try:
        return await command.run(cell, sessions.launcher)
    finally:
        del session.commands[command.number]


def _command(sessions: Sessions, session: str, number: int) -> Command:
    command: Command | None = sessions.active(session).commands.get(number)
    if command is None:
        raise UsageError(f"command {number} has ended: it has no standard input any more")
    return command


async def write_stdin(sessions: Sessions, request: m.WriteStdin, emit: Emit) -> m.Done:
    if request.close and not request.data and request.command not in sessions.active(request.session).commands:
        return m.Done()  # it has just ended, and its standard input with it
    await _command(sessions, request.session, request.command).write(request.data, close=request.close)
    return m.Done()


async def signal_command(sessions: Sessions, request: m.SignalCommand, emit: Emit) -> m.Done:
    if not 0 < request.signal < 65:
        raise UsageError(f"{request.signal} is not a signal")
    command = sessions.active(request.session).commands.get(request.command)
    if command is not None:  # else it has just ended, which nobody could have known
        await command.signal(request.signal)
    return m.Done()


HANDLERS: Handlers = {
    m.StartCommand: start_command,
    m.WriteStdin: write_stdin,
    m.SignalCommand: signal_command,
}
