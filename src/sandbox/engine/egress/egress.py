"""The way out of one session: its policy, what it has asked for, and the proxy while it has a worker.

What a session without a network does not need is not imported: h11, ipaddress, ssl.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import msgspec

from sandbox.engine.egress.journal import Journal
from sandbox.engine.egress.outside import Outside
from sandbox.engine.waiting import uncancelled
from sandbox.errors import SandboxStartError
from sandbox.protocol.messages import PROXIED, NetworkShown, PolicySpec, SecretSpec, SessionOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.engine.egress.border import Border
    from sandbox.engine.egress.conversation import Conversation
    from sandbox.engine.egress.proxy import Proxy
    from sandbox.engine.launcher import Cell

LOOPBACK, PORT = "127.0.0.1", 3128
_PROXY_URL = f"http://{LOOPBACK}:{PORT}"
_DIRECT = "localhost,127.0.0.1,::1"
# Where programs look for the certificates that they believe.
_TRUST = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
)  # fmt: skip
_BUNDLE = "/tmp/sandbox-certificates.pem"  # noqa: S108 - the sandbox's own /tmp


class Egress:
    """Made for a session when it is opened. Raises UsageError, and SandboxStartError for what secrets take."""

    def __init__(self, options: SessionOptions, outside: Outside) -> None:
        self.outside, self.journal = outside, Journal()
        self.network, self.policy = options.network, options.policy
        self.border: Border | None = None
        self._proxy: Proxy | None = None
        if self.network in PROXIED or options.secrets:  # which a policy that comes later needs
            self._make_border(options.secrets).set(self.network, self.policy)

    def _make_border(self, secrets: Iterable[SecretSpec] = ()) -> Border:
        if self.border is None:
            from sandbox.engine.egress.border import Border  # noqa: PLC0415 - see above

            self.border = Border(self.journal, secrets, self.outside)
        return self.border

    def variables(self) -> dict[str, str]:
        """The environment by which programs find the proxy, and what stands for secrets."""
        if self.border is None:
            return {}
        if self.network not in PROXIED:
            return self.border.secrets.variables()
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        return {
            **dict.fromkeys(names, _PROXY_URL), "NO_PROXY": _DIRECT, "no_proxy": _DIRECT,
            "NODE_USE_ENV_PROXY": "1",  # else its fetch() knows of no proxy
            **self.border.secrets.variables(), **(dict.fromkeys(_TRUST, _BUNDLE) if self.border.authority else {}),
        }  # fmt: skip

    def options(self, options: SessionOptions) -> SessionOptions:
        """What the session's workers get: its options, with what the proxy adds to the environment."""
        return msgspec.structs.replace(options, env={**self.variables(), **options.env})

    # --- with a worker ---

    @property
    def serving(self) -> bool:
        """Whether a worker is served."""
        return self._proxy is not None

    async def serve(self, cell: Cell) -> None:
        """Begin to serve a new worker. Raises SandboxStartError."""
        if self.network not in PROXIED:
            return
        from sandbox.engine.egress.proxy import Proxy, listen  # noqa: PLC0415 - see above

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
        if self.border is not None and self.border.authority is not None:
            await cell.worker.tell({"do": "place", "path": _BUNDLE, "text": self.border.authority.bundle})

    def _begin(self, inner: socket.socket) -> Conversation:
        from sandbox.engine.egress.conversation import Conversation  # noqa: PLC0415 - see above

        return Conversation(self._make_border(), inner)

    async def stop(self) -> None:
        """The worker ends: nobody is served any more. Comes to its end also where the caller is cancelled."""
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            await uncancelled(proxy.close())

    # --- what it may do ---

    async def set(self, network: str, policy: PolicySpec) -> None:
        """Change the policy, now: what goes on and is forbidden from now on is cut. Raises UsageError."""
        self._make_border().set(network, policy)
        self.network, self.policy = network, policy
        if self._proxy is not None:
            await self._proxy.cut(self._forbidden)

    def _forbidden(self, conversation: Conversation) -> bool:
        going = conversation.going
        return going is not None and not self._make_border().gate.still_allows(*going)

    def learn(self, secrets: Iterable[SecretSpec]) -> None:
        """Take the values of secrets that were not known after a restart."""
        if self.border is not None:
            self.border.secrets.learn(secrets)

    def shown(self) -> NetworkShown:
        """All that can be told of it."""
        records = tuple(entry.shown() for entry in self.journal.entries)
        transferred = self.border.meter.total if self.border is not None else 0
        return NetworkShown(self.network, self.policy, records, tuple(self.journal.wanted), transferred)
