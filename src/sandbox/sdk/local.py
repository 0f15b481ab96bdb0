"""Sandboxes on this machine."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sandbox.options import SandboxOptions
from sandbox.sdk.session import SessionSandbox

if TYPE_CHECKING:
    from sandbox.core.execution_context import PersistentExecutionContext
    from sandbox.engine.thread import EngineThread

_warned = False


class LocalSandbox(SessionSandbox):
    """An isolated, stateful session on this machine, in Python unless told otherwise. Options: see `SandboxOptions`.

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
        super().__init__(engine, session_id, {**given, **options})
        self._engine = engine
        self._execution_context: PersistentExecutionContext | None = None

    @classmethod
    def create(cls, name: str | SandboxOptions | None = None, **options: Any) -> Self:
        """Return a sandbox, for `async with` or `await`."""
        return cls(name, **options)

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


def _warn_once() -> None:
    global _warned  # noqa: PLW0603 - once for each process
    if not _warned:
        _warned = True
        warnings.warn(
            'isolation="none": code in this sandbox can do whatever this process may do', RuntimeWarning, stacklevel=4
        )
