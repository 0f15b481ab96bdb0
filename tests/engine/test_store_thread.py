"""The store's thread: what keeps the store small is done whether or not there is a moment in which nobody needs it."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from tests.contract.state import pack_bytes

from sandbox.engine import store_thread
from sandbox.engine.store_thread import StoreThread
from sandbox.store.session import StoredSession
from sandbox.store.sessions import New
from sandbox.store.store import Store

_KEPT = 4


def checkpoint(store: Store, session: StoredSession) -> int:
    """Make one with content that goes into a pack; return how many there are."""
    staging = session.staging()
    staging.put("large", bytes(str(session.head), "ascii") * 100_000)
    session.commit(staging)
    return len(store.checkpoints(session.id, owner="local"))


def _has_shrunk(figures: list[int]) -> bool:
    return any(later < before for before, later in itertools.pairwise(figures))


async def test_a_store_that_is_never_idle_is_tended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_SOON_SECONDS", "_IDLE_SECONDS"):
        monkeypatch.setattr(store_thread, name, 600.0)
    monkeypatch.setattr(store_thread, "_LONGEST_SECONDS", 0.01)
    thread = StoreThread(tmp_path / "store", lambda: False)

    def create(store: Store) -> StoredSession:
        session = store.create(New("one", "local"))
        session.quota.limits = store.limits._replace(checkpoints=_KEPT)
        return session

    try:
        session = await thread.call(create)
        counts, sizes = [0], [0]
        deadline = time.monotonic() + 60
        while not (_has_shrunk(counts) and _has_shrunk(sizes)):
            assert time.monotonic() < deadline, (counts[-10:], sizes[-10:])
            counts.append(await thread.call(lambda store: checkpoint(store, session)))
            sizes.append(pack_bytes(tmp_path / "store" / "packs"))
    finally:
        await thread.close()
