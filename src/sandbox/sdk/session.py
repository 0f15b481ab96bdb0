"""Sandboxes with their session's past and checkpoints: what local and remote ones have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.results import Artifact
from sandbox.sdk import checks
from sandbox.sdk.blocking import Blocking
from sandbox.sdk.python import PythonSandbox
from sandbox.sdk.timeline import Timeline
from sandbox.sdk.transport import Carried

if TYPE_CHECKING:
    from sandbox.sdk.transport import Carrier


class SessionSandbox(Timeline, PythonSandbox):
    """A sandbox whose requests a carrier takes: an engine in this process, or a client of a server.

    The methods without `async` wait in the calling thread, and may be called inside a running event loop.
    """

    def __init__(self, carrier: Carrier | None, session_id: str | None, options: dict[str, Any]) -> None:
        super().__init__(Carried(carrier), session_id, **options)
        self._blocking = Blocking(carrier)

    @property
    def session_id(self) -> str:
        """The session's identity, also after `stop`."""
        return self._known.session

    @property
    @abstractmethod
    def artifacts_dir(self) -> Path:
        """Where the artifacts of this session are, until the process ends."""

    def list_artifacts(self) -> list[Artifact]:
        """Return the session's artifacts, oldest first."""
        return [self._artifact(info) for info in self._blocking.artifacts(self.session_id)]

    def remove_artifacts(self, artifacts: Iterable[Artifact | str]) -> list[Artifact]:
        """Remove artifacts of the session, given as they are listed or by id; return those that were removed.

        The files that they are copies of stay in the workspace. What is no artifact of the session is passed over.
        """
        ids = tuple(one.id if isinstance(one, Artifact) else checks.text("artifacts", one) for one in artifacts)
        return [self._artifact(info) for info in self._blocking.remove_artifacts(self.session_id, ids)]

    def get_performance_stats(self) -> dict[str, Any]:
        """Return counts and averages of the session's executions; see PersistentExecutionContext."""
        return self._blocking.stats(self.session_id)

    def get_execution_history(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the last executions, newest first."""
        return self._blocking.history(self.session_id, checks.whole("limit", limit))

    def clear_cache(self) -> None:
        """Forget compiled code."""
        self._blocking.clear_cache(self.session_id)

    def cleanup_session(self) -> None:
        """Delete the session: worker, workspace, artifacts and history."""
        self._blocking.delete(self._deleted())
