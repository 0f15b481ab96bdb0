"""Zygotes that have Manim imported: made when somebody renders, kept while that goes on, ended after a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from msgspec import Struct

from sandbox.engine.forker import Forker, Offspring
from sandbox.engine.launcher import Spawn
from sandbox.engine.zygote import Zygote
from sandbox.errors import SandboxError, SandboxStartError

MODULE = "manim"
IDLE_SECONDS = 300.0
_WARM_SECONDS = 60.0


class _Warm(Struct, eq=False):
    """One that was started. `users` render; `ending` is the timer while there are none."""

    zygote: Zygote
    forker: asyncio.Task[Offspring]
    users: int = 0
    ending: asyncio.TimerHandle | None = None


class WarmZygotes:
    """One for each engine, at most one of them for each of its zygotes."""

    def __init__(self, spawn: Spawn, idle_seconds: float = IDLE_SECONDS) -> None:
        self.idle_seconds = idle_seconds
        self._spawn = spawn
        self._warm: dict[Zygote, _Warm] = {}

    @asynccontextmanager
    async def use(self, zygote: Zygote) -> AsyncIterator[Forker]:
        """What forks renderings for the sessions of `zygote`: one that has Manim, if there can be one.

        Else the zygote itself: where it is not to import packages (`warm=()`, or with root's rights), where Manim
        cannot be imported, or not in a minute. Then each rendering imports it, or says why it cannot.
        Raises SandboxConnectionError.
        """
        if not zygote.spec.interpreter.warm:
            yield zygote
            return
        warm = self._get(zygote)
        warm.users += 1
        try:
            one = await asyncio.shield(warm.forker)
            yield zygote if one.warm_errors or one.warm_left else one
        finally:
            warm.users -= 1
            if not warm.users:
                self._idle(warm)

    def _get(self, zygote: Zygote) -> _Warm:
        warm = self._warm.get(zygote)
        if warm is not None and not _usable(warm.forker):
            self._spawn(_end(warm))
            warm = None
        if warm is None:
            warm = self._warm[zygote] = _Warm(zygote, asyncio.get_running_loop().create_task(_started(zygote)))
        if warm.ending is not None:
            warm.ending.cancel()
            warm.ending = None
        return warm

    def _idle(self, warm: _Warm) -> None:
        """Nobody uses it: end it after a while, or at once if it is of no use."""
        useless = not _usable(warm.forker) or (warm.forker.done() and bool(warm.forker.result().warm_errors))
        pause = 0.0 if useless else self.idle_seconds
        warm.ending = asyncio.get_running_loop().call_later(pause, self._end_idle, warm)

    def _end_idle(self, warm: _Warm) -> None:
        if self._warm.get(warm.zygote) is warm:
            del self._warm[warm.zygote]
        self._spawn(_end(warm))

    async def close(self) -> None:
        """Start and end no more of them: those that there are end with their zygotes."""
        every, self._warm = list(self._warm.values()), {}
        for warm in every:
            if warm.ending is not None:
                warm.ending.cancel()
            warm.forker.cancel()
            await asyncio.wait([warm.forker])


def _usable(starting: asyncio.Task[Offspring]) -> bool:
    """Whether it starts, or is alive."""
    if not starting.done():
        return True
    if starting.cancelled() or starting.exception() is not None:
        return False
    lost = starting.result().lost
    return lost is not None and not lost.done()


async def _started(zygote: Zygote) -> Offspring:
    """Fork it and wait until its imports are done, or have failed; or until it is gone, which the next fork tells.

    Raises SandboxStartError, SandboxConnectionError.
    """
    try:
        one = await zygote.fork_zygote((MODULE,))
    except OSError as error:
        raise SandboxStartError(f"the rendering could not be started: {error}") from error
    with suppress(TimeoutError):
        async with asyncio.timeout(_WARM_SECONDS):
            await one.has((MODULE,))
    return one


async def _end(warm: _Warm) -> None:
    with suppress(SandboxError):  # it could not be started: there is nothing to end
        await warm.zygote.end_offspring(await warm.forker)
