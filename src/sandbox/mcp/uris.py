"""Addresses of what can be read: `sandbox://artifacts/SESSION/EXECUTION/NAME` and the like."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from sandbox.mcp.reply import ToolError

SCHEME = "sandbox"
OVERVIEW = "sandbox://overview"
ARTIFACTS, OUTPUT = "artifacts", "output"
ARTIFACT_TEMPLATE = "sandbox://artifacts/{session_id}/{execution}/{+name}"


class Address(NamedTuple):
    """What a URI names. `id` is an artifact's, or an output's number."""

    kind: str
    session: str
    id: str


def artifact(session: str, artifact_id: str) -> str:
    """The address of an artifact."""
    return f"{SCHEME}://{ARTIFACTS}/{quote(session, safe='')}/{quote(artifact_id)}"


def output(session: str, number: str) -> str:
    """The address of a long output."""
    return f"{SCHEME}://{OUTPUT}/{quote(session, safe='')}/{number}"


def parsed(uri: str) -> Address:
    """What a URI names. Raises ToolError."""
    parts = urlsplit(uri)
    session, slash, name = parts.path.removeprefix("/").partition("/")
    if parts.scheme != SCHEME or parts.netloc not in {ARTIFACTS, OUTPUT} or not session or not slash or not name:
        raise ToolError(
            f"{uri!r} is no address here: there are {ARTIFACT_TEMPLATE}, which list_artifacts names, "
            f"{SCHEME}://{OUTPUT}/..., which answers name whose output was cut, and {OVERVIEW}"
        )
    return Address(parts.netloc, unquote(session), unquote(name))
