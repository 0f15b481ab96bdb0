"""Limits that no kernel facility holds for us: the workspace's size, and memory where there is no control group."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping

from sandbox.beneath import MOST_ENTRIES
from sandbox.engine import causes
from sandbox.engine.metrics import counters, processes_of, shared_out, used
from sandbox.engine.session import Session
from sandbox.engine.unnamed import unnamed_bytes

_INTERVAL = 0.1
# What an execution has left running goes on between executions.
_IDLE_INTERVAL = 2.0
_ELSEWHERE_INTERVAL = 0.5
# A look may take this part of the time at most, so that a workspace of many files does not keep the engine busy.
_SHARE = 0.05


class LimitWatch:
    """Looks at every session that has a worker, often while it executes and seldom otherwise."""

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self._sessions = sessions
        self._task: asyncio.Task[None] | None = None
        self._next: dict[str, float] = {}
        self._next_elsewhere: dict[str, float] = {}

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
            now = time.monotonic()
            due = [session for session in self._sessions.values() if self._due(session, now)]
            # All at once: a workspace that takes long to look at must not put off the others.
            for outcome in await asyncio.gather(*map(self._look, due), return_exceptions=True):
                if isinstance(outcome, BaseException) and not isinstance(outcome, OSError):
                    raise outcome  # an OSError: the session was deleted meanwhile

    def _due(self, session: Session, now: float) -> bool:
        pause = 0.0 if session.busy else _IDLE_INTERVAL
        return session.cell is not None and self._next.get(session.id, 0.0) + pause <= now

    async def _look(self, session: Session) -> None:
        begin = time.monotonic()
        await self._check_disk(session)
        self._check_uncounted(session)
        now = time.monotonic()
        self._next[session.id] = now + (now - begin) / _SHARE

    async def _check_disk(self, session: Session) -> None:
        assert session.workspace is not None
        scan = await session.workspace.look()
        limit = max(session.options.disk << 20, session.scan_before.bytes)
        too_many = len(scan.files) > max(MOST_ENTRIES - 1, len(session.scan_before.files))
        # What cannot be looked at may be of any size: directories that are closed, or below too many others.
        hidden = session.scan_before.complete and not scan.complete
        total = scan.bytes if scan.bytes > limit else scan.bytes + await self._elsewhere(session)
        if total > limit or too_many or hidden:
            session.stop_for(causes.disk(session.options, total))

    async def _elsewhere(self, session: Session) -> int:
        """Bytes that no look at the workspace finds: of removed files that are open, and of temporary files."""
        workspace, cell = session.workspace, session.cell
        now = time.monotonic()
        if workspace is None or cell is None or self._next_elsewhere.get(session.id, 0.0) > now:
            return 0
        self._next_elsewhere[session.id] = now + _ELSEWHERE_INTERVAL
        device = os.fstat(workspace.fd).st_dev
        unnamed = await asyncio.to_thread(unnamed_bytes, processes_of(cell), device)
        return unnamed + (await asyncio.to_thread(workspace.temporary_bytes) if workspace.tmp.exists() else 0)

    def _check_uncounted(self, session: Session) -> None:
        """Without a control group: memory and processes."""
        cell, options = session.cell, session.options
        if cell is None or cell.group is not None:
            return
        counters(cell)  # it may end before it is asked again
        _, memory, processes = used(cell)
        if processes > options.processes:
            session.stop_for(causes.processes(options), at_once=True)
        # The quick sum counts what processes share once for each of them: look closer before ending anything.
        elif memory > options.memory << 20 and (memory := shared_out(cell)) > options.memory << 20:
            session.stop_for(causes.memory(options, memory), at_once=True)
