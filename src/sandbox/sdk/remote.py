"""Sandboxes on a server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sandbox.options import SandboxOptions
from sandbox.sdk.fetched import Fetched, RemoteArtifact
from sandbox.sdk.servers import client_of
from sandbox.sdk.session import SessionSandbox

if TYPE_CHECKING:
    from sandbox.protocol import messages as m
    from sandbox.results import Artifact


class RemoteSandbox(SessionSandbox):
    """An isolated, stateful session on a server, in Python unless told otherwise. Options: see `SandboxOptions`.

    Args:
        server_url: Where the server is; $SANDBOX_URL, or http://127.0.0.1:5555, if left out.
        api_key: A key of that server; $SANDBOX_API_KEY if left out.
        name: The sandbox's name, or a whole `SandboxOptions`; keywords go before what those say.
        session_id: A session that is there already, or is to have this id.
        options: The rest of the options.

    It has every method of a LocalSandbox, and raises the same errors; SandboxConnectionError if the server cannot be
    reached, SandboxAccessError if it does not accept the key, SandboxQuotaError if the key has no room for this.
    An execution does not end with a lost connection: what was missed of its output comes when there is one again.
    """

    def __init__(
        self,
        server_url: str | None = None,
        api_key: str | None = None,
        name: str | SandboxOptions | None = None,
        *,
        session_id: str | None = None,
        **options: Any,
    ) -> None:
        given = name.__dict__ if isinstance(name, SandboxOptions) else {"name": name}
        self._client = client_of(server_url, api_key)
        self._server = server_url, api_key
        super().__init__(self._client, session_id, {**given, **options})
        self._fetched = Fetched(self._blocking)

    @classmethod
    def create(
        cls,
        server_url: str | None = None,
        api_key: str | None = None,
        name: str | SandboxOptions | None = None,
        **options: Any,
    ) -> Self:
        """Return a sandbox, for `async with` or `await`."""
        return cls(server_url, api_key, name, **options)

    def _sibling(self, session_id: str) -> Self:
        url, key = self._server
        return type(self)(url, key, session_id=session_id, **self.options.__dict__)

    def _artifact(self, info: m.ArtifactInfo) -> Artifact:
        return RemoteArtifact(info, self.session_id, self._fetched)

    def remove_artifacts(self, artifacts: Iterable[Artifact | str]) -> list[Artifact]:
        """Remove artifacts of the session; see `LocalSandbox.remove_artifacts`. What was fetched of them goes too."""
        removed = super().remove_artifacts(artifacts)
        for artifact in removed:
            self._fetched.forget(self.session_id, artifact)
        return removed

    @property
    def artifacts_dir(self) -> Path:
        """Where the artifacts of this session are on this machine, until the process ends. Fetches the missing ones."""
        for artifact in self.list_artifacts():
            self._fetched.path(self.session_id, artifact)
        return self._fetched.directory(self.session_id)
