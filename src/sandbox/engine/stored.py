"""What the store keeps of this engine's sessions. The store blocks, so it has a thread of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from sandbox.errors import SessionNotFound, StoreError
from sandbox.protocol.messages import ExecutionFinished, HistoryRecord, SessionOptions, StateInfo

if TYPE_CHECKING:
    from sandbox.engine.transcript import Transcript
    from sandbox.engine.worker_events import Saved
    from sandbox.engine.workspaces import Workspace
    from sandbox.store.history import ExecutionRecord
    from sandbox.store.parts import Parts
    from sandbox.store.session import StoredSession
    from sandbox.store.session_files import SessionFiles
    from sandbox.store.staging import Staging
    from sandbox.store.store import Store

_T = TypeVar("_T")
OWNER = "local"
_SILENCE_SECONDS = 10.0
_BYTES_A_SECOND = 20e6
_MOST_ERROR = 10_000


class StoreThread:
    """Owns the store, and opens it when it is first needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._store: Store | None = None
        self._executor = ThreadPoolExecutor(1, "sandbox-store")

    async def call(self, action: Callable[[Store], _T]) -> _T:
        """Run `action` in the store's thread. Raises StoreError and what `action` raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, action)

    def _run(self, action: Callable[[Store], _T]) -> _T:
        if self._store is None:
            from sandbox.store.store import Store  # noqa: PLC0415 - only who keeps something pays for it

            self._store = Store(self._directory)
        return action(self._store)

    async def open(self, name: str, options: SessionOptions) -> Kept:
        """Hold a session that is stored, or begin to store it. Raises SessionBusy, StoreError."""
        return await self.call(lambda store: Kept(self, store, _open(store, name, options)))

    async def close(self) -> None:
        """Give up every session and close the database."""

        def close() -> None:
            if self._store is not None:
                self._store.close()

        await asyncio.get_running_loop().run_in_executor(self._executor, close)
        self._executor.shutdown()


def _open(store: Store, name: str, options: SessionOptions) -> StoredSession:
    from sandbox.store.sessions import New  # noqa: PLC0415

    try:
        return store.open(name, owner=OWNER)
    except SessionNotFound:
        new = New(name, OWNER, options.name or "", options=msgspec.to_builtins(msgspec.structs.replace(options, env={})))
        return store.create(new)


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
        self._saved_at = self._execution_of_head()

    @property
    def restorable(self) -> bool:
        """Whether there is a checkpoint to go back to."""
        return self.session.head > 0

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
        staging = await self._thread.call(lambda _store: self.session.staging())
        if saved is not None and saved.bytes:
            await self._receive(staging, saved, fd)
        record = _record(finished, code)
        outputs = transcript.outputs
        files = bool(finished.files.created or finished.files.modified or finished.files.deleted)
        try:
            await self._thread.call(lambda _store: self._commit(staging, record, outputs, workspace if files else None))
        except StoreError as error:
            self.whole = True
            warning = f"this execution was not saved: {error.message}"
            return msgspec.structs.replace(finished, warnings=(*finished.warnings, warning))
        if saved is None:
            return msgspec.structs.replace(finished, state=self.restored())
        self.whole, self._saved_at = False, finished.number
        self.lost = tuple(lost.name for lost in saved.lost)
        return msgspec.structs.replace(finished, state=StateInfo(finished.state.kind, self.lost))

    async def _receive(self, staging: Staging, saved: Saved, fd: int) -> None:
        """Take the delta in. A worker may be slow, so not in the store's thread. Raises ProtocolError, StoreFull."""
        from sandbox.store.staging import Source  # noqa: PLC0415

        deadline = time.monotonic() + _SILENCE_SECONDS + saved.bytes / _BYTES_A_SECOND
        try:
            await asyncio.to_thread(staging.receive, Source(fd, deadline))
        except BaseException:
            staging.abort()
            raise

    def _commit(
        self, staging: Staging, record: ExecutionRecord, outputs: list[Any], workspace: Workspace | None
    ) -> None:
        if workspace is not None:
            self.files.capture(staging, workspace.fd)
        if self.whole:
            for key in self.session.manifest:
                if key not in staging.changes and not key.startswith("file/"):
                    staging.drop(key)
        self.session.commit(staging, execution=record, outputs=outputs)
        self.files.committed()

    # --- going back ---

    async def parts(self) -> Parts:
        """Everything of the head that a worker restores: small parts as bytes, large ones in open packs."""

        def open_parts(store: Store) -> Parts:
            manifest = {key: entry for key, entry in self.session.manifest.items() if not key.startswith("file/")}
            return store.parts(self.session, manifest, verified=False)

        return await self._thread.call(open_parts)

    async def restore_files(self, workspace: Workspace) -> None:
        """Make the workspace equal to the head."""
        await self._thread.call(lambda _store: self.files.restore(workspace.fd, workspace.owner))

    def _execution_of_head(self) -> int:
        return self.executions  # the head is made by the last execution, until somebody goes back

    # --- the past ---

    async def history(self, limit: int) -> list[HistoryRecord]:
        """The last executions, newest first."""
        name = self.session.id
        rows = await self._thread.call(lambda store: store.history(name, owner=OWNER, limit=limit))
        return [_history(row) for row in rows]

    async def release(self) -> None:
        """Let others have it."""
        await self._thread.call(lambda _store: self.session.release())

    async def delete(self) -> None:
        """Delete it with all its checkpoints."""
        await self._thread.call(lambda _store: self.session.delete())


def _record(finished: ExecutionFinished, code: str) -> ExecutionRecord:
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
