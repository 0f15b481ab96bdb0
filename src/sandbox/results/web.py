"""Web apps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.protocol import messages as m
from sandbox.results.values import Artifact


@dataclass(eq=False, repr=False)
class WebAppData:
    """What is known of a web app.

    Attributes:
        name: What it is called in its session.
        app_type: flask, fastapi, streamlit, dash, gradio or http.
        url, port: Where it is reached on this machine.
        inner_port, pid: Where it listens inside, and its process there; a pid of 0 once it has ended.
        state: starting, running, restarting or ended; `why` says how it ended, `exit_code` with what.
        status: The HTTP status that its page, or Streamlit's own health page, answered with when it was started.
        path: Its file in the workspace.
        restore: Whether it comes back with the session's next worker.
        started_at: When it was last started.
        connections: How many there are.
        log: The end of what it has printed; `log_artifact` has all that is kept, at most 1 MB.
        screenshot: The last picture of its page, or None.
        notes: What could not be done, such as taking a picture, and why.
    """

    name: str
    app_type: str
    url: str
    port: int
    inner_port: int
    pid: int
    state: str
    status: int
    exit_code: int | None
    why: str
    path: str | None
    restore: bool
    started_at: datetime
    connections: int
    log: str
    log_artifact: Artifact | None
    screenshot: Artifact | None
    notes: tuple[str, ...]

    @classmethod
    def of(cls, info: m.WebAppInfo, artifact_of: Callable[[m.ArtifactInfo], Artifact]) -> WebAppData:
        """Build one from the wire's form."""
        values: dict[str, Any] = {name: getattr(info, name) for name in WebAppData.__dataclass_fields__}
        for name in ("log_artifact", "screenshot"):
            values[name] = None if values[name] is None else artifact_of(values[name])
        return WebAppData(**{**values, "started_at": datetime.fromtimestamp(info.started_at, UTC)})

    def __repr__(self) -> str:
        return f"<WebApp {self.name!r} at {self.url}, {self.state}>"
