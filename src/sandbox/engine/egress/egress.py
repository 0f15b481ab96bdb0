"""The way out of one session: its policy, what it has asked for, and the proxy while it has a worker."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import msgspec

from sandbox.engine.egress.gate import Gate, Refused, Unreachable, Way
from sandbox.engine.egress.journal import Journal
from sandbox.engine.egress.link import Link
from sandbox.engine.egress.meter import Meter
from sandbox.engine.egress.outside import Outside
from sandbox.engine.egress.secrets import Secrets, Substitution
from sandbox.errors import SandboxStartError, UsageError
from sandbox.network.hosts import BadHost, Host
from sandbox.network.rules import TCP, Rules
from sandbox.protocol.messages import LEARN, POLICY, PROXIED, NetworkShown, PolicySpec, SecretSpec, SessionOptions

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from sandbox.engine.egress.authority import Authority
    from sandbox.engine.egress.conversation import Conversation
    from sandbox.engine.egress.exchange import Changes
    from sandbox.engine.egress.proxy import Proxy
    from sandbox.engine.egress.targets import Target
    from sandbox.engine.launcher import Cell

LOOPBACK, PORT = "127.0.0.1", 3128
_PROXY_URL = f"http://{LOOPBACK}:{PORT}"
_DIRECT = "localhost,127.0.0.1,::1"
# Names that are resolved for one sandbox at once.
_MOST_RESOLVING = 8
_HANDSHAKE_SECONDS = 30.0
# Where programs look for the certificates that they believe.
_TRUST = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
)  # fmt: skip
_BUNDLE = "/tmp/sandbox-certificates.pem"  # noqa: S108 - the sandbox's own /tmp
_ANYTHING = ("*:*",)


class Egress:
    """Made for a session when it is opened. Everything runs in the engine's loop. Raises UsageError."""

    def __init__(self, options: SessionOptions, outside: Outside) -> None:
        self.journal, self.meter = Journal(), Meter()
        self._resolving = asyncio.Semaphore(_MOST_RESOLVING)
        self._proxy: Proxy | None = None
        self.network, self.policy = options.network, options.policy
        self.gate = Gate(_rules(options.network, options.policy), outside)
        self._secrets = Secrets(options.secrets)
        self._authority = _authority(self._secrets)
        self._trust: ssl.SSLContext | None = None  # made when it is needed
        self._set_limits()

    def _set_limits(self) -> None:
        policy = self.policy
        self.meter.most = None if policy.transfer is None else policy.transfer * 1e6
        self.meter.rate = None if policy.rate is None else policy.rate * 1e6

    def variables(self) -> dict[str, str]:
        """The environment by which programs find the proxy."""
        if self.network not in PROXIED:
            return {}
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        return {
            **dict.fromkeys(names, _PROXY_URL), "NO_PROXY": _DIRECT, "no_proxy": _DIRECT,
            "NODE_USE_ENV_PROXY": "1",  # else its fetch() knows of no proxy
            **self._secrets.variables(), **(dict.fromkeys(_TRUST, _BUNDLE) if self._authority else {}),
        }  # fmt: skip

    def options(self, options: SessionOptions) -> SessionOptions:
        """What the session's workers get: its options, with what the proxy adds to the environment."""
        return msgspec.structs.replace(options, env={**self.variables(), **options.env})

    # --- with a worker ---

    async def serve(self, cell: Cell) -> None:
        """Begin to serve a new worker. Raises SandboxStartError."""
        if self.network not in PROXIED:
            return
        from sandbox.engine.egress.proxy import Proxy, listen  # noqa: PLC0415 - h11, for who has a policy

        try:
            made = await cell.zygote.make_socket(cell.worker.pidfd)
            try:
                listener = listen(made, LOOPBACK, PORT)
            except BaseException:
                made.close()
                raise
        except OSError as error:
            raise SandboxStartError(f"the sandbox's proxy could not listen inside: {error}") from error
        self._proxy = Proxy(listener, self._begin)
        if self._authority is not None:
            await cell.worker.tell({"do": "place", "path": _BUNDLE, "text": self._authority.bundle})

    def _begin(self, inner: socket.socket) -> Conversation:
        from sandbox.engine.egress.conversation import Conversation  # noqa: PLC0415 - as above

        return Conversation(self, inner)

    async def stop(self) -> None:
        """The worker ends: nobody is served any more."""
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            await proxy.close()

    @property
    def serving(self) -> bool:
        """Whether a worker is served."""
        return self._proxy is not None

    # --- what it may do ---

    async def set(self, network: str, policy: PolicySpec) -> None:
        """Change the policy, now: what goes on and is forbidden from now on is cut. Raises UsageError."""
        self.gate.rules = _rules(network, policy)
        self.network, self.policy = network, policy
        self._set_limits()
        if self._proxy is not None:
            await self._proxy.cut(self._forbidden)

    def _forbidden(self, conversation: Conversation) -> bool:
        going = conversation.going
        return going is not None and not self.gate.still_allows(*going)

    async def way(self, kinds: tuple[str, ...], host: Host, port: int) -> Way:
        """How to reach something; see `Gate.way`."""
        kind = TCP if kinds == (TCP,) else ""
        try:
            self.gate.verdict(kinds, host, port)
        except Refused as refused:
            if refused.rule:
                self.journal.want(host, port, kind)
            raise
        async with self._resolving:
            way = await self.gate.way(kinds, host, port)
        self.journal.want(host, port, kind)
        return way

    async def secured(self, outer: Link, host: Host) -> Link:
        """TLS to a host, for requests that the proxy sends itself."""
        from sandbox.engine.egress.tls_link import TlsLink  # noqa: PLC0415 - ssl, for who has secrets

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
        if self._authority is None or not isinstance(host, str) or not self._secrets.of(host):
            return None
        return self._authority.context(host)

    def learn(self, secrets: Iterable[SecretSpec]) -> None:
        """Take the values of secrets that were not known after a restart."""
        self._secrets.learn(secrets)

    def changes(self, target: Target, method: bytes) -> Changes | None:
        """What is put in for secrets in a request to this target."""
        if not target.secure:
            return None
        return Substitution(self._secrets.of(str(target.host)), method)

    def shown(self) -> NetworkShown:
        """All that can be told of it."""
        records = tuple(entry.shown() for entry in self.journal.entries)
        return NetworkShown(self.network, self.policy, records, tuple(self.journal.wanted), self.meter.total)


def _authority(secrets: Secrets) -> Authority | None:
    if not secrets.hosts:
        return None
    from sandbox.engine.egress.authority import Authority  # noqa: PLC0415 - cryptography, for who has secrets

    return Authority(secrets.hosts)


def _rules(network: str, policy: PolicySpec) -> Rules:
    allow = {LEARN: _ANYTHING, POLICY: policy.allow}.get(network, ())
    try:
        return Rules(allow, policy.deny if network in PROXIED else ())
    except BadHost as error:
        raise UsageError(f"network: {error}") from error
