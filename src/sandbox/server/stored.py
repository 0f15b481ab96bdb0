"""How many bytes of the store are an owner's."""

from __future__ import annotations

import time

from sandbox.engine.store_thread import StoreThread

_FRESH_SECONDS = 5.0


class Usage:
    """Asks the store, and believes its answer for some seconds."""

    def __init__(self, stored: StoreThread) -> None:
        self._stored = stored
        self._known: dict[str, tuple[float, int]] = {}

    async def bytes_of(self, owner: str) -> int:
        """Bytes that an owner's sandboxes have added to the store."""
        at, count = self._known.get(owner, (0.0, 0))
        if time.monotonic() - at > _FRESH_SECONDS or not at:
            count = await self._stored.call(lambda store: sum(one.bytes for one in store.sessions(owner)))
            self._known[owner] = time.monotonic(), count
        return count
