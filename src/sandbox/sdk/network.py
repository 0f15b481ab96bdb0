"""`sandbox.network`: what a sandbox may reach, and what its code has asked for."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.errors import UsageError
from sandbox.network.policy import NetworkPolicy
from sandbox.options import checked_network
from sandbox.protocol import messages as m
from sandbox.results import NetworkEntry
from sandbox.sdk.connection import Connection
from sandbox.sdk.convert import kind_of, network_of, policy_spec


class Network:
    """The network of a sandbox, with what went through the engine's proxy."""

    def __init__(self, connection: Connection, learn: Callable[[str | NetworkPolicy], None]) -> None:
        self._connection = connection
        self._learn = learn

    async def set(self, network: str | NetworkPolicy) -> None:
        """Change what code may reach, at once: connections that are forbidden from now on are cut.

        Args:
            network: A `NetworkPolicy`, "learn", or "none".

        Raises UsageError: a sandbox has the host's network from its start to its end, or never.
        """
        wanted = checked_network(network)
        if wanted == m.HOST_NETWORK:
            raise UsageError("network='host' has to be chosen when the sandbox is made")
        request = m.SetNetwork(self._connection.session, kind_of(wanted), policy_spec(wanted))
        await self._connection.ask(request, m.Done)
        self._learn(wanted)

    async def get(self) -> str | NetworkPolicy:
        """Return what is in force."""
        shown = await self._shown()
        return network_of(shown.network, shown.policy)

    async def log(self) -> list[NetworkEntry]:
        """Return what code has asked for, the oldest first, and at most the newest 1000.

        What was refused has the rule that would allow it as its `rule`.
        """
        return [NetworkEntry.of(record) for record in (await self._shown()).records]

    async def proposal(self) -> NetworkPolicy:
        """Return a policy that allows all that was asked for since the session was opened, and nothing else.

        With network="learn" code is given what it asks for meanwhile, but for private addresses.
        """
        return NetworkPolicy((await self._shown()).wanted)

    async def transferred(self) -> int:
        """Return how many bytes were sent and received."""
        return (await self._shown()).transferred

    async def _shown(self) -> m.NetworkShown:
        return await self._connection.ask(m.GetNetwork(self._connection.session), m.NetworkShown)
