"""Commands whose process comes to its end before the program has begun."""

from __future__ import annotations

import asyncio
import select
import socket

from sandbox.engine.commands import Command
from sandbox.protocol.messages import SessionOptions, StartCommand


async def test_a_process_that_is_killed_before_it_knows_its_program_has_just_ended() -> None:
    """Its end of the socket closes with what it has not read, which is an error at the other end."""
    control, theirs = socket.socketpair()
    command = Command(1, StartCommand("session", ("true",)), SessionOptions(), lambda _event: None)
    started = asyncio.ensure_future(command._started(control, {"argv": ["true"]}))
    while not select.select([theirs], [], [], 0)[0]:  # noqa: ASYNC110
        await asyncio.sleep(0)
    theirs.close()
    await started
