"""Sandboxes on this machine."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sandbox.options import SandboxOptions
from sandbox.results import Artifact
from sandbox.sdk import checks
from sandbox.sdk.blocking import Blocking
from sandbox.sdk.python import PythonSandbox
from sandbox.sdk.timeline import Timeline
from sandbox.sdk.transport import InProcess

if TYPE_CHECKING:
    from sandbox.core.execution_context import PersistentExecutionContext
    from sandbox.engine.thread import EngineThread

_warned = False


class LocalSandbox(Timeline, PythonSandbox):
    """An isolated, stateful Python session on this machine. Options: see `SandboxOptions`.

    The first argument is the sandbox's name, or a whole `SandboxOptions`; keywords go before what those say.
    The methods without `async` may be called inside a running event loop: the engine has a thread of its own.
    """

    def __init__(
        self,
        name: str | SandboxOptions | None = None,
        *,
        session_id: str | None = None,
        engine: EngineThread | None = None,
        **options: Any,
    ) -> None:
        given = name.__dict__ if isinstance(name, SandboxOptions) else {"name": name}
        super().__init__(InProcess(engine), session_id, **{**given, **options})
        self._blocking = Blocking(engine)
        self._engine = engine
        self._execution_context: PersistentExecutionContext | None = None

    @classmethod
    def create(cls, name: str | SandboxOptions | None = None, **options: Any) -> Self:
        """Return a sandbox, for `async with` or `await`."""
        return cls(name, **options)

    @property
    def session_id(self) -> str:
        """The session's identity, also after `stop`."""
        return self._known.session

    def _sibling(self, session_id: str) -> Self:
        return type(self)(session_id=session_id, engine=self._engine, **self.options.__dict__)

    async def start(self) -> Self:
        """Open the session. Raises SandboxStartError, saying what is missing, if this machine has no isolation."""
        if self._execution_context is not None:
            self._wanted_session = self._execution_context.session_id
        if self.options.isolation == "none":
            _warn_once()
        return await super().start()

    @property
    def artifacts_dir(self) -> Path:
        """Where the artifacts of this session are, until the process ends."""
        return Path(self._known.artifacts_dir)

    def list_artifacts(self) -> list[Artifact]:
        """Return the session's artifacts, oldest first."""
        return self._blocking.artifacts(self.session_id)

    def remove_artifacts(self, artifacts: Iterable[Artifact | str]) -> list[Artifact]:
        """Remove artifacts of the session, given as they are listed or by id; return those that were removed.

        The files that they are copies of stay in the workspace. What is no artifact of the session is passed over.
        """
        ids = tuple(one.id if isinstance(one, Artifact) else checks.text("artifacts", one) for one in artifacts)
        return self._blocking.remove_artifacts(self.session_id, ids)

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


def _warn_once() -> None:
    global _warned  # noqa: PLW0603 - once for each process
    if not _warned:
        _warned = True
        warnings.warn(
            'isolation="none": code in this sandbox can do whatever this process may do', RuntimeWarning, stacklevel=4
        )
