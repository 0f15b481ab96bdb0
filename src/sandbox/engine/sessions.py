"""What the sessions of an engine have: workers, workspaces, places in the store. Who begins and ends them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import ChainMap
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from sandbox.engine import isolation, lending, stored_past, timeline
from sandbox.engine.animations.warm import WarmZygotes
from sandbox.engine.artifacts import ArtifactStore
from sandbox.engine.begun import Begun, settled
from sandbox.engine.egress.egress import Egress
from sandbox.engine.egress.outside import Outside
from sandbox.engine.keeper import KeeperProcess
from sandbox.engine.languages import PYTHON, is_node
from sandbox.engine.launcher import Cell, Launcher, Spawn
from sandbox.engine.metrics import Meter, cpu_seconds
from sandbox.engine.parking import Parking
from sandbox.engine.paths import data_dir
from sandbox.engine.pool import Pool
from sandbox.engine.session import Session
from sandbox.engine.store_thread import StoreThread
from sandbox.engine.stored import Kept, open_kept
from sandbox.engine.trials import Trials
from sandbox.engine.waiting import uncancelled
from sandbox.engine.watch import LimitWatch
from sandbox.engine.workspaces import Workspace
from sandbox.errors import SandboxClosedError, SandboxError, UsageError
from sandbox.ids import checked_session_id
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.web.app import WebApp


class Sessions:
    """The sessions of one engine, by id. `launcher` starts their workers, `stored` is where the store is.

    `most`: how many may have a worker at once; None for no limit.
    """

    def __init__(
        self,
        spawn: Spawn,
        alone: Callable[[], bool],
        parked: int,
        keeper: KeeperProcess | None,
        most: int | None = None,
    ) -> None:
        self.spawn = spawn
        self.launcher = Launcher(spawn, keeper)
        self.stored = StoreThread(data_dir() / "store", alone)
        self.pool = Pool(self.launcher, spawn, parked)
        self.outside = Outside()
        self._sessions: dict[str, Session] = {}
        self._meters: dict[str, Meter] = {}
        self.warm = WarmZygotes(spawn)
        self.apps: dict[str, WebApp] = {}
        """Web apps that were not stopped, by their ids."""
        self.charge: Callable[[str, float], None] = _nobody_pays
        """Hears of the cpu seconds that an owner's sandboxes have used, some time after, and each once."""
        self.trials = Trials(self.pool, self.launcher)
        self._watch = LimitWatch(ChainMap(self._sessions, self.trials.spares.sessions))
        self._parking = Parking(self._sessions, self.park, most)

    def active(self, name: str) -> Session:
        """An open session. Raises SandboxClosedError."""
        session = self.known(name)
        if session.state == "closed":
            raise SandboxClosedError(f"session {name!r} is closed: start it again, or open another")
        session.used_at = time.monotonic()
        return session

    def known(self, name: str) -> Session:
        """A session, open or closed: the past of both can be looked at. Raises SandboxClosedError."""
        session = self._sessions.get(name)
        if session is None:
            raise SandboxClosedError(f"there is no open session {name!r}")
        return session

    def has(self, name: str) -> bool:
        """Whether it is known here, open or closed."""
        return name in self._sessions

    def state_of(self, name: str) -> str | None:
        """running, ready, parked or stopped; None where it is not known here."""
        session = self._sessions.get(name)
        if session is None:
            return None
        if session.state == "closed":
            return "stopped"
        return "running" if session.busy else "ready" if session.cell is not None else "parked"

    def cell_of(self, name: str) -> Cell | None:
        """Its worker, if it has one."""
        session = self._sessions.get(name)
        return None if session is None else session.cell

    def workspace(self, name: str) -> Workspace:
        """The directory of an open session. Raises SandboxClosedError."""
        session = self.active(name)
        if session.workspace is None:
            raise SandboxClosedError(f"session {name!r} was never started")
        return session.workspace

    async def kept(self, name: str) -> tuple[Session, Kept]:
        """The session with its place in the store. The caller holds its turn, if that matters."""
        session = self.active(name)
        await session.keep()
        if session.kept is None:
            raise UsageError("the session is not stored: it was opened with persist=False, or is closed")
        return session, session.kept

    async def prepare(self, options: m.SessionOptions) -> None:
        """Begin to get workers ready for sessions with these options. Raises SandboxStartError."""
        self.pool.prepare(options, await self.launcher.zygote(options))

    async def open(self, request: m.OpenSession) -> m.SessionOpened:
        """Open a session, known or new, with a worker. Raises SessionBusy, SandboxStartError."""
        name = os.urandom(8).hex() if request.session is None else checked_session_id(request.session)
        isolation.check_without(request.options.without)
        session = self._sessions.get(name) or self._new_session(name, request)
        settled(name, request.options, Begun.of(session.options))
        session.egress.learn(request.options.secrets)
        if session.cell is not None and self._is_open(session, request):
            session.used_at = time.monotonic()
            return _opened(session, session.cell)  # also while it runs something
        async with session.turn:
            opening = session.state == "closed" or session.cell is None
            try:
                await self._hold(session, request)
                cell = await self.cell(session)
            except BaseException:
                if opening and session.cell is None:
                    await uncancelled(self._give_up(session))
                raise
        return _opened(session, cell)

    def _is_open(self, session: Session, request: m.OpenSession) -> bool:
        """Whether there is nothing left to do to open it."""
        stored = session.kept is not None or session.keeping is not None
        ready = session.cell is not None and session.state in {"ready", "running"} and session.cell.worker.alive
        return ready and (stored or not request.options.persist)

    def _new_session(self, name: str, request: m.OpenSession) -> Session:
        directory, options = self.launcher.run.artifacts / name, request.options
        egress = Egress(options, self.outside)
        lending.lender_of(self.active, options, request.owner)
        directory.mkdir(mode=0o700)
        artifacts = ArtifactStore(directory, options.disk << 20)
        session = self._sessions[name] = Session(name, options, artifacts, request.owner, egress)
        return session

    async def _hold(self, session: Session, request: m.OpenSession) -> None:
        """Take the session's place in the store, unless it has it. The caller holds its turn. Raises SessionBusy."""
        closed = session.state == "closed"
        if request.options.persist and (closed or (session.kept is None and session.keeping is None)):
            session.keeping = asyncio.get_running_loop().create_task(
                open_kept(self.stored, session.id, session.owner, request.options)
            )
            if not request.fresh:  # it may be somebody else's, and then there is nothing to begin
                await session.keep()
                await self._forget_artifacts(session)
        begun = Begun.of(session.options) if session.kept is None else session.kept.begun
        if closed:
            session.reopen(request.options)
        session.options = settled(session.id, session.options, begun)

    async def _forget_artifacts(self, session: Session) -> None:
        """They are stored, and somebody else may have added to them, or deleted them with the session."""
        await asyncio.to_thread(session.artifacts.remove)
        session.artifacts = ArtifactStore(session.artifacts.directory, session.options.disk << 20)
        session.artifacts.directory.mkdir(mode=0o700)

    async def _give_up(self, session: Session) -> None:
        """It could not be opened: let others have what is stored of it, and whoever tries again begin anew."""
        await self._release(session)
        if session.options.persist or not session.executions:
            self._sessions.pop(session.id, None)
            session.artifacts.remove()
            if session.own_workspace is not None:
                session.own_workspace.remove()

    async def cell(self, session: Session) -> Cell:
        """Return the session's worker, a fresh one if it has none. The caller holds the session's turn."""
        if session.cell is not None and session.cell.worker.alive:
            return session.cell
        if session.cell is not None:
            session.lose()
            await self.end_worker(session)
        await self._parking.make_room(session)
        session.step("launch")
        self._parking.launching(1)
        try:
            cell = await self._new_cell(session)
        except BaseException:
            session.step("fail")
            raise
        finally:
            self._parking.launching(-1)
        session.step("ready")
        session.cell = cell
        if session.lender is None:
            session.own_workspace = cell.workspace
        self._watch.start()
        if session.options.idle_timeout is not None:
            self._parking.start()
        self._parking.make_room_ahead(self.spawn)
        return cell

    async def cell_for(self, session: Session, code: str) -> Cell:
        """As `cell`, to run this: a worker that was parked early gives way to one with the packages that it names."""
        cell = await self.cell(session)
        if wanted := [name for name in cell.lacks if name in code]:
            await cell.zygote.has(wanted)
            if not session.in_use:  # nothing has begun beside it meanwhile
                session.step("park")
                await self.end_worker(session)
                cell = await self.cell(session)
        cell.lacks = ()
        return cell

    async def _new_cell(self, session: Session) -> Cell:
        zygote = await self.launcher.zygote(session.options)
        session.lender = lending.lender_of(self.active, session.options, session.owner)
        fresh = session.workspace is None
        options = session.egress.options(session.options)
        if options.seed is not None:  # what is imported ahead of time does not ask for numbers or the time later
            await zygote.has(zygote.lacks(zygote.warm_left))
        if session.workspace is None:
            early = zygote.warm_left > 0 and await self._is_plain(session)
            cell = await self.pool.get(options, zygote, early=early)
        else:
            cell = await self.launcher.launch(options, zygote, session.workspace)
        cell.cpu_charged = cpu_seconds(cell)  # what it took to make it is nobody's
        try:
            await session.egress.serve(cell)
            await self._bring_back(session, cell, fresh=fresh)
        except BaseException:
            await session.egress.stop()
            await self.launcher.end(cell)
            if fresh:
                cell.workspace.remove()
            raise
        return cell

    async def _is_plain(self, session: Session) -> bool:
        """Whether bringing it back takes no package."""
        kept = session.kept
        return kept is None or not kept.restorable or await kept.timeline(timeline.is_plain)

    async def _bring_back(self, session: Session, cell: Cell, *, fresh: bool) -> None:
        """Restore what is stored of the session: its variables, and its files where the workspace is a `fresh` one."""
        if session.keeping is not None and session.keeping.done():
            await session.keep()
        if session.kept is not None and session.kept.session.head:
            if fresh:
                await session.kept.restore_files(cell.workspace)
                await cell.workspace.changed()
            if session.kept.restorable:
                await session.kept.restore(cell.worker, as_bytes=is_node(session.options.language))

    async def connect(self, session: Session, cell: Cell) -> None:
        """Give a worker the proxy that its session had no use for before. The caller holds the session's turn."""
        if not session.egress.serving:
            await session.egress.serve(cell)
        await self.launcher.attach(cell, session.egress.options(session.options))

    async def park(self, session: Session) -> None:
        """Store what is not stored yet and end the worker of a session that nobody uses. Raises StoreError."""
        used_at = session.used_at
        async with session.turn:
            await session.keep()
            if session.kept is None:
                return
            await session.kept.checkpoint(None, session.own_workspace)
            if session.used_at == used_at and session.state == "ready" and not session.in_use:
                session.step("park")
                await self.end_worker(session)

    async def end_worker(self, session: Session) -> None:
        """End the session's worker, if it has one, and its commands, which only a pid namespace would end with it."""
        self.look_at_cpu(session.id)
        cell, session.cell = session.cell, None
        await session.egress.stop()
        if cell is not None:
            for command in list(session.commands.values()):
                await command.end()
            await self.launcher.end(cell)
            for terminal in list(session.terminals.values()):
                await terminal.close()
            self._charge(session, cell)

    # --- what is used of a processor ---

    async def look_at_cpu_of_all(self) -> None:
        """See what all workers have used since the last look, and charge their owners."""
        for name in [name for name, session in self._sessions.items() if session.cell is not None]:
            self.look_at_cpu(name)
            await asyncio.sleep(0)

    def look_at_cpu(self, name: str) -> None:
        """See what a session's worker and all beside it have used since the last look, and charge its owner."""
        session = self._sessions.get(name)
        if session is not None and session.cell is not None:
            cpu_seconds(session.cell)
            self._charge(session, session.cell)

    def _charge(self, session: Session, cell: Cell) -> None:
        seconds, cell.cpu_charged = cell.cpu_seconds - cell.cpu_charged, cell.cpu_seconds
        self.charge(session.owner, seconds)

    # --- the end ---

    async def end_apps(self, session: Session) -> None:
        """End the session's web apps for good."""
        while session.apps:
            _, app = session.apps.popitem()
            await app.close()

    async def close(self, session: Session) -> None:
        """End its worker, and let others have what is stored of it. Those that work in its files go first."""
        while open_ := [one for one in self.borrowers(session) if one.state != "closed"]:
            await self.close(open_[0])
        await self._stop(session)
        async with session.turn:  # an execution that this has ended is still being saved
            await self._release(session)
            await self._remove_workspace(session)

    async def _stop(self, session: Session) -> None:
        """End the session's worker for good."""
        if session.state == "starting":
            async with session.turn:
                pass  # it has a worker now, or has failed to get one
        if session.state != "closed":
            session.step("close")
            for watch in session.watches:
                watch.cancel()
            await self.end_apps(session)
            await self.end_worker(session)
            session.terminals.clear()

    async def _release(self, session: Session) -> None:
        """Let another process have what is stored of it."""
        with contextlib.suppress(SandboxError, OSError):  # then there is nothing to release
            await session.keep()
        kept, session.kept, session.keeping = session.kept, None, None
        if kept is None:
            return
        if await kept.retire(session.own_workspace):
            session.retired = True

    async def _remove_workspace(self, session: Session) -> None:
        """What is stored need not lie there too, and another process may change it now."""
        if session.retired and session.own_workspace is not None:
            workspace, session.own_workspace = session.own_workspace, None
            await asyncio.to_thread(workspace.remove)

    async def delete(self, session: Session) -> None:
        """End its worker, and delete all there is of it, and of those that work in its files."""
        while borrowers := self.borrowers(session):
            await self.delete(borrowers[0])
        await self._stop(session)
        async with session.turn:
            with contextlib.suppress(SandboxError, OSError):
                await session.keep()
            kept, session.kept, session.keeping = session.kept, None, None
            if kept is not None:
                await kept.delete()
            elif session.options.persist:
                await stored_past.delete(self.stored, session.id, session.owner)
            if self._sessions.pop(session.id, None) is not None:
                self._meters.pop(session.id, None)
                if session.own_workspace is not None:
                    await asyncio.to_thread(session.own_workspace.remove)
                await asyncio.to_thread(session.artifacts.remove)

    async def forget_all(self, ids: Iterable[str], owner: str) -> None:
        """Delete sessions that are stored, whether they are known here or not."""
        for each in ids:
            session = self._sessions.get(each)
            await (self.delete(session) if session is not None else stored_past.delete(self.stored, each, owner))

    def borrowers(self, session: Session) -> list[Session]:
        """Those that work in its files, as far as they are known here."""
        return [one for one in self._sessions.values() if one.options.files_of == session.id]

    def meter(self, session: Session) -> Meter:
        """What measures a session: a rate needs the measurement before."""
        return self._meters.setdefault(session.id, Meter())

    def stop(self) -> None:
        """Begin to end every worker, and park no more."""
        self._watch.stop()
        self._parking.stop()
        self.pool.stop()
        for session in self._sessions.values():
            if session.cell is not None:
                session.cell.worker.kill("the engine is closing")

    async def close_all(self) -> None:
        """End every worker and zygote, and save and give up every session. Nobody may be using one."""
        for session in self._sessions.values():
            await self.end_apps(session)
            await self.end_worker(session)
            await self._release(session)
            if session.own_workspace is not None:
                session.own_workspace.close()
        self.outside.close()
        await self.stored.close()
        await self.pool.close()
        await self.warm.close()
        await self.launcher.close()


def _nobody_pays(_owner: str, _seconds: float) -> None:
    """Of an engine that is its user's own."""


def _opened(session: Session, cell: Cell) -> m.SessionOpened:
    return m.SessionOpened(
        session=session.id,
        isolation=cell.zygote.spec.level,
        network=session.options.network,
        enforced=cell.worker.enforced,
        artifacts_dir=str(session.artifacts.directory),
        workspace_dir=str(cell.workspace.path),
        language=session.options.language or PYTHON,
    )
