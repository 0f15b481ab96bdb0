"""Who is calling, and how long somebody waits who guesses."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from sandbox.errors import SandboxAccessError, SandboxQuotaError
from sandbox.server.keys import Key, Keyring

_FIRST_SECONDS, _MOST_SECONDS = 0.1, 5.0
_FORGOTTEN_SECONDS = 600.0
_MOST_ADDRESSES = 10_000
_MOST_WAITING, _MOST_WAITING_EACH = 200, 10


class Access:
    """Admits callers by their keys. A wrong one is answered late, and the later the more of them an address has sent.

    Valid keys are never slowed, also from the same address: many clients may be behind one.
    """

    def __init__(self, keys: Keyring) -> None:
        self.keys = keys
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._waiting: dict[str, int] = {}

    async def admit(self, authorization: str | None, address: str) -> Key:
        """Return the caller's key. Raises SandboxAccessError, SandboxQuotaError for too many failures at once."""
        scheme, _, text = (authorization or "").partition(" ")
        key = self.keys.verify(text.strip()) if scheme.lower() == "bearer" else None
        return await self.settle(key, authorization is not None, address, "send it as `Authorization: Bearer KEY`")

    async def settle(self, key: Key | None, given: bool, address: str, how: str) -> Key:
        """Return the key that what was `given` has turned out to be. Raises as `admit`; `how` one is sent."""
        if key is not None:
            return key
        if not given:  # no guess
            raise SandboxAccessError(f"a key is needed: {how}", {"status": 401})
        await self._slow(address)
        raise SandboxAccessError("the key is not one of this server's, or has expired or been revoked", {"status": 401})

    def check_patience(self, address: str) -> None:
        """Before what takes long to find out. Raises SandboxQuotaError for too many failures at once."""
        waiting = self._waiting.get(address, 0)
        if waiting >= _MOST_WAITING_EACH or sum(self._waiting.values()) >= _MOST_WAITING:
            raise SandboxQuotaError(
                "too many attempts without a valid key", {"quota": "attempts", "retry_after": _MOST_SECONDS}
            )

    def holds(self, key: Key) -> bool:
        """Whether a key that was admitted is still in force."""
        return self.keys.in_force(key.id) is not None

    async def _slow(self, address: str) -> None:
        self.check_patience(address)
        self._waiting[address] = self._waiting.get(address, 0) + 1
        try:
            await asyncio.sleep(self._seconds(address))
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]

    def _seconds(self, address: str) -> float:
        now = time.monotonic()
        count, last = self._failures.pop(address, (0, now))
        if now - last > _FORGOTTEN_SECONDS:
            count = 0
        self._failures[address] = count + 1, now
        if len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)
        return min(_FIRST_SECONDS * (1 << min(count, 16)), _MOST_SECONDS)


def require(key: Key, scope: str) -> None:
    """Raises SandboxAccessError unless the key has the scope."""
    if scope not in key.scopes:
        raise SandboxAccessError(
            f"the key {key.name!r} does not have the scope {scope!r}", {"status": 403, "scope": scope}
        )
