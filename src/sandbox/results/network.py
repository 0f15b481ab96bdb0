"""What a sandbox has asked of the network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.protocol import messages as m


@dataclass(frozen=True)
class NetworkEntry:
    """One request or connection that code has made through the engine's proxy, or wanted to.

    Attributes:
        kind: https (a tunnel whose inside is not seen, unless a secret is put in there), http, or tcp.
        host, port: What was asked for.
        allowed: Whether the policy let it go.
        rule: The rule that allowed it; where it was refused, the one that would allow it, if a rule can.
        reason: Why it was refused, or what went wrong, such as that a placeholder was sent and not the secret.
        method, path: Of a request that the proxy has seen; the path is without its query.
        sent, received: Bytes.
        at: When it was asked for.
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
    at: datetime

    @classmethod
    def of(cls, record: m.NetworkRecord) -> NetworkEntry:
        """Build one from the wire's form."""
        values = {name: getattr(record, name) for name in record.__struct_fields__}
        return cls(**{**values, "at": datetime.fromtimestamp(record.at, UTC)})
