"""PersistentExecutionContext: a session as plain synchronous calls and plain dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sandbox.ids import checked_session_id
from sandbox.options import SandboxOptions
from sandbox.protocol import messages as m
from sandbox.results import ExecutionData
from sandbox.sdk.blocking import Blocking
from sandbox.sdk.convert import session_options

if TYPE_CHECKING:
    from sandbox.engine.thread import EngineThread


class PersistentExecutionContext:
    """Runs code in a session, by its id. Options: see `SandboxOptions`.

    The session is opened at first use. A `LocalSandbox` with the same `session_id` is the same session.
    """

    def __init__(self, session_id: str | None = None, *, engine: EngineThread | None = None, **options: Any) -> None:
        self._blocking = Blocking(engine)
        self._options = SandboxOptions(**options)
        self._wanted = None if session_id is None else checked_session_id(session_id)
        self._opened: m.SessionOpened | None = None

    @property
    def session_id(self) -> str:
        """The session's identity. Raises SandboxStartError if it cannot be opened."""
        return self._open().session

    def execute_code(self, code: str, cache_key: str | None = None) -> dict[str, Any]:
        """Run code and return what came of it. Never raises for what the code does.

        The dict has success, error, error_type, stdout, stderr, execution_time (seconds), artifacts (a list of
        dicts) and cache_hit; and status, cause, state, traceback, result (the last value's text), number.
        """
        execution = ExecutionData(code=code)
        request = m.Run(self.session_id, code, cache_key=cache_key)
        for event in self._blocking.stream(request):
            execution.add(event)
        raised = execution.exception
        return {
            "success": execution.ok,
            "error": None if raised is None else raised.message or raised.error_type,
            "error_type": None if raised is None else raised.error_type,
            "stdout": execution.stdout,
            "stderr": execution.stderr,
            "execution_time": execution.execution_time,
            "artifacts": [artifact.as_dict() for artifact in execution.artifacts],
            "cache_hit": execution.cache_hit,
            "status": execution.status,
            "cause": None if execution.cause is None else str(execution.cause),
            "state": str(execution.state),
            "traceback": None if raised is None else raised.traceback,
            "result": execution.text,
            "number": execution.number,
        }

    def get_execution_stats(self) -> dict[str, Any]:
        """Return counts and averages of the session.

        The dict has total_executions, average_execution_time (seconds), cache_hit_ratio, cache_hits, cache_misses,
        cached_compilations, session_id and artifacts_count.
        """
        return self._blocking.stats(self.session_id)

    def get_execution_history(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the last executions, newest first, each with its timestamp in UTC."""
        return self._blocking.history(self.session_id, limit)

    def clear_cache(self) -> None:
        """Forget compiled code."""
        self._blocking.clear_cache(self.session_id)

    def cleanup_session(self) -> None:
        """Delete the session: worker, workspace, artifacts and history."""
        session_id, self._opened = self.session_id, None
        self._blocking.delete(session_id)

    def close(self) -> None:
        """End the worker and keep the session."""
        if self._opened is not None:
            self._blocking.ask(m.CloseSession(self._opened.session), m.Done)
            self._wanted, self._opened = self._opened.session, None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> m.SessionOpened:
        if self._opened is None:
            request = m.OpenSession(session_options(self._options), self._wanted)
            self._opened = self._blocking.ask(request, m.SessionOpened)
        return self._opened
