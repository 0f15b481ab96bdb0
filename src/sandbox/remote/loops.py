"""Connections to servers belong to an event loop. Each loop that sends requests has some, and they end with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import aiohttp

_CONNECT_SECONDS = 10.0
# The server says something every 15 seconds, if only that it is still there.
_SILENCE_SECONDS = 45.0
_IDLE_SECONDS = 60.0
# A loop that its program has kept busy learns only now which connections have ended meanwhile: it reads that in one
# round, and closes them in the next ones.
_LONG_AGO_SECONDS, _ROUNDS = 0.05, 3
_open: dict[asyncio.AbstractEventLoop, _Loop] = {}


def new_session() -> aiohttp.ClientSession:
    """Connections for the running loop: no more of them idle than were used at once, and none for longer than a minute.

    No cookies: callers are known by their keys.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS)
    return aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
    )  # fmt: skip


class _Loop:
    """What a loop has: `session`, and the generator that closes it."""

    def __init__(self, session: aiohttp.ClientSession, keeping: AsyncGenerator[aiohttp.ClientSession]) -> None:
        self.session, self.keeping = session, keeping
        self.asked_at = 0.0


async def session() -> aiohttp.ClientSession:
    """The running loop's."""
    loop = asyncio.get_running_loop()
    found = _open.get(loop)
    if found is None:
        for ended in [one for one in list(_open) if one.is_closed()]:
            _open.pop(ended, None)
        keeping = _kept(loop)
        found = _open[loop] = _Loop(await anext(keeping), keeping)
    elif loop.time() - found.asked_at > _LONG_AGO_SECONDS:
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
    found.asked_at = loop.time()
    return found.session


async def close() -> None:
    """Close the running loop's connections. The next request opens new ones."""
    found = _open.get(asyncio.get_running_loop())
    if found is not None:
        await found.keeping.aclose()


async def _kept(loop: asyncio.AbstractEventLoop) -> AsyncGenerator[aiohttp.ClientSession]:
    """Whoever ends a loop closes its generators first, as `asyncio.run` does, and so the connections with this one."""
    async with new_session() as made:
        try:
            yield made
        finally:
            _open.pop(loop, None)
