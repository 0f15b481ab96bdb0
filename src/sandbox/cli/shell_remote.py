"""Terminals in sandboxes of a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sandbox.ids import checked_session_id
from sandbox.sdk.connection import Connection
from sandbox.sdk.servers import client_of
from sandbox.sdk.terminal import Terminal
from sandbox.sdk.transport import Carried

if TYPE_CHECKING:
    from sandbox.cli.seat import Opener


def opener(server: str, sandbox: str, program: list[str] | None, env: dict[str, str]) -> Opener:
    """Opens terminals in a sandbox that there is, which is started if it was stopped. Raises UsageError."""
    name, client = checked_session_id(sandbox), client_of(server, None)

    @asynccontextmanager
    async def open_one(cols: int, rows: int) -> AsyncIterator[Terminal]:
        await client.start_sandbox(name)
        connection = Connection(Carried(client))
        connection.session = name
        async with Terminal.of(connection, program, (), cols, rows, None, env) as inner:
            yield inner

    return open_one
