"""The store: one directory with a database and packs, shared by the processes of one user on one machine.

Everything here blocks, for the length of a sync of the disk or more. An engine, which must not, has one thread of
its own for a store and gives it calls one by one; what comes from workers is taken in (`Staging.receive`) on other
threads, since a worker may be slow.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandbox.errors import StoreError, StoreFull
from sandbox.store import gc, history, manifest, notebook, sessions, tree
from sandbox.store.database import NAME, Database
from sandbox.store.gc import Freed
from sandbox.store.history import ArtifactRecord, ExecutionRecord, Stats
from sandbox.store.manifest import Manifest, row_id
from sandbox.store.packs import sync_directory
from sandbox.store.parts import Parts, Reader
from sandbox.store.pool import PackPool, Tree
from sandbox.store.retention import Limits
from sandbox.store.session import StoredSession
from sandbox.store.sessions import Lease, New, Origin, SessionInfo
from sandbox.store.staging import Staging
from sandbox.store.steps import reached
from sandbox.store.tree import CheckpointInfo, Difference
from sandbox.store.verify import Report, verify

_FRESH_SECONDS = 1.0
_MB = 1 << 20


class Store:
    """Opens the store in `directory`, making it if there is none. Raises StoreError, StoreDamaged."""

    def __init__(self, directory: Path, limits: Limits = Limits()) -> None:  # noqa: B008 - a tuple
        self.directory, self.limits = directory, limits
        self.packs = directory / "packs"
        _make(directory)
        _make(self.packs)
        self.database = Database(directory / NAME)
        self.pool = PackPool(self.database, self.packs)
        self._open: set[StoredSession] = set()
        self._lock = threading.Lock()
        self._total, self._counted = 0, 0.0
        self.garbage: set[Tree] = set()
        """Trees of which something is not needed any more."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Release every session that is open, and close the database."""
        for session in list(self._open):
            session.release()
        self.pool.close()
        self.database.close()

    # --- sessions -----------------------------------------------------------------------------------------------

    def create(self, new: New) -> StoredSession:
        """Make a session and hold it. Raises SessionExists."""
        with self.database.writing():
            root = sessions.insert_tree(self.database, secrets.token_hex(16), new.owner)
            sessions.insert(self.database, new, root.id, holder=None)
        return self.open(new.id, owner=new.owner)

    def open(self, session: str, *, owner: str, takeover: bool = False) -> StoredSession:
        """Hold a session. Raises SessionNotFound, and SessionBusy unless its holder is dead or `takeover` is set."""
        info = sessions.find(self.database, session, owner)
        lease = sessions.take(self.database, info, takeover=takeover)
        try:
            opened = StoredSession(self, sessions.find(self.database, session, owner), lease)
        except BaseException:
            sessions.release(self.database, lease)
            raise
        self._open.add(opened)
        return opened

    def session(self, session: str, *, owner: str) -> SessionInfo:
        """What is known of a session. Raises SessionNotFound."""
        return sessions.find(self.database, session, owner)

    def sessions(self, owner: str | None = None) -> list[SessionInfo]:
        """Every session, or an owner's; the last used first."""
        return sessions.listing(self.database, owner)

    def fork(self, session: str, new: Sequence[New], checkpoint: int, *, owner: str) -> None:
        """Make sessions that begin where a checkpoint is. They belong to the same owner. Raises SessionExists."""
        with self.database.writing():
            info = sessions.find(self.database, session, owner)
            content = manifest.encode(manifest.load(self.database, info.key, checkpoint))
            for each in new:
                lease = sessions.insert(
                    self.database, each._replace(owner=owner), info.tree.id,
                    origin=Origin(session, checkpoint), holder=None,
                )  # fmt: skip
                self._fork(info, checkpoint, lease, content)
            reached("fork written")

    def _fork(self, info: SessionInfo, checkpoint: int, lease: Lease, content: bytes) -> None:
        self.database.run(
            "INSERT INTO checkpoints VALUES (?, 0, NULL, ?, NULL, 0, ?, NULL)", row_id(lease.key, 1), time.time(),
            content,
        )  # fmt: skip
        self.database.run("UPDATE sessions SET head = 1, next = 2 WHERE key = ?", lease.key)
        sessions.copy_path(self.database, info.key, checkpoint, lease.key)

    # --- checkpoints --------------------------------------------------------------------------------------------

    def checkpoints(self, session: str, *, owner: str) -> list[CheckpointInfo]:
        """Every checkpoint of a session, the oldest first."""
        return tree.listing(self.database, self.session(session, owner=owner).key)

    def find(self, session: str, to: int | str, *, owner: str) -> int:
        """The number of a checkpoint by number or label. Raises CheckpointNotFound."""
        return tree.find(self.database, self.session(session, owner=owner).key, to)

    def manifest(self, session: str, checkpoint: int, *, owner: str) -> Manifest:
        """What a checkpoint has. Raises CheckpointNotFound, StoreDamaged."""
        return manifest.load(self.database, self.session(session, owner=owner).key, checkpoint)

    def parts(self, info: SessionInfo | StoredSession, wanted: Manifest, *, verified: bool = False) -> Parts:
        """Open the parts behind these entries. Raises StoreDamaged. See `Reader.open`."""
        numbers = {key: part for key, entry in wanted.items() if (part := manifest.part_of(entry))}
        return Reader(self.database, self.packs / info.tree.name).open(numbers, verified=verified)

    def diff(self, session: str, old: int, new: int, *, owner: str) -> Difference:
        """Compare two checkpoints by keys and content."""
        key = self.session(session, owner=owner).key
        with self.database.reading():
            manifests = [manifest.load(self.database, key, number) for number in (old, new)]
            return tree.diff(self.database, *manifests)

    def digest(self, session: str, checkpoint: int, *, owner: str) -> bytes:
        """SHA-256 of all that a checkpoint has, but for times. Raises CheckpointNotFound, StoreDamaged."""
        key = self.session(session, owner=owner).key
        with self.database.reading():
            return tree.digest(self.database, manifest.load(self.database, key, checkpoint))

    # --- history ------------------------------------------------------------------------------------------------

    def history(
        self, session: str, *, owner: str, limit: int = 100, before: int | None = None
    ) -> list[ExecutionRecord]:
        """Executions, newest first; `before` a number, for the next page."""
        return history.page(self.database, self.session(session, owner=owner).key, limit, before)

    def outputs(self, session: str, execution: int, *, owner: str) -> list[Any]:
        """What an execution printed and showed."""
        info = self.session(session, owner=owner)
        return history.outputs(self.database, Reader(self.database, self.packs / info.tree.name), info.key, execution)

    def stats(self, session: str, *, owner: str) -> Stats:
        """Figures over a session's executions."""
        return history.stats(self.database, self.session(session, owner=owner).key)

    def artifacts(self, session: str, *, owner: str) -> list[tuple[int, ArtifactRecord]]:
        """Every artifact with the number of its execution."""
        return history.artifacts(self.database, self.session(session, owner=owner).key)

    # --- as one file --------------------------------------------------------------------------------------------

    def export(self, session: str, target: Path, *, owner: str) -> None:
        """Write a session with all its checkpoints into one file. Raises StoreError."""
        from sandbox.store import archive  # noqa: PLC0415 - zip files take 10 ms to import

        archive.export(self.database, self.packs, self.session(session, owner=owner), target)

    def import_session(self, source: Path, *, owner: str, session: str = "") -> str:
        """Make a session of such a file, under its own id unless one is given; return the id.

        Raises ArchiveError if anything in it is not right, SessionExists, StoreFull; then nothing of it is there.
        """
        from sandbox.store.archive_import import Import  # noqa: PLC0415 - as above

        name = secrets.token_hex(16)
        staging = Staging(self.pool.of(Tree(-1, name)), self.room, session)
        try:
            made = Import(self.database, source, self.limits.session_bytes).read(staging, name, New(session, owner))
        except BaseException:
            staging.abort()
            gc.remove_directory(self.database, self.packs / name)
            raise
        staging.close(committed=True)
        self.pool.close(-1)
        return made

    def notebook(self, session: str, *, owner: str, checkpoint: int | None = None) -> bytes:
        """A notebook of the executions that led to a checkpoint (the head by default), with their outputs."""
        info = self.session(session, owner=owner)
        number = info.head if checkpoint is None else tree.find(self.database, info.key, checkpoint)
        language = info.options.get("language", "python")
        return notebook.write(
            self.database, Reader(self.database, self.packs / info.tree.name), info.key, number, language
        )

    # --- upkeep -------------------------------------------------------------------------------------------------

    def gc(self, only: Tree | None = None) -> Freed:
        """Free what nothing needs, of one tree or of all. Raises StoreDamaged."""
        freed = Freed(0, 0)
        rows = self.database.all("SELECT id, name FROM trees")
        for each in (Tree(*row) for row in rows if only is None or row[0] == only.id):
            if not gc.remove_tree(self.database, self.pool, each):
                freed += self.collect(each)
        if only is None:
            self._remove_strays({row[1] for row in self.database.all("SELECT id, name FROM trees")})
        self._counted = 0.0
        return freed

    def collect(self, tree: Tree, *, rewrite: bool = True, stopped: Callable[[], bool] = lambda: False) -> Freed:
        """Free what nothing needs of a tree that has sessions: see `gc.collect`."""
        if rewrite:
            self.garbage.discard(tree)
        freed = gc.collect(self.database, self.pool, tree, rewrite=rewrite, stopped=stopped)
        self._counted = 0.0
        return freed

    def verify(self) -> Report:
        """Read everything that is stored, and say what is damaged and which checkpoints are whole."""
        return verify(self.database, self.packs)

    def tend(self) -> None:
        """For idle moments: makes the commits that come faster, and lets others collect the packs."""
        self.pool.close()
        self.database.tend()
        for session in list(self._open):
            session.quota.tend()

    def due(self, stopped: Callable[[], bool] = lambda: False) -> list[Callable[[], object]]:
        """What takes longer, and may be done in another thread: parts in many pieces, packs that are mostly dead."""
        due: list[Callable[[], object]] = []
        trees = set(self.garbage)
        for session in self._open:
            parts = session.take_fragmented()
            due += [partial(session.consolidate, part) for part in parts]
            trees |= {session.tree} if parts else set()
        return [*due, *(partial(self.collect, tree, stopped=stopped) for tree in trees)]

    def missing(self, more: int) -> int:
        """How many bytes the quota of all sessions lacks for that many more; below 0 if it has some left."""
        if time.monotonic() - self._counted > _FRESH_SECONDS:
            self._total = int(self.database.one("SELECT total(bytes) FROM sessions")[0])
            self._counted = time.monotonic()
        return self._total + more - self.limits.total_bytes

    def room(self, more: int) -> None:
        """Raises StoreFull if that many bytes are more than the quota of all sessions has left."""
        if self.missing(more) > 0:
            limit = self.limits.total_bytes
            raise StoreFull(
                f"the sessions in {self.directory} take {self._total / _MB:.1f} MB, and {more / _MB:.1f} MB more would "
                f"exceed the {limit / _MB:.1f} MB that they may take together: `sandbox sessions` lists them; delete "
                "some with `sandbox sessions rm`, drop checkpoints with `sandbox sessions gc --keep N`, or set "
                "SANDBOX_STORAGE to more MB",
                {"seen": self._total + more, "limit": limit},
            )

    def sweep(self, of: Tree) -> None:
        """After a deletion: remove the tree's packs if it was the last session."""
        gc.remove_tree(self.database, self.pool, of)
        self._counted = 0.0

    def forget(self, session: StoredSession) -> None:
        """A session was closed: nobody here writes to its tree's packs unless another one of it is open."""
        self._open.discard(session)
        if not any(other.tree == session.tree for other in self._open):
            self.pool.close(session.tree.id)

    def _remove_strays(self, known: set[str]) -> None:
        """Remove directories of trees that were deleted by somebody who then died."""
        for path in self.packs.iterdir():
            if path.name not in known and self.database.one("SELECT 1 FROM trees WHERE name = ?", path.name) is None:
                gc.remove_directory(self.database, path)


def _make(directory: Path) -> None:
    """Make a directory that outlasts a power cut, for this user alone."""
    try:
        if not directory.is_dir():
            directory.mkdir(mode=0o700, exist_ok=True)
            sync_directory(directory.parent)
    except OSError as error:
        raise StoreError(f"{directory} cannot be made: {os.strerror(error.errno or 0)}") from error
