"""What a sandbox may reach, and what it has asked for."""

from __future__ import annotations

from msgspec import Struct

from sandbox.protocol.base import LastEvent, Request
from sandbox.protocol.options import PolicySpec


class SetNetwork(Request, frozen=True, tag="set_network"):
    """Change what a session may reach: "none", "policy" or "learn". Not from or to the host's network."""

    session: str
    network: str
    policy: PolicySpec = PolicySpec()


class GetNetwork(Request, frozen=True, tag="get_network"):
    """Ask what a session may reach, and what it has asked for. Answered by `NetworkShown`."""

    session: str


class NetworkRecord(Struct, frozen=True):
    """One request or connection through the proxy. `kind` is http, https or tcp.

    `rule` allowed it, or would; `reason` says why it was refused, or what went wrong.
    """

    kind: str
    host: str
    port: int
    allowed: bool
    rule: str
    reason: str
    method: str
    path: str
    sent: int
    received: int
    at: float


class NetworkShown(LastEvent, frozen=True, tag="network_shown"):
    """The network of a session; the newest records, oldest first; the rules that would allow what was asked for."""

    network: str
    policy: PolicySpec
    records: tuple[NetworkRecord, ...]
    wanted: tuple[str, ...]
    transferred: int
