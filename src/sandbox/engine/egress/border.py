"""What all connections of a session's proxy share: what may pass, what was noted and counted, and secrets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable

import h11

from sandbox.engine.egress.exchange import Changes
from sandbox.engine.egress.gate import Gate, Refused, Unreachable, Way
from sandbox.engine.egress.journal import Entry, Journal
from sandbox.engine.egress.link import Link
from sandbox.engine.egress.meter import Meter
from sandbox.engine.egress.outside import Outside
from sandbox.engine.egress.secrets import Secrets, Substitution
from sandbox.engine.egress.targets import Target
from sandbox.engine.egress.tls_link import TlsLink
from sandbox.errors import UsageError
from sandbox.network.hosts import BadHost, Host
from sandbox.network.rules import TCP, Rules
from sandbox.protocol.messages import LEARN, POLICY, PROXIED, PolicySpec, SecretSpec

# Names that are resolved for one sandbox at once.
_MOST_RESOLVING = 4
_HANDSHAKE_SECONDS = 30.0
_ANYTHING = ("*:*",)


class Border:
    """One for each session that has had a policy. Raises UsageError, and SandboxStartError for what secrets take."""

    def __init__(self, journal: Journal, secrets: Iterable[SecretSpec], outside: Outside) -> None:
        self.journal, self.meter = journal, Meter()
        self.gate = Gate(Rules(()), outside)
        self.secrets = Secrets(secrets)
        self.authority = self.secrets.authority()
        self._resolving = asyncio.Semaphore(_MOST_RESOLVING)
        self._trust: ssl.SSLContext | None = None  # made when it is needed

    def set(self, network: str, policy: PolicySpec) -> None:
        """Let another policy be in force. Raises UsageError, and nothing has changed."""
        self.gate.rules = rules_of(network, policy)
        most, rate = (None if limit is None else limit * 1e6 for limit in (policy.transfer, policy.rate))
        self.meter.limit(most, rate)

    async def way(self, kinds: tuple[str, ...], host: Host, port: int) -> Way:
        """How to reach something; see `Gate.way`."""
        kind = TCP if kinds == (TCP,) else ""
        try:
            self.gate.verdict(kinds, host, port)
        except Refused as refused:
            if refused.rule:
                self.journal.want(host, port, kind)
            raise
        try:
            async with self._resolving:
                way = await self.gate.way(kinds, host, port)
        except Unreachable:
            self.journal.want(host, port, kind)
            raise
        self.journal.want(host, port, kind)
        return way

    async def secured(self, outer: Link, host: Host) -> Link:
        """TLS to a host, for requests that the proxy sends itself. Raises Unreachable."""
        if self._trust is None:
            self._trust = self.gate.outside.authorities()
        link = TlsLink(outer, self._trust, server_name=str(host))
        try:
            await link.handshake(_HANDSHAKE_SECONDS)
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"TLS with {host} failed: {error}") from error
        return link

    def intercepts(self, host: Host) -> ssl.SSLContext | None:
        """What it takes to stand for a host that gets secrets; None for another."""
        if self.authority is None or not isinstance(host, str) or not self.secrets.of(host):
            return None
        return self.authority.context(host)

    def look_for_secrets(self, request: h11.Request, target: Target, entry: Entry) -> None:
        """Note what was to be a secret's value, and goes out as a placeholder since it would be in the clear."""
        names = [] if target.secure else self.secrets.named_in(str(target.host), target.path, list(request.headers))
        if names:
            text = f"{entry.host} got the placeholder of the secret {', '.join(names)}: values go by https alone"
            self.journal.notice(entry, text)

    def changes(self, target: Target, method: bytes) -> Changes | None:
        """What is put in for secrets in a request to this target."""
        if not target.secure:
            return None
        return Substitution(self.secrets.of(str(target.host)), method)


def rules_of(network: str, policy: PolicySpec) -> Rules:
    """The rules that a kind of network and its policy mean. Raises UsageError."""
    allow = {LEARN: _ANYTHING, POLICY: policy.allow}.get(network, ())
    try:
        return Rules(allow, policy.deny if network in PROXIED else ())
    except BadHost as error:
        raise UsageError(f"network: {error}") from error
