"""A session that this process holds: the only way to write to one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sandbox.errors import StoreFull, UsageError
from sandbox.store import commit as commits
from sandbox.store import history, manifest, retention, sessions, tree
from sandbox.store.consolidate import consolidate
from sandbox.store.history import ArtifactRecord, ExecutionRecord
from sandbox.store.manifest import Manifest, row_id
from sandbox.store.quota import Quota
from sandbox.store.sessions import New, SessionInfo
from sandbox.store.staged import StagedPart
from sandbox.store.staging import LARGE, Staging
from sandbox.store.steps import reached

if TYPE_CHECKING:
    from sandbox.store.store import Store

_ROW = 512
# Commits of which each has left a part in too many pieces, before one of them mends that itself.
_MOST_FRAGMENTED = 64
MOST_PARTS = 400_000
"""Of a checkpoint: its manifest is in memory, and what a worker says grows it."""


class StoredSession:
    """Holds the lease until `release`. Used by one thread at a time; a `Staging` may be filled by another."""

    def __init__(self, store: Store, info: SessionInfo, lease: sessions.Lease) -> None:
        self._store, self._lease = store, lease
        self.database = store.database
        self.id, self.owner, self.tree = info.id, info.owner, info.tree
        self.key = info.key
        self._next = info.next
        self.quota = Quota(store, self, info.bytes)
        self._fragmented: list[int] = []
        self._open(info.head)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    @property
    def head(self) -> int:
        """The checkpoint that the session is at; 0 before the first."""
        return self._parent.number

    @property
    def made(self) -> int:
        """The number of the newest checkpoint; 0 if there never was one."""
        return self._next - 1

    @property
    def manifest(self) -> Manifest:
        """The head's. Not to be changed."""
        return self._parent.manifest

    @property
    def last_execution(self) -> int:
        """The highest number of an execution so far; 0 if there is none."""
        return history.last(self.database, self.key)

    @property
    def packs(self) -> Path:
        """The directory of the packs of the session's tree."""
        return self._store.packs / self.tree.name

    def staging(self) -> Staging:
        """Begin to collect what the next checkpoint changes."""
        return Staging(self._store.pool.of(self.tree), self.quota.room, self.id)

    def commit(
        self, staging: Staging | None = None, *, execution: ExecutionRecord | None = None, outputs: Sequence[Any] = (),
        artifacts: Sequence[tuple[ArtifactRecord, StagedPart]] = (), label: str | None = None,
    ) -> int:  # fmt: skip
        """Make a checkpoint on top of the head; return its number. It is durable then, or nothing of it is there.

        The staging is used up in either case. Raises StoreFull, SessionTaken, ProtocolError, StoreError.
        """
        staging = staging or self.staging()
        try:
            self._check_count(staging)
            encoded = history.encode_outputs(outputs)
            part = staging.other(encoded) if encoded is not None and len(encoded) >= LARGE else None
            self.quota.room(staging.stored + _ROW + len(encoded or b""))
            if self.quota.overdue():
                self.quota.tend()
            if len(self._fragmented) > _MOST_FRAGMENTED:
                self.tend()
            staging.sync()
            checkpoint = commits.Checkpoint(
                self.head,
                time.time(),
                label and history.text(label),
                execution,
                None if part else encoded,
                part,
                artifacts,
            )
            return self._commit(staging, checkpoint)
        except BaseException:
            staging.abort()
            raise

    def _commit(self, staging: Staging, checkpoint: commits.Checkpoint) -> int:
        number, writer = self._next, commits.Writer(self.database, self.tree, staging, self.manifest)
        stored = staging.stored + _ROW + len(checkpoint.outputs or b"")
        with self.database.writing():
            reached("commit begun")
            sessions.update(
                self.database, self._lease, "head = ?, next = ?, bytes = bytes + ?, used = ?",
                number, number + 1, stored, checkpoint.made,
            )  # fmt: skip
            written = commits.write(self.database, self.key, number, writer, checkpoint, self._parent)
            reached("commit written")
            staging.named = True
        reached("commit done")
        if staging.pack is not None:
            staging.pack.id = writer.pack
        staging.close(committed=True)
        self._moved(number, written)
        self.quota.used += stored
        return number

    def amend(self, staging: Staging) -> None:
        """Change the head itself, of which nobody has been told yet. Durable then, or it is as it was.

        The staging is used up in either case. Raises StoreFull, SessionTaken, ProtocolError, StoreError.
        """
        try:
            self._check_count(staging)
            self.quota.room(staging.stored + _ROW)
            staging.sync()
            writer = commits.Writer(self.database, self.tree, staging, self.manifest)
            stored = staging.stored + _ROW
            with self.database.writing():
                sessions.update(self.database, self._lease, "bytes = bytes + ?", stored)
                delta = commits.amend(self.database, self.tree, row_id(self.key, self.head), writer)
                reached("amendment written")
                staging.named = True
        except BaseException:
            staging.abort()
            raise
        if staging.pack is not None:
            staging.pack.id = writer.pack
        staging.close(committed=True)
        manifest.apply(self.manifest, delta)
        self._fragmented += writer.fragmented
        self.quota.used += stored

    def _moved(self, number: int, written: commits.Written) -> None:
        manifest.apply(self.manifest, written.delta)
        self._fragmented += written.fragmented
        self._next = number + 1
        self._parent = commits.Parent(number, self.manifest, written.chain)

    def rollback(self, to: int | str) -> int:
        """Make an older checkpoint (number or label) the head; the newer ones stay in the tree. Return its number."""
        number = tree.find(self.database, self.key, to)
        with self.database.writing():
            sessions.update(self.database, self._lease, "head = ?, used = ?", number, time.time())
            reached("rollback written")
        self._open(number)
        return number

    def label(self, number: int, text: str | None) -> None:
        """Give a checkpoint a label, which also protects it from being dropped to make room, or take it away."""
        tree.find(self.database, self.key, number)
        with self.database.writing():
            sessions.update(self.database, self._lease, "used = ?", time.time())
            self.database.run(
                "UPDATE checkpoints SET label = ? WHERE id = ?", text and history.text(text), row_id(self.key, number)
            )

    def rename(self, *, name: str | None = None, label: str | None = None) -> None:
        """Change the session's name or label."""
        with self.database.writing():
            sessions.update(
                self.database,
                self._lease,
                "name = coalesce(?, name), label = coalesce(?, label)",
                name and history.text(name),
                label and history.text(label),
            )

    def remove_artifacts(self, names: Sequence[tuple[int, str]]) -> None:
        """Remove artifacts, each named by its execution and its name. `Store.gc` frees the disk."""
        with self.database.writing():
            sessions.update(self.database, self._lease, "used = ?", time.time())
            retention.delete_artifacts(self.database, self.key, self.tree, names)

    def fork(self, new: Sequence[New], checkpoint: int | str | None = None) -> None:
        """Make sessions that begin where this one's checkpoint (the head by default) is, and share its parts."""
        number = self.head if checkpoint is None else tree.find(self.database, self.key, checkpoint)
        self._store.fork(self.id, new, number, owner=self.owner)

    def drop(self, numbers: Sequence[int], *, outputs: bool = False) -> None:
        """Drop checkpoints: not the head. What later ones need stays. `Store.gc` frees the disk.

        With `outputs` what their executions printed and showed goes too.
        """
        if self.head in numbers:
            raise UsageError(f"checkpoint {self.head} is the head of the session: roll back first, or keep it")
        with self.database.writing():
            sessions.update(self.database, self._lease, "used = ?", time.time())
            retention.drop(self.database, self.key, self.tree, numbers, outputs=outputs)
        self._store.garbage.add(self.tree)
        self._open(self.head)

    def tend(self) -> None:
        """For idle moments: bring parts that are in many pieces into one. It may take long."""
        for part in self.take_fragmented():
            self.consolidate(part)

    def take_fragmented(self) -> list[int]:
        """The head's parts that earlier commits have left in too many pieces, to be told once."""
        found, self._fragmented = self._fragmented, []
        return [part for part in found if part in manifest.parts_of(self.manifest)] if found else []

    def consolidate(self, part: int) -> None:
        """Bring a part into one piece, in any thread. Without room, or when it is damaged, it stays as it is."""
        staging = Staging(self._store.pool.of(self.tree), self._store.room, self.id)
        if consolidate(self.database, staging, self.packs, part):
            self._store.garbage.add(self.tree)

    def release(self) -> None:
        """Give up the lease. Does nothing the second time."""
        self._store.forget(self)
        sessions.release(self.database, self._lease)

    def delete(self) -> None:
        """Delete the session with all its checkpoints; forks keep what they share."""
        with self.database.writing():
            sessions.require(self.database, self._lease)
            retention.delete_session(self.database, self.key, self.tree)
            reached("delete written")
        self._store.forget(self)
        self._store.sweep(self.tree)

    # --- within -------------------------------------------------------------------------------------------------

    def _open(self, head: int) -> None:
        self._parent = commits.Parent(head, manifest.load(self.database, self.key, head), self._chain(head))

    def _chain(self, number: int) -> int:
        row = self.database.one("SELECT chain FROM checkpoints WHERE id = ?", row_id(self.key, number))
        return row[0] if row else 0

    def _check_count(self, staging: Staging) -> None:
        if len(self.manifest) + len(staging.changes) > MOST_PARTS:
            raise StoreFull(f"the session {self.id!r} would have more than {MOST_PARTS} variables and files")
