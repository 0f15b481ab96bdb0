"""The workspace of a session that this process holds: what is unchanged is told by marks and not read again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sandbox.beneath import Owner
from sandbox.store.files import Captured, Marks, capture
from sandbox.store.manifest import Entry, FileEntry
from sandbox.store.parts import rows
from sandbox.store.records import FILES
from sandbox.store.restoring import Restoration, wanted_files
from sandbox.store.staging import Staging
from sandbox.store.workspace import Survey, key_of, path_of, survey

if TYPE_CHECKING:
    from sandbox.store.session import StoredSession
    from sandbox.store.store import Store


class SessionFiles:
    """Captures into the next checkpoint and restores from any. One workspace for one object."""

    def __init__(self, store: Store, session: StoredSession) -> None:
        self._store, self._session = store, session
        self._marks: Marks = {}
        self._known: dict[str, FileEntry] = {}
        self._pending: Captured | None = None
        self._manifest = session.manifest

    def capture(self, staging: Staging, directory: int, now: Survey | None = None) -> Captured:
        """Stage what changed in the workspace behind the descriptor `directory`. `committed` comes after the commit.

        What is not kept is named with the reason in `lost`; files for which there is no room are.
        """
        now = survey(directory) if now is None else now
        if self._manifest is not self._session.manifest:
            # The session went elsewhere, and this workspace did not come with it: nothing is known to be as it was.
            self._marks, self._known, self._manifest = {}, {}, self._session.manifest
        self._pending = capture(staging, directory, now, self._session.manifest, self._marks, self._digest)
        return self._pending

    def committed(self) -> None:
        """The staging that was captured into is a checkpoint now."""
        if self._pending is not None:
            if self._pending.changed:
                self._known = _files(self._session.manifest)
            self._marks, self._pending = self._pending.marks, None

    def restore(self, directory: int, owner: Owner, *, verified: bool = False) -> list[str]:
        """Make the directory equal to the session's head; return the paths that were touched.

        Raises StoreDamaged before anything is touched, and StoreError if the directory cannot be written.
        """
        manifest = self._session.manifest
        wanted = wanted_files(manifest)
        keys = {path: key_of(path) for path in wanted}
        contents = {key: manifest[key] for key in keys.values()}
        with self._store.parts(self._session, contents, verified=verified) as parts:
            work = Restoration(directory, owner, parts, self._digest, self._known, self._marks)
            self._marks, self._known = {}, {}  # until it is done, nothing is known of what is there
            self._marks = work.make(keys, wanted)
        self._known, self._pending, self._manifest = wanted, None, manifest
        return work.touched

    def _digest(self, part: int) -> bytes:
        return rows(self._session.database, [part])[part].digest if part else b""


def _files(manifest: Mapping[str, Entry]) -> dict[str, FileEntry]:
    return {
        path_of(key): entry for key, entry in manifest.items() if key.startswith(FILES) and isinstance(entry, FileEntry)
    }
