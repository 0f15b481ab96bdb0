"""Artifacts of a session."""

from __future__ import annotations

from msgspec import Struct

from sandbox.protocol.base import LastEvent, Request


class ListArtifacts(Request, frozen=True, tag="list_artifacts"):
    """List the session's artifacts, oldest first. Answered by `ArtifactsListed`."""

    session: str


class ReadArtifact(Request, frozen=True, tag="read_artifact"):
    """Read an artifact by its id. Answered by `Data` events and `Done`. `length` None is to the end."""

    session: str
    artifact: str
    offset: int = 0
    length: int | None = None


class RemoveArtifacts(Request, frozen=True, tag="remove_artifacts"):
    """Remove these artifacts, by id; what is none is passed over. Answered by `ArtifactsListed` with the removed."""

    session: str
    ids: tuple[str, ...]


class ArtifactInfo(Struct, frozen=True):
    """A file or figure that an execution produced. `path` is on the engine's machine."""

    id: str
    name: str
    path: str
    mime: str
    size: int
    sha256: str
    created_at: float
    execution: int


class ArtifactsListed(LastEvent, frozen=True, tag="artifacts_listed"):
    """The session's artifacts."""

    artifacts: tuple[ArtifactInfo, ...]
