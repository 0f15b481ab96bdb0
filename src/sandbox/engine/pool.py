"""Parked workers: confined and waiting, so that a new session gets one without waiting for a fork."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque

from sandbox.engine.languages import OF_NODE, PYTHON, is_node
from sandbox.engine.launcher import Cell, Launcher, Spawn
from sandbox.engine.worker_events import DoneInside
from sandbox.engine.workspaces import Workspace
from sandbox.engine.zygote import Zygote, ZygoteSpec
from sandbox.errors import SandboxError
from sandbox.protocol.messages import HOST_NETWORK, SessionOptions

SIZE = 2
_QUIET_SECONDS = 0.03
_DEFAULTS = SessionOptions()


class Pool:
    """Keeps `size` workers parked for each zygote that has served a session, once its imports are warm."""

    def __init__(self, launcher: Launcher, spawn_task: Spawn, size: int = SIZE) -> None:
        self.size = size
        self._launcher = launcher
        self._spawn_task = spawn_task
        self._parked: dict[ZygoteSpec, deque[Cell]] = {}
        self._filling: set[ZygoteSpec] = set()
        self._names = itertools.count(1)
        self._closed = False
        self._opened_at = 0.0

    def fits(self, options: SessionOptions) -> bool:
        """Whether a parked worker can serve: what cannot be changed after the fork must be the default or less.

        A Node cannot change its own limits at all.
        """
        own = (options.memory, options.disk, options.processes)
        if is_node(options.language) and own != (_DEFAULTS.memory, _DEFAULTS.disk, _DEFAULTS.processes):
            return False
        same = (options.memory, options.cpus) == (_DEFAULTS.memory, _DEFAULTS.cpus) or self._launcher.counts(options)
        lower = (
            options.memory <= _DEFAULTS.memory
            and options.disk <= _DEFAULTS.disk
            and options.processes <= _DEFAULTS.processes
        )
        return not options.files and options.network != HOST_NETWORK and same and lower

    async def get(self, options: SessionOptions, zygote: Zygote, *, early: bool = False) -> Cell:
        """Return a parked worker with a workspace of its own, or launch one.

        `early`: one will do that was parked before all was imported.
        """
        self._watch(zygote)
        self._opened_at = time.monotonic()
        parked = self._parked.setdefault(zygote.spec, deque())
        if self.fits(options):
            while parked:
                cell = parked.popleft()
                self._refill(zygote)
                if cell.worker.alive and cell.zygote is zygote and (early or not cell.lacks):
                    await self._launcher.attach(cell, options)
                    return cell
                self._launcher.discard(cell)
        cell = await self._launch(options, zygote)
        self._refill(zygote)
        return cell

    def prepare(self, options: SessionOptions, zygote: Zygote) -> None:
        """Park workers of a zygote that has served no session yet, and may still be importing."""
        if not self._closed and self.size and self.fits(options) and zygote.spec not in self._filling:
            self._watch(zygote)
            self._parked.setdefault(zygote.spec, deque())
            self._filling.add(zygote.spec)
            self._spawn_task(self._fill_early(zygote))

    async def _launch(self, options: SessionOptions, zygote: Zygote) -> Cell:
        workspace = Workspace(zygote.place, f"p{next(self._names)}", self._launcher.ids)
        try:
            return await self._launcher.launch(options, zygote, workspace)
        except BaseException:
            workspace.remove()
            raise

    def _watch(self, zygote: Zygote) -> None:
        zygote.on_warm = self._refill

    def _refill(self, zygote: Zygote) -> None:
        """Fill up in the background. Workers forked before the last import would lack it, so wait for that."""
        spec = zygote.spec
        if self._closed or self.size == 0 or spec.network == HOST_NETWORK:
            return
        if zygote.warm_left or spec in self._filling or spec not in self._parked:
            return
        self._filling.add(spec)
        self._spawn_task(self._fill(zygote))

    async def _quiet(self) -> None:
        """Wait until no session was opened for a moment: a fork beside it would slow its first execution down."""
        while True:
            wait = self._opened_at + _QUIET_SECONDS - time.monotonic()
            if wait <= 0:
                return
            await asyncio.sleep(wait)

    async def _fill(self, zygote: Zygote) -> None:
        parked = self._parked[zygote.spec]
        try:
            while len(parked) < self.size and not self._closed:
                parked.append(await self._new(zygote))
        except SandboxError:
            return  # the next session meets the same error, and can report it
        finally:
            self._filling.discard(zygote.spec)

    async def _fill_early(self, zygote: Zygote) -> None:
        """Until everything is warm, have one worker that nobody has to wait for: a newer one after each import.

        While a zygote imports it forks nothing, and some imports take most of a second.
        """
        parked, lacks = self._parked[zygote.spec], True
        try:
            while lacks and not self._closed:
                cell = await self._new(zygote)
                cell.lacks = zygote.lacks(cell.worker.process.cold)
                lacks = bool(cell.lacks)
                if parked:
                    self._launcher.discard(parked.popleft())
                parked.append(cell)
        except SandboxError:
            return
        finally:
            self._filling.discard(zygote.spec)
        self._refill(zygote)

    async def _new(self, zygote: Zygote) -> Cell:
        """A worker to be parked."""
        await self._quiet()
        spec = zygote.spec
        language = PYTHON if spec.interpreter.node is None else OF_NODE[0]
        options = SessionOptions(isolation=spec.level, without=tuple(sorted(spec.without)), language=language)
        return await self._warmed_up(await self._launch(options, zygote))

    async def _warmed_up(self, cell: Cell) -> Cell:
        try:
            await cell.worker.ask({"do": "warm_up"}, DoneInside)
        except BaseException:  # the engine closes, and knows nothing of this one yet
            await self._launcher.end(cell)
            cell.workspace.remove()
            raise
        return cell

    def stop(self) -> None:
        """Park no more: a zygote that is warm only now would have one forked that nobody ends."""
        self._closed = True

    async def close(self) -> None:
        """End every parked worker."""
        self.stop()
        for parked in self._parked.values():
            while parked:
                cell = parked.popleft()
                await self._launcher.end(cell)
                cell.workspace.remove()
