"""What the store keeps of this engine's sessions. The store blocks, so it has a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from sandbox.engine import stored_artifacts
from sandbox.engine.scan import printable
from sandbox.engine.worker_events import Gone, Restored
from sandbox.errors import SandboxStartError, SessionNotFound, StoreError
from sandbox.protocol.messages import (
    ArtifactInfo,
    ExecutionFinished,
    HistoryRecord,
    Rollback,
    SessionOptions,
    StateInfo,
)

if TYPE_CHECKING:
    from sandbox.engine.transcript import Transcript
    from sandbox.engine.worker import Worker
    from sandbox.engine.worker_events import Saved
    from sandbox.engine.workspaces import Workspace
    from sandbox.store.history import ExecutionRecord, Stats
    from sandbox.store.parts import Parts
    from sandbox.store.session import StoredSession
    from sandbox.store.session_files import SessionFiles
    from sandbox.store.staging import Staging
    from sandbox.store.store import Store

_T = TypeVar("_T")
OWNER = "local"
_SMALL = 128 * 1024
_SILENCE_SECONDS = 10.0
_SOON_SECONDS, _IDLE_SECONDS = 0.005, 0.3
_BYTES_A_SECOND = 20e6
_MOST_ERROR = 10_000
_MOST_TOLD = 5
_RESTORE_SECONDS = 120.0


class StoreThread:
    """Owns the store, and opens it when it is first needed. A daemon of its own: executors end before atexit does."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._store: Store | None = None
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, action: Callable[[Store], _T]) -> _T:
        """Run `action` in the store's thread. Raises StoreError and what `action` raises."""
        answer, call = _answering(lambda: action(self._opened()))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="sandbox-store", daemon=True)
            self._thread.start()
        self._calls.put(call)
        return await answer

    def _serve(self) -> None:
        pause: float | None = None  # how long nobody must want anything until it is time to tend the store
        first = True
        while True:
            try:
                call = self._calls.get(timeout=pause)
            except Empty:
                self._tend()
                pause, first = None, False
                continue
            if call is None:
                return
            call()
            pause = _SOON_SECONDS if first else _IDLE_SECONDS

    def _tend(self) -> None:
        """While nobody waits: what makes the commits that come faster."""
        if self._store is not None:
            with contextlib.suppress(StoreError):  # whoever needs the store meets the same error, and can report it
                self._store.tend()

    def _opened(self) -> Store:
        if self._store is None:
            from sandbox.store.store import Store  # noqa: PLC0415 - only who keeps something pays for it

            self._store = Store(self._directory)
        return self._store

    async def open(self, name: str, options: SessionOptions) -> Kept:
        """Hold a session that is stored, or begin to store it. Raises SessionBusy, StoreError."""
        return await self.call(lambda store: Kept(self, store, _open(store, name, options)))

    async def delete(self, name: str) -> None:
        """Delete a session that nobody holds, if there is such a one. Raises SessionBusy."""

        def delete(store: Store) -> None:
            with contextlib.suppress(SessionNotFound):
                store.open(name, owner=OWNER).delete()

        await self.call(delete)

    # --- the past of a session, whoever holds it; nothing, if it is not stored (yet) ---

    async def artifacts(self, name: str, directory: Path, there: set[str]) -> list[ArtifactInfo]:
        """Bring the artifacts that are not `there` into a directory."""
        return await self._past([], lambda store: stored_artifacts.bring(store, name, OWNER, directory, there))

    async def stats(self, name: str) -> Stats | None:
        """Figures over all executions."""
        return await self._past(None, lambda store: store.stats(name, owner=OWNER))

    async def history(self, name: str, limit: int) -> list[HistoryRecord]:
        """The last executions, newest first."""
        nothing: list[ExecutionRecord] = []
        rows = await self._past(nothing, lambda store: store.history(name, owner=OWNER, limit=limit))
        return [_history(row) for row in rows]

    async def _past(self, nothing: _T, action: Callable[[Store], _T]) -> _T:
        try:
            return await self.call(action)
        except SessionNotFound:
            return nothing

    async def close(self) -> None:
        """Give up every session and close the database."""
        if self._thread is None:
            return
        if self._store is not None:
            await self.call(lambda store: store.close())
        self._calls.put(None)
        self._thread.join()


def _answering(action: Callable[[], _T]) -> tuple[asyncio.Future[_T], Callable[[], None]]:
    """What to run in another thread, and the future that gets its outcome here."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        try:
            result = action()
        except BaseException as error:  # noqa: BLE001 - the caller's
            loop.call_soon_threadsafe(_fail, answer, error)
        else:
            loop.call_soon_threadsafe(_succeed, answer, result)

    return answer, run


def _succeed(answer: asyncio.Future[_T], result: _T) -> None:
    if not answer.done():  # else whoever waited was cancelled
        answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)


def _open(store: Store, name: str, options: SessionOptions) -> StoredSession:
    from sandbox.store.sessions import New  # noqa: PLC0415

    try:
        return store.open(name, owner=OWNER)
    except SessionNotFound:
        return store.create(New(name, OWNER, options.name or "", None, _stored_options(options)))


def _stored_options(options: SessionOptions) -> dict[str, Any]:
    """What is needed to start its worker again; environment variables may be secret."""
    return dict(msgspec.to_builtins(msgspec.structs.replace(options, env={})))


async def in_a_thread(action: Callable[[], _T]) -> _T:
    """Run what waits for a worker in a thread of its own: slow ones must not use up those that all others share."""
    answer, run = _answering(action)
    threading.Thread(target=run, name="sandbox-transfer", daemon=True).start()
    return await answer


async def uncancelled(work: Coroutine[Any, Any, _T]) -> _T:
    """Await work that has to come to its end: a cancellation of the caller waits until it has."""
    task = asyncio.get_running_loop().create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()


async def _outcome(sending: asyncio.Task[None]) -> OSError | None:
    """How sending has ended: whoever does not take it all has closed the socket."""
    try:
        await sending
    except OSError as error:
        return error
    return None


class _Checkpoint(NamedTuple):
    """What goes with the variables. `workspace`: whose files changed, if they did."""

    record: ExecutionRecord
    outputs: list[Any]
    artifacts: tuple[ArtifactInfo, ...]
    workspace: Workspace | None


def _waiting(fd: int) -> int:
    """How many bytes can be read at once."""
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0])


def _taken(staging: Staging, data: bytes) -> Staging:
    """Take in a delta that is here already. Raises ProtocolError, StoreError."""
    from sandbox.store.staging import Held  # noqa: PLC0415

    source = Held(data)
    try:
        staging.receive(source)
        source.finish()
    except BaseException:
        staging.abort()
        raise
    return staging


def _receive(staging: Staging, size: int, fd: int) -> None:
    """Take in a delta as it arrives. Raises ProtocolError, StoreError."""
    from sandbox.store.staging import Arriving  # noqa: PLC0415

    try:
        staging.receive(Arriving(fd, time.monotonic() + _SILENCE_SECONDS + size / _BYTES_A_SECOND))
    except BaseException:
        staging.abort()
        raise


class Kept:
    """One session's place in the store. Made, and its private methods called, in the store's thread."""

    def __init__(self, thread: StoreThread, store: Store, session: StoredSession) -> None:
        from sandbox.store.session_files import SessionFiles  # noqa: PLC0415

        self._thread, self._store = thread, store
        self.session = session
        self.files: SessionFiles = SessionFiles(store, session)
        self.executions = session.last_execution
        self.lost: tuple[str, ...] = ()
        self.whole = False  # whether the next delta must be all there is
        self._saved_at = self._state_of_head()

    @property
    def restorable(self) -> bool:
        """Whether there are variables to go back to."""
        return "index" in self.session.manifest

    def restored(self) -> StateInfo:
        """What became of the variables when they had to be taken from the last checkpoint."""
        return StateInfo("restored", self.lost, self._saved_at)

    # --- saving ---

    async def save(
        self, finished: ExecutionFinished, code: str, saved: Saved | None, fd: int, workspace: Workspace,
        transcript: Transcript,
    ) -> ExecutionFinished:  # fmt: skip
        """Make a checkpoint of an execution; return how it ended, durable now.

        `saved` announces what the worker sends through `fd`; None if it is gone, and with it what it changed.
        """
        changes = finished.files
        files = workspace.touched or bool(changes.created or changes.modified or changes.deleted)
        workspace.touched = False
        record = _record(finished, code, self._saved_at if saved is None else finished.number)
        made = _Checkpoint(record, transcript.outputs, finished.artifacts, workspace if files else None)
        try:
            not_kept = await self._made(made, saved, fd)
        except (StoreError, OSError) as error:
            self.whole, workspace.touched = True, files
            warning = f"this execution was not saved: {error}"
            return msgspec.structs.replace(finished, warnings=(*finished.warnings, warning))
        if not_kept:
            finished = msgspec.structs.replace(finished, warnings=(*finished.warnings, *_files_not_kept(not_kept)))
        if saved is None:
            return msgspec.structs.replace(finished, state=self.restored()) if self.restorable else finished
        self.whole, self._saved_at = False, finished.number
        self.lost = tuple(lost.name for lost in saved.lost)
        return msgspec.structs.replace(finished, state=msgspec.structs.replace(finished.state, lost_names=self.lost))

    async def _made(self, made: _Checkpoint, saved: Saved | None, fd: int) -> dict[str, str]:
        """Receive what the worker sends, and commit; return the files that cannot be kept, with reasons.

        Raises ProtocolError, StoreError.
        """
        if saved is None or not saved.bytes:
            return await self._thread.call(lambda _store: self._commit(self.session.staging(), made))
        if saved.bytes <= _SMALL and _waiting(fd) >= saved.bytes:
            data = os.read(fd, saved.bytes)
            return await self._thread.call(lambda _store: self._commit(_taken(self.session.staging(), data), made))
        # A worker may be slow, and others want to commit meanwhile.
        staging = await self._thread.call(lambda _store: self.session.staging())
        await in_a_thread(lambda: _receive(staging, saved.bytes, fd))
        return await self._thread.call(lambda _store: self._commit(staging, made))

    def _commit(self, staging: Staging, made: _Checkpoint) -> dict[str, str]:
        not_kept: dict[str, str] = {}
        if made.workspace is not None:
            not_kept = self.files.capture(staging, made.workspace.fd).lost
        if self.whole:
            for key in self.session.manifest:
                if key not in staging.changes and not key.startswith("file/"):
                    staging.drop(key)
        artifacts = stored_artifacts.stage(staging, made.artifacts)
        self.session.commit(staging, execution=made.record, outputs=made.outputs, artifacts=artifacts)
        self.files.committed()
        return not_kept

    # --- going back ---

    async def parts(self) -> Parts:
        """Everything of the head that a worker restores: small parts as bytes, large ones in open packs."""

        def open_parts(store: Store) -> Parts:
            manifest = {key: entry for key, entry in self.session.manifest.items() if not key.startswith("file/")}
            return store.parts(self.session, manifest, verified=False)

        return await self._thread.call(open_parts)

    async def restore(self, worker: Worker) -> None:
        """Have a fresh worker load the head. Raises SandboxStartError if it cannot."""
        from sandbox.engine.restoring import send  # noqa: PLC0415

        with await self.parts() as parts, worker.state.dup() as state:
            sending = asyncio.get_running_loop().create_task(in_a_thread(lambda: send(state, parts)))
            try:
                event = await worker.ask({"do": "restore"}, Restored, seconds=_RESTORE_SECONDS)
            except BaseException:
                worker.kill("its restoring was given up")
                raise
            finally:
                # A descriptor that was closed while it is sent would be another file by then.
                sent = await uncancelled(_outcome(sending))
        if not isinstance(event, Restored) or sent is not None:
            why = event.why if isinstance(event, Gone) else sent
            raise SandboxStartError(
                f"the session {self.session.id!r} could not be restored: {why or 'its worker ended'}; "
                f"`sandbox sessions rollback {self.session.id} TO` goes to an earlier checkpoint"
            )
        self.lost = tuple(lost.name for lost in event.lost)

    async def restore_files(self, workspace: Workspace) -> None:
        """Make the workspace equal to the head."""
        await self._thread.call(lambda _store: self.files.restore(workspace.fd, workspace.owner))

    def _state_of_head(self) -> int:
        """The execution whose variables the head has: not that of a worker that died before it had saved them."""
        from sandbox.engine.timeline import state_of  # noqa: PLC0415

        return state_of(self._store, self.session)

    # --- time travel ---

    async def timeline(self, action: Callable[[Store, StoredSession], _T]) -> _T:
        """Do something with the checkpoints: see `sandbox.engine.timeline`. Raises StoreError."""
        return await self._thread.call(lambda store: action(store, self.session))

    async def checkpoint(self, label: str | None, workspace: Workspace | None) -> None:
        """Save the files as they are now, if they differ, and label the head."""

        def checkpoint(_store: Store) -> None:
            staging = self.session.staging()
            captured = self.files.capture(staging, workspace.fd) if workspace is not None else None
            if (label is not None and self.session.head == 0) or (captured is not None and captured.changed):
                self.session.commit(staging, label=label)
                self.files.committed()
                return
            staging.abort()
            if label is not None:
                self.session.label(self.session.head, label)

        await self._thread.call(checkpoint)

    async def remove_artifacts(self, artifacts: list[ArtifactInfo]) -> None:
        """Forget artifacts for good. Forks that have them keep them."""
        names = [(one.execution, one.name) for one in artifacts]
        await self._thread.call(lambda _store: self.session.remove_artifacts(names))

    async def rollback(self, request: Rollback) -> None:
        """Make an older checkpoint the head. The worker and the workspace are the caller's to bring there."""
        from sandbox.engine import timeline  # noqa: PLC0415

        def rollback(store: Store) -> None:
            self.session.rollback(timeline.find(store, self.session, request))
            self._saved_at = self._state_of_head()

        await self._thread.call(rollback)

    async def fork(self, ids: tuple[str, ...], options: SessionOptions) -> None:
        """Make sessions that begin at the head."""
        from sandbox.store.sessions import New  # noqa: PLC0415

        stored = _stored_options(options)
        await self._thread.call(
            lambda _store: self.session.fork([New(each, OWNER, options.name or "", None, stored) for each in ids])
        )

    # --- the end ---

    async def retire(self, workspace: Workspace | None) -> bool:
        """Save the files as they are now and let others have the session. Return whether everything is stored.

        A session in which nothing has happened is not kept at all.
        """
        saved = True
        try:
            await self.checkpoint(None, workspace)
        except (StoreError, OSError):
            saved = False  # the workspace stays, and the session at its last checkpoint
        await self._thread.call(lambda _store: self._release())
        return saved

    def _release(self) -> None:
        if self.session.head or self.session.last_execution:
            self.session.release()
        else:
            self.session.delete()

    async def delete(self) -> None:
        """Delete it with all its checkpoints."""
        await self._thread.call(lambda _store: self.session.delete())


def _files_not_kept(found: dict[str, str]) -> list[str]:
    """A warning for each of the first, and one for the rest."""
    told = [f"{printable(path)} is not kept: it {why}" for path, why in sorted(found.items())[:_MOST_TOLD]]
    return told if len(found) <= _MOST_TOLD else [*told, f"and {len(found) - _MOST_TOLD} more files are not kept"]


def _record(finished: ExecutionFinished, code: str, state_of: int) -> ExecutionRecord:
    from sandbox.store.history import ExecutionRecord  # noqa: PLC0415

    error = finished.error
    return ExecutionRecord(
        number=finished.number,
        code=code,
        status=finished.status,
        started=finished.started_at,
        seconds=finished.execution_time,
        error_type=error.type if error else None,
        cause=finished.cause.kind if finished.cause else None,
        cache_hit=finished.cache_hit,
        info={
            "state_of": state_of,
            "error": error.message[:_MOST_ERROR] if error else None,
            "artifacts": [artifact.id for artifact in finished.artifacts],
        },
    )


def _history(row: ExecutionRecord) -> HistoryRecord:
    return HistoryRecord(
        number=row.number,
        code=row.code,
        status=row.status,
        started_at=row.started,
        execution_time=row.seconds,
        cache_hit=row.cache_hit,
        error_type=row.error_type,
        error=row.info.get("error"),
        cause=row.cause,
        artifacts=tuple(row.info.get("artifacts", ())),
    )
