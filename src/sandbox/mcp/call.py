"""One call of a tool: who calls, and everything that the server has for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from msgspec import UNSET, UnsetType

from sandbox.mcp import progress
from sandbox.mcp.clients import Client
from sandbox.mcp.outputs import Outputs
from sandbox.mcp.sessions import Held, Sessions

if TYPE_CHECKING:
    from sandbox.mcp.jobs import Jobs
    from sandbox.options import SandboxOptions


class Everything(NamedTuple):
    """What a server has, for all its clients."""

    sessions: Sessions
    jobs: Jobs
    outputs: Outputs
    options: SandboxOptions


class Call(NamedTuple):
    """`notify` is None for a client that did not ask for progress."""

    client: Client
    server: Everything
    notify: progress.Notify | None = None

    @asynccontextmanager
    async def session(self, name: str, *, alone: bool = False, language: str | None = None) -> AsyncIterator[Held]:
        """The session of a name, or the default one of a language. `alone`: to run code or change its state.

        Raises SandboxError; ToolError where it is to be used alone and is not free.
        """
        async with self.server.sessions.use(self.client, name, language) as held:
            if alone:
                held.refuse_if_busy()
            yield held

    def seconds(self, asked: float | UnsetType) -> float | None:
        """The time limit of a piece of work: the one that was asked for, or the server's."""
        return self.server.options.timeout if asked is UNSET else asked

    def progress(self) -> AbstractAsyncContextManager[progress.Progress]:
        """Tell the client that its request is being worked on."""
        return progress.telling(self.notify)

    def shown(self, held: Held, text: str) -> tuple[str, str]:
        """What to show of an output, and the address of the whole if that is not all."""
        return self.server.outputs.shown(self.client.scope, held.name, text)
