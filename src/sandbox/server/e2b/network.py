"""Which hosts a sandbox may reach: what clients say about it, as a policy of ours."""

from __future__ import annotations

from msgspec import Struct

from sandbox.protocol.messages import POLICY, PolicySpec
from sandbox.server.e2b.visit import Unsupported

_ALL = {"0.0.0.0/0", "::/0"}


class Network(Struct):
    """What may be said. Rules that change requests have no counterpart."""

    allowOut: tuple[str, ...] = ()  # noqa: N815 - its name in the JSON
    denyOut: tuple[str, ...] = ()  # noqa: N815
    rules: object = None
    dnsServers: object = None  # noqa: N815
    egressProxy: object = None  # noqa: N815
    maskRequestHost: object = None  # noqa: N815
    allowPublicTraffic: bool | None = None  # noqa: N815
    allow_internet_access: bool | None = None


def wanted(internet: bool | None, network: Network | None) -> tuple[str, PolicySpec]:
    """The network of a sandbox. Without a word about it there is none. Raises Unsupported."""
    said = network or Network()
    if said.rules or said.dnsServers or said.egressProxy or said.maskRequestHost:
        raise Unsupported("of network, allow_out and deny_out can be set", 400)
    allowed = tuple(one for one in said.allowOut if one not in _ALL)
    denied = tuple(one for one in said.denyOut if one not in _ALL)
    if internet is False or len(denied) < len(said.denyOut) or (allowed and not internet and not denied):
        return (POLICY, PolicySpec(allow=allowed)) if allowed else ("none", PolicySpec())
    if allowed and denied:
        raise Unsupported("allow_out beside deny_out of some hosts alone: here what is denied is never allowed", 400)
    return (POLICY, PolicySpec(allow=("*",), deny=denied)) if internet or denied else ("none", PolicySpec())
