"""The engine: takes requests, one message each, and answers with events. Runs in one event loop.

The only dispatch is `_HANDLERS` at the end: a new operation is a message, a method here and a method of the SDK.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from sandbox.engine import files, isolation, timeline
from sandbox.engine.artifacts import ArtifactStore
from sandbox.engine.commands import Command
from sandbox.engine.keeper import KeeperProcess
from sandbox.engine.launcher import Cell, Launcher
from sandbox.engine.metrics import Meter
from sandbox.engine.paths import data_dir
from sandbox.engine.pool import SIZE, Pool
from sandbox.engine.session import Session
from sandbox.engine.stored import Kept, StoreThread, uncancelled
from sandbox.engine.watch import LimitWatch
from sandbox.engine.worker_events import DoneInside
from sandbox.engine.workspaces import Workspace
from sandbox.errors import SandboxClosedError, SandboxError, StoreError, UsageError
from sandbox.ids import checked_session_id
from sandbox.protocol import messages as m

Emit = Callable[[m.Event], None]
Sink = Callable[[bytes, bool], None]


class Engine:
    """Owns the sessions of one process. Use it through `sandbox.engine.thread.EngineThread`."""

    def __init__(self, parked: int = SIZE, keeper: KeeperProcess | None = None) -> None:
        isolation.require_linux()
        isolation.require_open_files()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._launcher = Launcher(self._spawn, keeper)
        self._pool = Pool(self._launcher, self._spawn, parked)
        self._stored = StoreThread(data_dir() / "store")
        self._sessions: dict[str, Session] = {}
        self._meters: dict[str, Meter] = {}
        self._commands = itertools.count(1)
        self._watch = LimitWatch(self._sessions)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def busy(self) -> bool:
        """Whether something is under way, including what nobody waits for."""
        return bool(self._tasks) or self._launcher.warming

    # --- requests ---

    def start(self, request: bytes, sink: Sink) -> asyncio.Task[None]:
        """Begin to answer: `sink` gets each encoded event, and whether it is the last one.

        Cancelling the task cancels the request; the last event is then a failure.
        """
        return self._spawn(self._answer(request, sink))

    async def _answer(self, data: bytes, sink: Sink) -> None:
        def emit(event: m.Event) -> None:
            sink(m.encode(event), False)

        last: m.LastEvent = m.Failed("error", "the engine failed; its log says how")
        try:
            request = m.decode_request(data)
            last = await _HANDLERS[type(request)](self, request, emit)
        except SandboxError as error:
            last = m.Failed(error.code, error.message, error.details)
        except msgspec.MsgspecError as error:
            last = m.Failed(UsageError.code, f"not a valid request: {error}")
        except Exception:  # noqa: BLE001 - a mistake of ours: its caller must still get an answer
            last = m.Failed("error", f"the engine made a mistake:\n{traceback.format_exc(limit=-5)}")
        except asyncio.CancelledError:
            last = m.Failed(SandboxClosedError.code, "the request was cancelled")
            raise
        finally:
            sink(m.encode(last), True)

    def _session(self, name: str) -> Session:
        """An open session. Raises SandboxClosedError."""
        session = self._known(name)
        if session.state == "closed":
            raise SandboxClosedError(f"session {name!r} is closed: start it again, or open another")
        return session

    def _known(self, name: str) -> Session:
        """A session, open or closed: the past of both can be looked at. Raises SandboxClosedError."""
        session = self._sessions.get(name)
        if session is None:
            raise SandboxClosedError(f"there is no open session {name!r}")
        return session

    # --- sessions ---

    async def _open_session(self, request: m.OpenSession, emit: Emit) -> m.SessionOpened:
        name = os.urandom(8).hex() if request.session is None else checked_session_id(request.session)
        isolation.check_without(request.options.without)
        session = self._sessions.get(name) or self._new_session(name, request.options)
        async with session.turn:
            opening = session.state == "closed" or session.cell is None
            try:
                await self._hold(session, request)
                cell = await self._cell(session)
            except BaseException:
                if opening and session.cell is None:
                    await uncancelled(self._give_up(session))
                raise
        return m.SessionOpened(
            session=name,
            isolation=cell.zygote.spec.level,
            network=session.options.network,
            enforced=cell.worker.enforced,
            artifacts_dir=str(session.artifacts.directory),
            workspace_dir=str(cell.workspace.path),
        )

    def _new_session(self, name: str, options: m.SessionOptions) -> Session:
        directory = self._launcher.run.artifacts / name
        directory.mkdir(mode=0o700)
        session = self._sessions[name] = Session(name, options, ArtifactStore(directory, options.disk << 20))
        return session

    async def _hold(self, session: Session, request: m.OpenSession) -> None:
        """Take the session's place in the store, unless it has it. The caller holds its turn. Raises SessionBusy."""
        closed = session.state == "closed"
        if request.options.persist and (closed or (session.kept is None and session.keeping is None)):
            session.keeping = asyncio.get_running_loop().create_task(self._stored.open(session.id, request.options))
            if not request.fresh:  # it may be somebody else's, and then there is nothing to begin
                await session.keep()
                await self._forget_artifacts(session)
        if closed:
            session.reopen(request.options)

    async def _give_up(self, session: Session) -> None:
        """It could not be opened: let others have what is stored of it, and whoever tries again begin anew."""
        await self._release(session)
        if session.options.persist or not session.executions:
            self._sessions.pop(session.id, None)
            session.artifacts.remove()
            if session.workspace is not None:
                session.workspace.remove()

    async def _cell(self, session: Session) -> Cell:
        """Return the session's worker, a fresh one if it has none. The caller holds the session's turn."""
        if session.cell is not None and session.cell.worker.alive:
            return session.cell
        if session.cell is not None:
            session.lose()
            await self._end(session)
        session.step("launch")
        try:
            cell = await self._new_cell(session)
        except BaseException:
            session.step("fail")
            raise
        session.step("ready")
        session.cell, session.workspace = cell, cell.workspace
        self._watch.start()
        return cell

    async def _new_cell(self, session: Session) -> Cell:
        zygote = await self._launcher.zygote(session.options)
        fresh = session.workspace is None
        if session.workspace is None:
            cell = await self._pool.get(session.options, zygote)
        else:
            cell = await self._launcher.launch(session.options, zygote, session.workspace)
        try:
            await self._bring_back(session, cell, fresh=fresh)
        except BaseException:
            await self._launcher.end(cell)
            if fresh:
                cell.workspace.remove()
            raise
        return cell

    async def _bring_back(self, session: Session, cell: Cell, *, fresh: bool) -> None:
        """Restore what is stored of the session: its variables, and its files where the workspace is a `fresh` one."""
        if session.keeping is not None and session.keeping.done():
            await session.keep()
        if session.kept is not None and session.kept.session.head:
            if fresh:
                await session.kept.restore_files(cell.workspace)
                await cell.workspace.changed()
            if session.kept.restorable:
                await session.kept.restore(cell.worker)

    async def _end(self, session: Session) -> None:
        """End the session's worker, if it has one, and its commands, which only a pid namespace would end with it."""
        cell, session.cell = session.cell, None
        if cell is not None:
            for command in list(session.commands.values()):
                await command.end()
            await self._launcher.end(cell)

    async def _close_session(self, request: m.CloseSession, emit: Emit) -> m.Done:
        session = self._known(request.session)
        await self._stop(session)
        async with session.turn:  # an execution that this has ended is still being saved
            await self._release(session)
            await self._remove_workspace(session)
        return m.Done()

    async def _forget_artifacts(self, session: Session) -> None:
        """They are stored, and somebody else may have added to them, or deleted them with the session."""
        await asyncio.to_thread(session.artifacts.remove)
        session.artifacts = ArtifactStore(session.artifacts.directory, session.options.disk << 20)
        session.artifacts.directory.mkdir(mode=0o700)

    async def _stop(self, session: Session) -> None:
        """End the session's worker for good."""
        if session.state == "starting":
            async with session.turn:
                pass  # it has a worker now, or has failed to get one
        if session.state != "closed":
            session.step("close")
            await self._end(session)

    async def _release(self, session: Session) -> None:
        """Let another process have what is stored of it."""
        with contextlib.suppress(StoreError):  # then there is nothing to release
            await session.keep()
        kept, session.kept, session.keeping = session.kept, None, None
        if kept is None:
            return
        if await kept.retire(session.workspace):
            session.retired = True

    async def _remove_workspace(self, session: Session) -> None:
        """What is stored need not lie there too, and another process may change it now."""
        if session.retired and session.workspace is not None:
            workspace, session.workspace = session.workspace, None
            await asyncio.to_thread(workspace.remove)

    async def _delete_session(self, request: m.DeleteSession, emit: Emit) -> m.Done:
        session = self._known(request.session)
        await self._stop(session)
        async with session.turn:
            with contextlib.suppress(StoreError):
                await session.keep()
            kept, session.kept, session.keeping = session.kept, None, None
            if kept is not None:
                await kept.delete()
            elif session.options.persist:
                await self._stored.delete(session.id)
            if self._sessions.pop(session.id, None) is not None:
                self._meters.pop(session.id, None)
                if session.workspace is not None:
                    await asyncio.to_thread(session.workspace.remove)
                await asyncio.to_thread(session.artifacts.remove)
        return m.Done()

    # --- executions ---

    async def _run(self, request: m.Run, emit: Emit) -> m.ExecutionFinished:
        session = self._session(request.session)
        async with session.turn:
            cell = await self._cell(session)
            await session.keep()
            finished = await session.run(request, cell, emit)
            if cell.worker.gone is not None:
                session.lose()
                await self._end(session)
            return finished

    async def _interrupt(self, request: m.Interrupt, emit: Emit) -> m.Done:
        session = self._session(request.session)
        if session.running is not None:
            session.running.interrupt()
        return m.Done()

    async def _complete(self, request: m.Complete, emit: Emit) -> m.Completions:
        session = self._session(request.session)
        if session.turn.locked():
            return m.Completions((), request.cursor)  # it runs code: there is nobody to ask now
        async with session.turn:
            return await session.complete(request.code, request.cursor, await self._cell(session))

    async def _clear_cache(self, request: m.ClearCache, emit: Emit) -> m.Done:
        session = self._session(request.session)
        async with session.turn:
            await session.clear_cache()
        return m.Done()

    # --- commands ---

    async def _start_command(self, request: m.StartCommand, emit: Emit) -> m.CommandFinished:
        session = self._session(request.session)
        if not request.argv:
            raise UsageError("a command needs at least the program's name")
        cell = session.cell
        if cell is None or cell.worker.gone is not None:
            async with session.turn:
                cell = await self._cell(session)
        command = Command(next(self._commands), request, session.options, emit)
        session.commands[command.number] = command
        try:
            return await command.run(cell, self._launcher)
        finally:
            del session.commands[command.number]

    def _command(self, session: str, number: int) -> Command:
        command: Command | None = self._session(session).commands.get(number)
        if command is None:
            raise UsageError(f"command {number} has ended: it has no standard input any more")
        return command

    async def _write_stdin(self, request: m.WriteStdin, emit: Emit) -> m.Done:
        if request.close and not request.data and request.command not in self._session(request.session).commands:
            return m.Done()  # it has just ended, and its standard input with it
        await self._command(request.session, request.command).write(request.data, close=request.close)
        return m.Done()

    async def _signal_command(self, request: m.SignalCommand, emit: Emit) -> m.Done:
        if not 0 < request.signal < 65:
            raise UsageError(f"{request.signal} is not a signal")
        command = self._session(request.session).commands.get(request.command)
        if command is not None:  # else it has just ended, which nobody could have known
            await command.signal(request.signal)
        return m.Done()

    # --- files ---

    def _workspace(self, name: str) -> Workspace:
        session = self._session(name)
        if session.workspace is None:
            raise SandboxClosedError(f"session {name!r} was never started")
        return session.workspace

    async def _read_file(self, request: m.ReadFile, emit: Emit) -> m.Done:
        await asyncio.to_thread(files.read, self._workspace(request.session), request, emit)
        return m.Done()

    async def _write_file(self, request: m.WriteFile, emit: Emit) -> m.Done:
        workspace = self._workspace(request.session)
        await self._check_disk(request, workspace)
        await workspace.note(await asyncio.to_thread(files.write, workspace, request))
        return m.Done()

    async def _check_disk(self, request: m.WriteFile, workspace: Workspace) -> None:
        limit = self._session(request.session).options.disk << 20
        size = max(request.size, len(request.data))
        left = len(request.data) if request.append else size
        if left > 1 << 16 and (await workspace.look()).bytes + left > limit:
            raise UsageError(f"writing {size} bytes to {request.path!r} exceeds disk={limit >> 20} MB")

    async def _list_files(self, request: m.ListFiles, emit: Emit) -> m.FilesListed:
        return m.FilesListed(await asyncio.to_thread(files.listing, self._workspace(request.session), request))

    async def _stat_file(self, request: m.StatFile, emit: Emit) -> m.FilesListed:
        return m.FilesListed((files.describe(self._workspace(request.session), request),))

    async def _remove_file(self, request: m.RemoveFile, emit: Emit) -> m.Done:
        workspace = self._workspace(request.session)
        await workspace.note(await asyncio.to_thread(files.remove, workspace, request))
        return m.Done()

    async def _rename_file(self, request: m.RenameFile, emit: Emit) -> m.Done:
        workspace = self._workspace(request.session)
        await workspace.note(*files.rename(workspace, request))
        return m.Done()

    async def _make_directory(self, request: m.MakeDirectory, emit: Emit) -> m.Done:
        files.make_directory(self._workspace(request.session), request)
        return m.Done()

    async def _watch_files(self, request: m.WatchFiles, emit: Emit) -> m.Done:
        from sandbox.engine.inotify import watch  # noqa: PLC0415 - few sessions watch

        await watch(self._workspace(request.session), request, emit)
        return m.Done()

    # --- what is known ---

    async def _list_artifacts(self, request: m.ListArtifacts, emit: Emit) -> m.ArtifactsListed:
        session = self._known(request.session)
        await self._bring_artifacts(session)
        return m.ArtifactsListed(tuple(session.artifacts.all))

    async def _bring_artifacts(self, session: Session) -> None:
        """Once: those that were made before this engine had the session."""
        async with session.bringing:
            if not session.options.persist or session.artifacts.complete:
                return
            there = {one.id for one in session.artifacts.all}
            session.artifacts.add_stored(await self._stored.artifacts(session.id, session.artifacts.directory, there))

    async def _get_metrics(self, request: m.GetMetrics, emit: Emit) -> m.MetricsMeasured:
        session = self._session(request.session)
        meter = self._meters.setdefault(session.id, Meter())
        return m.MetricsMeasured(await meter.measure(session))

    async def _get_stats(self, request: m.GetStats, emit: Emit) -> m.StatsCounted:
        session = self._known(request.session)
        return session.stats(await self._stored.stats(session.id) if session.options.persist else None)

    async def _get_history(self, request: m.GetHistory, emit: Emit) -> m.HistoryListed:
        if request.limit < 0:
            raise UsageError(f"limit={request.limit} is negative")
        session = self._known(request.session)
        if session.options.persist:
            return m.HistoryListed(tuple(await self._stored.history(session.id, request.limit)))
        return m.HistoryListed(tuple(reversed(session.history))[: request.limit])

    # --- time travel ---

    async def _kept(self, name: str) -> tuple[Session, Kept]:
        """The session with its place in the store. The caller holds its turn, if that matters."""
        session = self._session(name)
        await session.keep()
        if session.kept is None:
            raise UsageError("the session is not stored: it was opened with persist=False, or is closed")
        return session, session.kept

    async def _make_checkpoint(self, request: m.MakeCheckpoint, emit: Emit) -> m.CheckpointsListed:
        async with self._session(request.session).turn:
            session, kept = await self._kept(request.session)
            await kept.checkpoint(request.label, session.workspace)
        listed = await kept.timeline(timeline.listing)
        made = tuple(one for one in listed.checkpoints if one.number == listed.head)
        return m.CheckpointsListed(made, listed.head)

    async def _list_checkpoints(self, request: m.ListCheckpoints, emit: Emit) -> m.CheckpointsListed:
        _, kept = await self._kept(request.session)
        return await kept.timeline(timeline.listing)

    async def _rollback(self, request: m.Rollback, emit: Emit) -> m.Done:
        async with self._session(request.session).turn:
            session, kept = await self._kept(request.session)
            await kept.checkpoint(None, session.workspace)  # nothing of what is there now is lost
            await kept.rollback(request)
            if session.cell is not None:
                session.step("lose")
                await self._end(session)
            if session.workspace is not None:
                await kept.restore_files(session.workspace)
                await session.workspace.changed()
            await self._cell(session)
        return m.Done()

    async def _fork(self, request: m.Fork, emit: Emit) -> m.Done:
        ids = tuple(map(checked_session_id, request.ids))
        async with self._session(request.session).turn:
            session, kept = await self._kept(request.session)
            await kept.checkpoint(None, session.workspace)
            await kept.fork(ids, session.options)
        return m.Done()

    async def _reseed(self, request: m.Reseed, emit: Emit) -> m.Done:
        session = self._session(request.session)
        async with session.turn:
            await (await self._cell(session)).worker.ask({"do": "reseed"}, DoneInside)
        return m.Done()

    async def _list_variables(self, request: m.ListVariables, emit: Emit) -> m.VariablesListed:
        _, kept = await self._kept(request.session)
        return m.VariablesListed(await kept.timeline(timeline.variables))

    async def _compare(self, request: m.Compare, emit: Emit) -> m.Compared:
        _, kept = await self._kept(request.session)
        return await kept.timeline(lambda store, session: timeline.compare(store, session, request.old, request.new))

    async def _export(self, request: m.Export, emit: Emit) -> m.Done:
        _, kept = await self._kept(request.session)
        scratch = self._launcher.run.path / f"export-{os.urandom(8).hex()}"
        try:
            exported = await kept.timeline(lambda store, session: timeline.export(store, session, request, scratch))
            await asyncio.to_thread(files.send, exported, emit)
        finally:
            scratch.unlink(missing_ok=True)
        return m.Done()

    # --- the end ---

    def forget(self) -> None:
        """In a process that was forked from this one: see `Launcher.forget`."""
        self._launcher.forget()

    async def close(self) -> None:
        """End everything: requests, workers, zygotes, directories."""
        self._watch.stop()
        self._pool.stop()
        current = asyncio.current_task()
        for session in self._sessions.values():
            if session.cell is not None:
                session.cell.worker.kill("the engine is closing")
        others = [task for task in self._tasks if task is not current]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for session in self._sessions.values():
            await self._end(session)
            await self._release(session)
            if session.workspace is not None:
                session.workspace.close()
        await self._stored.close()
        await self._pool.close()
        await self._launcher.close()


_HANDLERS: dict[type, Callable[[Engine, Any, Emit], Coroutine[Any, Any, m.LastEvent]]] = {
    m.OpenSession: Engine._open_session,
    m.CloseSession: Engine._close_session,
    m.DeleteSession: Engine._delete_session,
    m.Run: Engine._run,
    m.Interrupt: Engine._interrupt,
    m.Complete: Engine._complete,
    m.ClearCache: Engine._clear_cache,
    m.StartCommand: Engine._start_command,
    m.WriteStdin: Engine._write_stdin,
    m.SignalCommand: Engine._signal_command,
    m.ReadFile: Engine._read_file,
    m.WriteFile: Engine._write_file,
    m.ListFiles: Engine._list_files,
    m.StatFile: Engine._stat_file,
    m.RemoveFile: Engine._remove_file,
    m.RenameFile: Engine._rename_file,
    m.MakeDirectory: Engine._make_directory,
    m.WatchFiles: Engine._watch_files,
    m.ListArtifacts: Engine._list_artifacts,
    m.GetMetrics: Engine._get_metrics,
    m.GetStats: Engine._get_stats,
    m.GetHistory: Engine._get_history,
    m.MakeCheckpoint: Engine._make_checkpoint,
    m.ListCheckpoints: Engine._list_checkpoints,
    m.Rollback: Engine._rollback,
    m.Fork: Engine._fork,
    m.Reseed: Engine._reseed,
    m.ListVariables: Engine._list_variables,
    m.Compare: Engine._compare,
    m.Export: Engine._export,
}
