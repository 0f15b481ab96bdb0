"""The sessions that clients use: which one a client means, opened when it is first used, stopped when nobody does.

A client's default session has a name that a restarted server finds again (`clients`). Two servers of one program in one
directory would mean the same one: the store's lease refuses the second, which takes the next name, `...-2`. Over HTTP
one process has all leases, so the same is done by noting which connection has which name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from sandbox import LocalSandbox
from sandbox.errors import SandboxError, SandboxFileError, SessionBusy
from sandbox.mcp.clients import Client
from sandbox.mcp.reply import ToolError
from sandbox.mcp.text import listed

if TYPE_CHECKING:
    from sandbox.mcp.jobs import Job

_MOST_ALIKE = 100
OF_PYTHON = (None, "python")
OF_NODE = "-js"  # what the name of a client's default session in JavaScript ends in
_LOOKS = 4  # at what is idle, while it gets there

Make = Callable[[str, str | None], LocalSandbox]
"""Makes a sandbox that is not started, by the id of its session and the language of a new one."""


class Holding(NamedTuple):
    """How long a session stays open that nobody uses, and how many are open at once."""

    idle_seconds: float = 1800.0
    most: int = 16


HOLDING = Holding()


class Held:
    """A session that is open here, by the name that its client knows."""

    def __init__(self, name: str, box: LocalSandbox) -> None:
        self.name, self.box = name, box
        self.starting = asyncio.Lock()
        self.started = False
        self.users = 0
        self.used_at = time.monotonic()
        self.job: Job | None = None  # that runs code in it: nothing else can meanwhile
        self.has_apps = False  # whether a web app was ever started
        self.news = ""  # what a client should hear about the session with its next answer

    @property
    def idle(self) -> bool:
        """Whether nobody uses it now."""
        return self.started and not self.users and self.job is None

    async def serves(self) -> bool:
        """Whether a web app runs in it, which somebody may be looking at."""
        return self.has_apps and any(app.state != "ended" for app in await self.box.web.list())

    async def save_files(self) -> None:
        """Save the workspace with the session, unless a job does, with all that it changes itself."""
        if self.job is None:
            await self.box.checkpoint()

    def refuse_if_busy(self) -> None:
        """Raises ToolError while a job runs code in it."""
        if self.job is not None:
            raise ToolError(
                f"the session {self.name!r} is running the job {self.job.id!r}, for {self.job.seconds:.0f} s so far. "
                f"Wait for it or cancel it with the tool job(job_id={self.job.id!r}), or work in another session "
                "(session_id); shell_execute and the file tools can be used meanwhile"
            )

    def told(self) -> str:
        """The news, once."""
        news, self.news = self.news, ""
        return news


async def _served(held: Held) -> list[str]:
    """The files of the web apps that it has had."""
    try:
        found = await held.box.files.list("apps")
    except SandboxFileError:
        return []
    return [entry.path for entry in found if entry.path.endswith(".py")]


class Sessions:
    """All that are open. One too many, and the one that was not used for the longest time is stopped."""

    def __init__(self, make: Make, holding: Holding) -> None:
        self._make = make
        self._idle_seconds, self._most = holding
        self._held: dict[str, Held] = {}
        self._defaults: dict[tuple[str, str], str] = {}  # of each scope and connection
        self._naming = asyncio.Lock()

    @asynccontextmanager
    async def use(self, client: Client, name: str, language: str | None = None) -> AsyncIterator[Held]:
        """The session that `client` calls `name`, or its default one, started. Raises SandboxError, ToolError.

        With a `language` a session that is new is begun in it, and the default one is that of the language.
        """
        held = self._find(client, name, language) if name else await self._default_in(client, language)
        held.users += 1
        try:
            await self._start(held)
            yield held
        finally:
            held.users -= 1
            held.used_at = time.monotonic()
            if not held.started:
                self._drop(held)

    async def _default_in(self, client: Client, language: str | None) -> Held:
        """A session has one language, so a client has a default one for each: its own, and one beside it."""
        default = await self._default(client)
        return default if language in OF_PYTHON else self._find(client, f"{default.name}{OF_NODE}", language)

    def _find(self, client: Client, name: str, language: str | None = None) -> Held:
        stored = client.stored_id(name)
        if stored not in self._held:
            self._held[stored] = Held(name, self._make(stored, language))
        return self._held[stored]

    async def _default(self, client: Client) -> Held:
        """The session of a client that has not named one; the first name that is free, if it has none yet."""
        whose = (client.scope, client.connection)
        async with self._naming:
            if whose in self._defaults:
                return self._find(client, self._defaults[whose])
            return await self._named(client, whose)

    async def _named(self, client: Client, whose: tuple[str, str]) -> Held:
        for number in range(1, _MOST_ALIKE + 1):
            name = client.default if number == 1 else f"{client.default}-{number}"
            if name in self._taken(client):
                continue
            held = self._find(client, name)
            try:
                await self._start(held)
            except SessionBusy:
                self._drop(held)
            except BaseException:
                self._drop(held)
                raise
            else:
                self._defaults[whose] = name
                return held
        raise ToolError(f"{_MOST_ALIKE} servers have the sessions of this client open: name one with session_id")

    def _taken(self, client: Client) -> set[str]:
        return {name for (scope, other), name in self._defaults.items() if scope == client.scope}

    def _drop(self, held: Held) -> None:
        if not held.users:
            self._held = {stored: one for stored, one in self._held.items() if one is not held}

    async def _start(self, held: Held) -> None:
        """Open the session, once. What was there before is the first thing that its user should know."""
        async with held.starting:
            if held.started:
                return
            await self.make_room()
            await held.box.start()
            held.started = True
            held.news = await self._begun(held)

    async def _begun(self, held: Held) -> str:
        """What its client should know of a session that was opened."""
        stats = await asyncio.to_thread(held.box.get_performance_stats)
        served = await _served(held)
        if not stats["total_executions"] and not served:
            return ""
        variables = await asyncio.to_thread(held.box.variables)
        names = [one.name for one in variables]
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        apps = f"Web apps have ended; start_web_app serves them again, with path={listed(served)}. " if served else ""
        return (
            f"This session goes on from before: {stats['total_executions']} executions"
            f"{f', with the variables {shown}' if names else ''}. {apps}For an empty one give a new session_id."
        )

    async def make_room(self) -> None:
        """Stop the one that was not used for the longest time, if there are as many as can be. Raises ToolError."""
        started = sum(one.started for one in self._held.values())
        if started < self._most:
            return
        for one in sorted((one for one in self._held.values() if one.idle), key=lambda one: one.used_at):
            if await self._stop(one):
                return
        raise ToolError(
            f"{started} sessions are at work or have a web app, the most that this server holds: wait until one has "
            "ended, or stop one's app with stop_web_app"
        )

    async def _stop(self, held: Held) -> bool:
        """Stop one that nobody uses; tell whether it was so."""
        async with held.starting:
            stops = held.idle and not await held.serves() and held.idle  # somebody may have come meanwhile
            if stops:
                held.started = False
                try:
                    await held.box.stop()
                finally:
                    self._drop(held)
        return stops

    def open_default(self, client: Client) -> Held | None:
        """A client's default session, if it is open."""
        name = self._defaults.get((client.scope, client.connection))
        held = None if name is None else self._held.get(client.stored_id(name))
        return held if held is not None and held.started else None

    def add(self, client: Client, name: str, box: LocalSandbox) -> None:
        """Hold a session that was started elsewhere."""
        held = Held(name, box)
        held.started = True
        self._held[client.stored_id(name)] = held

    def disconnected(self, connection: str) -> None:
        """A connection has ended: another one may have its default session."""
        self._defaults = {whose: name for whose, name in self._defaults.items() if whose[1] != connection}

    async def stop_idle(self) -> None:
        """Stop what nobody has used for a while, again and again. What is stored of it is there when it is used."""
        while True:
            await asyncio.sleep(self._idle_seconds / _LOOKS)
            before = time.monotonic() - self._idle_seconds
            for held in [one for one in self._held.values() if one.idle and one.used_at < before]:
                with suppress(SandboxError):  # its worker has ended; what could not be stored was said with its result
                    if not await held.serves():
                        self._let_go(held)
                        await self._stop(held)

    def _let_go(self, held: Held) -> None:
        """Let another connection have the name, unless the protocol knows no connections."""
        for whose, name in list(self._defaults.items()):
            if whose[1] and name == held.name and held is self._held.get(whose[0] + name):
                del self._defaults[whose]

    async def close(self) -> None:
        """Stop all of them."""
        for held in self._held.values():
            if held.started:
                held.started = False
                with suppress(SandboxError):
                    await held.box.stop()
