"""The control plane's JSON: what clients say, and sandboxes as they are shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from sandbox.server.e2b.boxes import Box, Boxes
from sandbox.server.e2b.network import Network

# The version of E2B's own daemon whose features there are: streamed and packed uploads, and not the metadata of files.
ENVD_VERSION = "0.5.7"
DEFAULT_SECONDS = 300
MOST_SECONDS = 30 * 86_400


class Resuming(Struct):
    """Whether requests to a paused sandbox bring it back."""

    enabled: bool = False


class New(Struct):
    """A sandbox to make."""

    templateID: str  # noqa: N815 - its name in the JSON
    timeout: int = DEFAULT_SECONDS
    metadata: dict[str, str] | None = None
    envVars: dict[str, str] | None = None  # noqa: N815
    autoPause: bool = False  # noqa: N815
    autoPauseMemory: bool = True  # noqa: N815
    autoResume: Resuming | None = None  # noqa: N815
    allow_internet_access: bool | None = None
    network: Network | None = None
    mcp: Any = None
    iam: Any = None
    volumeMounts: Any = None  # noqa: N815


class Seconds(Struct):
    """How long a sandbox is to live. `duration` is an older word for it."""

    timeout: int | None = None
    duration: int | None = None
    memory: bool = True
    count: int = 1


def time_of(seconds: float) -> str:
    """A time as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def made(box: Box, token: str, domain: str) -> dict[str, Any]:
    """A sandbox for the client that made it or connects to it. `domain` is where its ports have their names."""
    return {
        "templateID": box.template, "sandboxID": box.id, "clientID": "sandbox", "envdVersion": ENVD_VERSION,
        "envdAccessToken": token, "trafficAccessToken": token, "domain": domain,
    }  # fmt: skip


def shown(box: Box, boxes: Boxes) -> dict[str, Any]:
    """A sandbox in a list."""
    entry = boxes.entry(box)
    assert entry is not None
    options = entry.options
    return {
        "templateID": box.template, "alias": box.template, "sandboxID": box.id, "clientID": "sandbox",
        "startedAt": time_of(box.started), "endAt": time_of(box.ends), "cpuCount": max(1, round(options.cpus)),
        "memoryMB": options.memory, "diskSizeMB": options.disk, "state": state_of(box, boxes),
        "envdVersion": ENVD_VERSION, "metadata": box.metadata,
    }  # fmt: skip


def described(box: Box, boxes: Boxes, domain: str) -> dict[str, Any]:
    """A sandbox on its own."""
    lifecycle = {"onTimeout": "pause" if box.pauses else "kill", "autoResume": box.resumes}
    entry = boxes.entry(box)
    internet = entry is not None and entry.options.network != "none"
    return {**shown(box, boxes), "lifecycle": lifecycle, "allowInternetAccess": internet, "domain": domain}


def state_of(box: Box, boxes: Boxes) -> str:
    """Whether it is running or paused."""
    return "running" if boxes.running(box) else "paused"
