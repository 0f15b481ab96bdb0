"""How much of a session is kept, by itself: the newest, what has a label, and no more than it may take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.errors import StoreFull, UsageError
from sandbox.store.history import ExecutionRecord
from sandbox.store.quota import limits_of
from sandbox.store.retention import Limits
from sandbox.store.session import StoredSession
from sandbox.store.sessions import New
from sandbox.store.store import Store

from .conftest import OWNER, PAGE, commit, content, patch, put

SIZE = 400_000
_GB = 1 << 30


def numbers(store: Store, session: StoredSession) -> list[int]:
    return [one.number for one in store.checkpoints(session.id, owner=OWNER)]


def pack_bytes(store: Store) -> int:
    return sum(path.stat().st_size for path in store.packs.rglob("*.pack"))


def rest(store: Store) -> None:
    """An idle moment."""
    store.tend()
    for job in store.due():
        job()


@pytest.fixture
def kept(store: Store, session: StoredSession) -> StoredSession:
    """A session of which 16 checkpoints are kept."""
    session.quota.limits = Limits(checkpoints=16)
    return session


def turns(session: StoredSession, count: int, size: int = 100) -> None:
    for _ in range(count):
        commit(session, put("x", os.urandom(size)))


def test_idle_moments_drop_what_is_too_old_once_it_is_some(store: Store, kept: StoredSession) -> None:
    counts = []
    for _ in range(60):
        turns(kept, 1)
        store.tend()
        counts.append(len(numbers(store, kept)))
    assert counts[:16] == list(range(1, 17))
    assert set(counts[16:]) == {16, 17, 18}
    assert numbers(store, kept)[-16:] == list(range(45, 61))
    assert store.verify().ok


def test_a_label_protects_and_does_not_count(store: Store, kept: StoredSession) -> None:
    turns(kept, 3)
    before = content(store, kept, 2)
    kept.label(2, "good")
    turns(kept, 40)
    store.tend()
    assert numbers(store, kept) == [2, *range(28, 44)]
    assert content(store, kept, 2) == before


def test_where_the_session_is_stays(store: Store, kept: StoredSession) -> None:
    turns(kept, 20)
    kept.rollback(1)
    before = content(store, kept)
    store.tend()
    assert (kept.head, numbers(store, kept)) == (1, [1, *range(6, 21)])
    assert content(store, kept) == before


def test_without_an_idle_moment_commits_drop_at_last(store: Store, kept: StoredSession) -> None:
    most = 0
    for _ in range(120):
        turns(kept, 1)
        most = max(most, len(numbers(store, kept)))
    assert 16 < most <= 3 * 16


def test_one_may_be_all_that_is_kept(store: Store, session: StoredSession) -> None:
    session.quota.limits = Limits(checkpoints=1)
    for number in range(1, 6):
        turns(session, 1)
        store.tend()
        assert numbers(store, session) == [number]


def test_a_session_that_was_opened_again_is_looked_at(home: Path, store: Store, session: StoredSession) -> None:
    turns(session, 30)
    session.release()
    again = store.open("one", owner=OWNER)
    again.quota.limits = Limits(checkpoints=5)
    store.tend()
    assert numbers(store, again) == [26, 27, 28, 29, 30]


def test_outputs_go_with_their_checkpoints_and_history_stays(store: Store, kept: StoredSession) -> None:
    for number in range(1, 41):
        record = ExecutionRecord(number=number, code=f"x = {number}", status="ok", started=1.0)
        kept.commit(execution=record, outputs=[{"text": os.urandom(SIZE // 2).hex()}])
    rest(store)
    assert pack_bytes(store) < 24 * SIZE
    history = store.history("one", owner=OWNER, limit=100)
    assert [one.code for one in history] == [f"x = {number}" for number in range(40, 0, -1)]
    assert store.outputs("one", 24, owner=OWNER) == []
    assert len(store.outputs("one", 40, owner=OWNER)) == 1
    assert store.notebook("one", owner=OWNER)


def test_the_disk_is_bounded_whatever_is_written(home: Path) -> None:
    """Without an idle moment too."""
    with Store(home, Limits(session_bytes=6 * SIZE, drop_oldest=True)) as store:
        session = store.create(New("one", OWNER))
        most = 0
        for number in range(60):
            commit(session, put("big", os.urandom(SIZE)), put("n", b"%d" % number))
            if number == 3:
                session.label(4, "good")
            most = max(most, pack_bytes(store))
        assert most < 12 * SIZE
        assert content(store, session)["n"] == b"59"
        assert content(store, session, 4)["n"] == b"3"
        rest(store)
        assert pack_bytes(store) < 8 * SIZE
        assert store.verify().ok


def test_what_collecting_takes_time_for_waits_for_an_idle_moment(store: Store, session: StoredSession) -> None:
    turns(session, 6, SIZE)
    before = pack_bytes(store)
    session.drop([1, 2, 3, 4])
    store.collect(session.tree, rewrite=False)
    assert pack_bytes(store) == before, "its pack has something that is needed"
    rest(store)
    assert pack_bytes(store) < before / 2
    session.drop([5])
    assert store.due(lambda: True)[0]() is not None
    assert store.due() == []


def test_an_idle_moment_mends_what_is_in_many_pieces(store: Store, session: StoredSession) -> None:
    size = 40 * PAGE
    commit(session, put("big", bytes(size)))
    for turn in range(1, 8):
        commit(session, patch("big", size, (3 * turn * PAGE, bytes([turn]) * (size // 2 - PAGE))))
    before = content(store, session)
    records = "SELECT count(*) FROM records"
    session.drop(list(range(1, session.head)))
    rest(store)
    assert content(store, session) == before
    assert (store.database.one(records)[0], store.due()) == (1, [])
    assert pack_bytes(store) < 2 * size


def test_a_full_store_takes_from_the_session_that_wants_more(home: Path) -> None:
    with Store(home, Limits(total_bytes=8 * SIZE, drop_oldest=True)) as store:
        one, two = store.create(New("one", OWNER)), store.create(New("two", OWNER))
        turns(one, 4, SIZE)
        for _ in range(12):
            store._counted = 0.0
            turns(two, 1, SIZE)
        assert len(numbers(store, one)) == 4
        assert 1 <= len(numbers(store, two)) <= 4
        store._counted = 0.0
        with pytest.raises(StoreFull, match=r"SANDBOX_STORAGE") as full:
            turns(two, 1, 8 * SIZE)
        assert full.value.details["limit"] == 8 * SIZE


def test_the_quotas_are_what_the_environment_says_or_a_part_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SANDBOX_STORAGE", raising=False)
    disk = os.statvfs(tmp_path)
    size = disk.f_blocks * disk.f_frsize
    found = limits_of(tmp_path / "not" / "there")
    assert found.total_bytes == min(100 * _GB, size // 4)
    assert found.session_bytes == min(20 * _GB, found.total_bytes // 4)
    monkeypatch.setenv("SANDBOX_STORAGE", "4096")
    assert limits_of(tmp_path)[:2] == (1 * _GB, 4 * _GB)
    for wrong in ("0", "-1", "much", "1.5", "9" * 12):
        monkeypatch.setenv("SANDBOX_STORAGE", wrong)
        with pytest.raises(UsageError, match=r"SANDBOX_STORAGE='.*' is not a whole number of MB"):
            limits_of(tmp_path)
