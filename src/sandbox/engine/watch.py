"""Limits that no kernel facility holds for us: the workspace's size, and memory where there is no control group."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from sandbox.engine import causes
from sandbox.engine.metrics import used
from sandbox.engine.scan import MOST_ENTRIES
from sandbox.engine.session import Session

_INTERVAL = 0.1
# A look may take this part of the time at most, so that a workspace of many files does not keep the engine busy.
_SHARE = 0.05


class LimitWatch:
    """Looks at every session that has a worker, often while it executes and seldom otherwise."""

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self._sessions = sessions
        self._task: asyncio.Task[None] | None = None
        self._next: dict[str, float] = {}

    def start(self) -> None:
        """Begin to watch, if it does not already."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        """Ends when no session has a worker; `start` begins again."""
        while any(session.cell is not None for session in self._sessions.values()):
            await asyncio.sleep(_INTERVAL)
            for session in list(self._sessions.values()):
                if session.cell is not None and (session.running is not None or session.commands):
                    await self._look(session)

    async def _look(self, session: Session) -> None:
        now = time.monotonic()
        if self._next.get(session.id, 0.0) > now:
            return
        await self._check_disk(session)
        self._check_memory(session)
        cost = time.monotonic() - now
        self._next[session.id] = now + cost / _SHARE

    async def _check_disk(self, session: Session) -> None:
        assert session.workspace is not None
        scan = await session.workspace.look()
        limit = session.options.disk << 20
        if scan.bytes > max(limit, session.disk_before) or len(scan.files) > max(
            MOST_ENTRIES - 1, session.files_before
        ):
            session.stop_for(causes.disk(session.options, scan.bytes))

    def _check_memory(self, session: Session) -> None:
        cell = session.cell
        if cell is None or cell.group is not None:
            return
        _, memory, _ = used(cell)
        if memory > session.options.memory << 20:
            session.stop_for(causes.memory(session.options, memory), at_once=True)
