"""Artifacts of a server: fetched when somebody looks at them, and kept on this machine while the process lives."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.errors import ProtocolError, SandboxFileNotFoundError
from sandbox.protocol import messages as m
from sandbox.results import Artifact

if TYPE_CHECKING:
    from sandbox.sdk.blocking import Blocking


class Fetched:
    """A directory with what was fetched, removed when nobody can look at it any more."""

    def __init__(self, blocking: Blocking) -> None:
        self._blocking = blocking
        self._lock = threading.Lock()
        self._top: Path | None = None

    def directory(self, session: str) -> Path:
        """Where a session's artifacts are."""
        with self._lock:
            if self._top is None:
                self._top = Path(tempfile.mkdtemp(prefix="sandbox-artifacts-"))
                weakref.finalize(self, shutil.rmtree, self._top, ignore_errors=True)
        found = self._top / session
        found.mkdir(mode=0o700, exist_ok=True)
        return found

    def path(self, session: str, artifact: Artifact) -> Path:
        """Where an artifact is now; fetched, if it was not. Of one that was removed, where it would be.

        Raises SandboxConnectionError.
        """
        target = self.directory(session).joinpath(*_checked(artifact.id))
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".part-{os.urandom(6).hex()}")
            try:
                with part.open("xb") as file:
                    for event in self._blocking.stream(m.ReadArtifact(session, artifact.id)):
                        if isinstance(event, m.Data):
                            file.write(event.data)
                part.replace(target)
            except SandboxFileNotFoundError:
                return target  # as of one here: whoever opens it finds that it is gone
            finally:
                part.unlink(missing_ok=True)
        return target

    def forget(self, session: str, artifact: Artifact) -> None:
        """Remove what was fetched of an artifact."""
        self.directory(session).joinpath(*_checked(artifact.id)).unlink(missing_ok=True)


class RemoteArtifact(Artifact):
    """An artifact on a server. `path`, and all that reads it, fetches it first, once."""

    def __init__(self, info: m.ArtifactInfo, session: str, fetched: Fetched) -> None:
        values: dict[str, Any] = {
            "id": info.id, "name": info.name, "mime": info.mime, "size": info.size, "sha256": info.sha256,
            "created_at": datetime.fromtimestamp(info.created_at, UTC), "execution": info.execution,
            "_session": session, "_fetched": fetched,
        }  # fmt: skip
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def path(self) -> Path:
        """Where it is on this machine."""
        fetched: Fetched = self.__dict__["_fetched"]
        return fetched.path(self.__dict__["_session"], self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Artifact) and (self.id, self.sha256) == (other.id, other.sha256)

    def __hash__(self) -> int:
        return hash((self.id, self.sha256))

    def __repr__(self) -> str:
        return f"RemoteArtifact({self.id!r}, {self.mime}, {self.size} bytes)"


def _checked(name: str) -> list[str]:
    """The parts of an artifact's id, none of which leads elsewhere. Raises ProtocolError."""
    parts = name.split("/")
    if {"", ".", ".."} & set(parts) or "\0" in name:
        raise ProtocolError(f"the server has an artifact of the name {name[:200]!r}")
    return parts
