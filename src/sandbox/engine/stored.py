"""A session's place in the store: saving what an execution changed, and going back."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from sandbox.engine import stored_artifacts
from sandbox.engine.animations import records
from sandbox.engine.begun import Begun, settled
from sandbox.engine.languages import PYTHON
from sandbox.engine.scan import printable
from sandbox.engine.waiting import in_a_thread, uncancelled
from sandbox.engine.worker_events import Gone, Restored
from sandbox.errors import SandboxStartError, SessionNotFound, StoreError
from sandbox.protocol.messages import (
    ArtifactInfo,
    ExecutionFinished,
    Rollback,
    SessionOptions,
    StateInfo,
)

if TYPE_CHECKING:
    from sandbox.engine.store_thread import StoreThread
    from sandbox.engine.transcript import Transcript
    from sandbox.engine.worker import Worker
    from sandbox.engine.worker_events import Saved
    from sandbox.engine.workspaces import Workspace
    from sandbox.store.history import ExecutionRecord
    from sandbox.store.parts import Parts
    from sandbox.store.session import StoredSession
    from sandbox.store.session_files import SessionFiles
    from sandbox.store.staging import Staging
    from sandbox.store.store import Store

_T = TypeVar("_T")
_SMALL = 128 * 1024
_SILENCE_SECONDS = 10.0
_BYTES_A_SECOND = 20e6
_MOST_ERROR = 10_000
_MOST_TOLD = 5
_NO_MEMORY = "that takes more memory than is left"  # as workers say it
_RESTORE_SECONDS = 120.0


async def open_kept(thread: StoreThread, name: str, owner: str, options: SessionOptions) -> Kept:
    """Hold a session that is stored, or begin to store it. Raises SessionBusy, SessionExists, StoreError."""
    return await thread.call(lambda store: Kept(thread, store, *_open(store, name, owner, options)))


def _open(store: Store, name: str, owner: str, options: SessionOptions) -> tuple[StoredSession, Begun]:
    """The session, and what it was begun with."""
    from sandbox.store.sessions import New  # noqa: PLC0415

    try:
        stored = store.session(name, owner=owner).options
        begun = Begun(stored.get("language") or PYTHON, stored.get("seed"), stored.get("files_of"))
        settled(name, options, begun)
        session = store.open(name, owner=owner)
    except SessionNotFound:
        options = settled(name, options, None)
        begun = Begun(options.language or PYTHON, options.seed, options.files_of)
        session = store.create(New(name, owner, options.name or "", None, _stored_options(options)))
    own = store.limits.session_bytes if options.storage is None else options.storage << 20
    session.quota.limits = store.limits._replace(session_bytes=own, drop_oldest=True, checkpoints=options.checkpoints)
    return session, begun


def _stored_options(options: SessionOptions) -> dict[str, Any]:
    """What is needed to start its worker again; environment variables may be secret."""
    return dict(msgspec.to_builtins(msgspec.structs.replace(options, env={}, secrets=())))


async def _outcome(sending: asyncio.Task[None]) -> OSError | None:
    """How sending has ended: whoever does not take it all has closed the socket."""
    try:
        await sending
    except OSError as error:
        return error
    return None


class _Checkpoint(NamedTuple):
    """What goes with the variables, if they were `saved`. `workspace`: whose files changed, if they did."""

    record: ExecutionRecord
    outputs: list[Any]
    artifacts: tuple[ArtifactInfo, ...]
    workspace: Workspace | None
    saved: bool


def _waiting(fd: int) -> int:
    """How many bytes can be read at once."""
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0])


def most_saved(memory: int) -> int:
    """How many bytes a worker with that many MB can have to save: what is shared by pages can be written down twice."""
    return 2 * memory << 20


def _is_here(saved: Saved, fd: int) -> bool:
    """Whether a delta need not be waited for."""
    return not saved.bytes or (saved.bytes <= _SMALL and _waiting(fd) >= saved.bytes)


def _taken(staging: Staging, data: bytes) -> Staging:
    """Take in a delta that is here already. Raises ProtocolError, StoreError."""
    from sandbox.store.staging import Held  # noqa: PLC0415

    try:
        staging.receive(Held(data))
    except BaseException:
        staging.abort()
        raise
    return staging


def _receive(staging: Staging, size: int, fd: int) -> None:
    """Take in a delta as it arrives. Raises ProtocolError, StoreError."""
    from sandbox.store.staging import Arriving  # noqa: PLC0415

    try:
        staging.receive(Arriving(fd, size, time.monotonic() + _SILENCE_SECONDS + size / _BYTES_A_SECOND))
    except BaseException:
        staging.abort()
        raise


class Kept:
    """One session's place in the store. Made, and its private methods called, in the store's thread."""

    def __init__(self, thread: StoreThread, store: Store, session: StoredSession, begun: Begun) -> None:
        from sandbox.store.session_files import SessionFiles  # noqa: PLC0415

        self._thread, self._store = thread, store
        self.session = session
        self.begun = begun
        self.files: SessionFiles = SessionFiles(store, session)
        self.executions = session.last_execution
        self.lost: tuple[str, ...] = ()
        self.whole = False  # whether the next delta must be all there is
        self.untried = False  # whether something in the head has not been seen to load
        self._saved_at = self._state_of_head()

    @property
    def restorable(self) -> bool:
        """Whether there are variables to go back to."""
        return "index" in self.session.manifest

    def restored(self) -> StateInfo:
        """What became of the variables when they had to be taken from the last checkpoint."""
        return StateInfo("restored", self.lost, self._saved_at)

    # --- saving ---

    def save_now(
        self, finished: ExecutionFinished, code: str, saved: Saved, fd: int, workspace: Workspace,
        transcript: Transcript,
    ) -> ExecutionFinished | None:  # fmt: skip
        """As `save`, in the thread of the caller and at once; None if it may take longer than a small commit."""
        if finished.artifacts or self._files_changed(finished, workspace) or not _is_here(saved, fd):
            return None
        with self._thread.claimed() as claimed:
            if not claimed:
                return None
            made = _Checkpoint(_record(finished, code, finished.number), transcript.outputs, (), None, saved=True)
            try:
                self._commit(self._taken(saved, fd), made)
            except (StoreError, OSError) as error:
                return self._not_saved(finished, error)
        return self._told(finished, saved)

    async def save(
        self, finished: ExecutionFinished, code: str, saved: Saved | None, fd: int, workspace: Workspace,
        transcript: Transcript,
    ) -> ExecutionFinished:  # fmt: skip
        """Make a checkpoint of an execution; return how it ended, durable now.

        `saved` announces what the worker sends through `fd`; None if it is gone, and with it what it changed.
        Raises ProtocolError.
        """
        files = self._files_changed(finished, workspace)
        record = _record(finished, code, self._saved_at if saved is None else finished.number)
        changed = workspace if files else None
        made = _Checkpoint(record, transcript.outputs, finished.artifacts, changed, saved=saved is not None)
        try:
            not_kept = await self._made(made, saved, fd)
        except (StoreError, OSError) as error:
            workspace.touched |= files
            return self._not_saved(finished, error)
        return self._told(_warned_of(not_kept, finished), saved)

    async def save_beside(
        self, finished: ExecutionFinished, code: str, workspace: Workspace, transcript: Transcript
    ) -> ExecutionFinished:
        """As `save`, of an execution that had no part in the variables: they stay those of the head."""
        files = self._files_changed(finished, workspace)
        changed = workspace if files else None
        record = _record(finished, code, self._saved_at)
        made = _Checkpoint(record, transcript.outputs, finished.artifacts, changed, saved=False)
        try:
            not_kept = await self._made(made, None, -1)
        except (StoreError, OSError) as error:
            workspace.touched |= files
            return _with(finished, f"this execution was not saved: {error}")
        return _warned_of(not_kept, finished)

    def _files_changed(self, finished: ExecutionFinished, workspace: Workspace) -> bool:
        """Whether there are files for the next checkpoint. Those of another session are in the other's."""
        changes = finished.files
        changed = workspace.touched or bool(changes.created or changes.modified or changes.deleted)
        return changed and self.begun.files_of is None

    def _told(self, finished: ExecutionFinished, saved: Saved | None) -> ExecutionFinished:
        if saved is None:
            return msgspec.structs.replace(finished, state=self.restored()) if self.restorable else finished
        self.whole, self._saved_at, self.untried = False, finished.number, saved.untried
        known, self.lost = set(self.lost), tuple(lost.name for lost in saved.lost)
        if not self.lost:
            return finished
        if short := sorted({one.name for one in saved.lost if _NO_MEMORY in one.reason} - known):
            names = printable(", ".join(short[:_MOST_TOLD]))
            warning = f"{names} could not be saved: {_NO_MEMORY}; delete what is not needed, or raise memory="
            finished = msgspec.structs.replace(finished, warnings=(*finished.warnings, warning))
        return msgspec.structs.replace(finished, state=msgspec.structs.replace(finished.state, lost_names=self.lost))

    def _not_saved(self, finished: ExecutionFinished, error: Exception) -> ExecutionFinished:
        self.whole = True
        return _with(finished, f"this execution was not saved: {error}")

    async def amend(self, saved: Saved, fd: int) -> None:
        """Change the head by what a worker sends, before anybody is told of it. Raises ProtocolError, StoreError."""
        staging = await self._thread.call(lambda _store: self.session.staging())
        await in_a_thread(lambda: _receive(staging, saved.bytes, fd))
        await self._thread.call(lambda _store: self.session.amend(staging))

    async def _made(self, made: _Checkpoint, saved: Saved | None, fd: int) -> dict[str, str]:
        """Receive what the worker sends, and commit; return the files that cannot be kept, with reasons.

        Raises ProtocolError, StoreError.
        """
        if saved is None:
            return await self._thread.call(lambda _store: self._commit(self.session.staging(), made))
        if _is_here(saved, fd):
            return await self._thread.call(lambda _store: self._commit(self._taken(saved, fd), made))
        # A worker may be slow, and others want to commit meanwhile.
        staging = await self._thread.call(lambda _store: self.session.staging())
        await in_a_thread(lambda: _receive(staging, saved.bytes, fd))
        return await self._thread.call(lambda _store: self._commit(staging, made))

    def _taken(self, saved: Saved, fd: int) -> Staging:
        """What of a delta that `_is_here` the next checkpoint has. Raises ProtocolError, StoreError."""
        staging = self.session.staging()
        return _taken(staging, os.read(fd, saved.bytes)) if saved.bytes else staging

    def _commit(self, staging: Staging, made: _Checkpoint) -> dict[str, str]:
        not_kept: dict[str, str] = {}
        if made.workspace is not None:
            made.workspace.touched = False
            not_kept = self.files.capture(staging, made.workspace.fd).lost
        if self.whole and made.saved:
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

    async def restore(self, worker: Worker, *, as_bytes: bool = False) -> None:
        """Have a fresh worker load the head; see `restoring.send`. Raises SandboxStartError if it cannot."""
        from sandbox.engine.restoring import send  # noqa: PLC0415

        with await self.parts() as parts, worker.state.dup() as state:
            sending = asyncio.get_running_loop().create_task(in_a_thread(lambda: send(state, parts, as_bytes=as_bytes)))
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

    @property
    def has_files(self) -> bool:
        """Whether the head has files of the workspace."""
        return any(key.startswith("file/") for key in self.session.manifest)

    async def copy_files(self, workspace: Workspace) -> None:
        """Make a workspace that is not the session's equal to the head."""
        from sandbox.store.session_files import SessionFiles  # noqa: PLC0415

        def copy(store: Store) -> None:
            SessionFiles(store, self.session).restore(workspace.fd, workspace.owner)

        await self._thread.call(copy)

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
        """Save the files as they are now, if they differ, and label the head. Raises StoreError."""

        def checkpoint(_store: Store) -> None:
            staging = self.session.staging()
            captured = None
            if workspace is not None:
                workspace.touched = False
                captured = self.files.capture(staging, workspace.fd)
            if (label is not None and self.session.head == 0) or (captured is not None and captured.changed):
                self.session.commit(staging, label=label)
                self.files.committed()
                return
            staging.abort()
            if label is not None:
                self.session.label(self.session.head, label)

        try:
            await self._thread.call(checkpoint)
        except BaseException:
            if workspace is not None:
                workspace.touched = True
            raise

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

        stored, owner = _stored_options(options), self.session.owner
        await self._thread.call(
            lambda _store: self.session.fork([New(each, owner, options.name or "", None, stored) for each in ids])
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


def _with(finished: ExecutionFinished, *warnings: str) -> ExecutionFinished:
    return msgspec.structs.replace(finished, warnings=(*finished.warnings, *warnings))


def _warned_of(not_kept: dict[str, str], finished: ExecutionFinished) -> ExecutionFinished:
    return _with(finished, *_files_not_kept(not_kept)) if not_kept else finished


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
            **({"request_id": finished.request_id} if finished.request_id else {}),
            **({"animations": records.written(finished.animations)} if finished.animations else {}),
        },
    )
