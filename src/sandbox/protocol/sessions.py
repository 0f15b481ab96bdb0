"""Sessions: opened, closed, deleted, measured."""

from __future__ import annotations

from sandbox.protocol.base import LastEvent, Request
from sandbox.protocol.options import SessionOptions

OWNER = "local"
"""Whose the sessions are of who uses an engine without a server."""


class OpenSession(Request, frozen=True, tag="open_session"):
    """Open a session, new or known by its id. Answered by `SessionOpened`.

    `fresh`: the id was made up just now, so that nobody need look for it in the store. `owner`: whose it is in the
    store; a server sets it, whatever its client says.
    """

    options: SessionOptions
    session: str | None = None
    fresh: bool = False
    owner: str = OWNER


class CloseSession(Request, frozen=True, tag="close_session"):
    """End the session's worker and keep the session."""

    session: str


class DeleteSession(Request, frozen=True, tag="delete_session"):
    """Delete the session: worker, workspace, artifacts, history."""

    session: str


class GetMetrics(Request, frozen=True, tag="get_metrics"):
    """Measure the sandbox now. Answered by `MetricsMeasured`."""

    session: str


class SessionOpened(LastEvent, frozen=True, tag="session_opened"):
    """A session is ready. `enforced` names the restrictions in force, `language` what it runs where nothing is said."""

    session: str
    isolation: str
    network: str
    enforced: tuple[str, ...]
    artifacts_dir: str
    workspace_dir: str
    language: str = "python"


class MetricsMeasured(LastEvent, frozen=True, tag="metrics"):
    """Figures by name; see `sandbox.sdk.metrics`."""

    values: dict[str, float]


class Reseed(Request, frozen=True, tag="reseed"):
    """Let the random generators of a session go on with another sequence."""

    session: str
