"""Dropping and collecting: what is kept stays whole, what nothing needs goes, and readers notice nothing."""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path

import pytest

from sandbox.errors import CheckpointNotFound, StoreDamaged, StoreFull, UsageError
from sandbox.store import steps
from sandbox.store.consolidate import consolidate
from sandbox.store.history import ExecutionRecord
from sandbox.store.retention import Limits
from sandbox.store.session import StoredSession
from sandbox.store.sessions import New
from sandbox.store.staging import Staging
from sandbox.store.store import Store

from .conftest import OWNER, PAGE, commit, content, patch, put

SIZE = 500_000


def pack_bytes(store: Store) -> int:
    return sum(path.stat().st_size for path in store.packs.rglob("*.pack"))


def fill(session: StoredSession, count: int) -> list[bytes]:
    contents = [os.urandom(SIZE) for _ in range(count)]
    for number, data in enumerate(contents, 1):
        commit(session, put("big", data), put("n", b"%d" % number), put(f"k{number}", b"x"))
    return contents


def test_dropping_frees_what_only_the_dropped_needed(store: Store, session: StoredSession) -> None:
    contents = fill(session, 6)
    before = pack_bytes(store)
    session.drop([1, 3, 4])
    freed = store.gc()
    assert (freed.before, freed.after) == (before, pack_bytes(store))
    assert pack_bytes(store) < before * 0.6
    for number in (2, 5, 6):
        found = content(store, session, number)
        assert found["big"] == contents[number - 1]
        assert found.keys() == {"big", "n", *(f"k{n}" for n in range(1, number + 1))}
    assert [(info.number, info.parent) for info in store.checkpoints("one", owner=OWNER)] == [(2, 0), (5, 2), (6, 5)]
    assert store.verify().ok


def test_every_choice_of_checkpoints_to_drop_leaves_the_others_as_they_were(store: Store) -> None:
    for mask in range(1, 32):
        session = store.create(New(f"s{mask}", OWNER))
        commit(session, put("a", b"1"), put("b", b"1"))
        commit(session, put("a", b"2"), ({"drop": "b"}, b""))
        session.rollback(1)
        commit(session, put("b", b"3"), put("c", b"3"))
        commit(session, ({"drop": "c"}, b""))
        session.rollback(2)
        commit(session, put("b", b"5"))
        commit(session, put("a", b"6"))
        before = {number: content(store, session, number) for number in range(1, 7)}
        dropped = [number for number in range(1, 6) if mask >> (number - 1) & 1]
        session.drop(dropped)
        for number in set(before) - set(dropped):
            assert content(store, session, number) == before[number], (mask, number)
        session.delete()
    assert store.database.one("SELECT count(*) FROM parts") == (0,)


def test_dropping_many_of_a_long_chain_keeps_its_manifests(store: Store, session: StoredSession) -> None:
    for number in range(1, 80):
        commit(session, put(f"k{number % 11}", b"%d" % number))
    before = {number: content(store, session, number) for number in (40, 79)}
    session.drop([number for number in range(1, 79) if number != 40])
    assert {number: content(store, session, number) for number in (40, 79)} == before
    assert store.verify().ok


def test_the_head_is_not_dropped(session: StoredSession) -> None:
    fill(session, 2)
    with pytest.raises(UsageError, match="head"):
        session.drop([1, 2])
    with pytest.raises(CheckpointNotFound):
        session.drop([7])


def test_a_reader_that_has_a_pack_mapped_sees_no_change(store: Store, session: StoredSession) -> None:
    (data,) = fill(session, 1)
    with store.parts(session, session.manifest) as parts:
        ((_, fd, start, size),) = parts.large["big"].extents
        mapped = mmap.mmap(parts.fds[fd], start + size, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
    fill(session, 3)
    session.drop([1, 2, 3])
    store.gc()
    session.delete()
    assert list(store.packs.rglob("*.pack")) == []
    assert mapped[start : start + size] == data
    mapped.close()


def test_reading_and_collecting_at_once_is_safe(home: Path, store: Store, session: StoredSession) -> None:
    contents = fill(session, 2)
    failures: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        with Store(home) as other:
            info = other.session("one", owner=OWNER)
            while not stop.is_set():
                try:
                    with other.parts(info, other.manifest("one", 2, owner=OWNER), verified=True) as parts:
                        assert parts.read("big") == contents[1]
                except BaseException as error:  # noqa: BLE001 - shown below
                    failures.append(error)
                    return

    thread = threading.Thread(target=read)
    thread.start()
    names = set()
    for _ in range(8):
        fill_more = [os.urandom(SIZE) for _ in range(4)]
        for data in fill_more:
            commit(session, put("other", data))
        session.drop(list(range(session.head - 3, session.head)))
        store.gc()
        names |= {path.name for path in store.packs.rglob("*.pack")}
    stop.set()
    thread.join()
    assert failures == []
    assert len(names) > 1


def test_what_another_process_is_writing_is_not_collected(home: Path, store: Store, session: StoredSession) -> None:
    fill(session, 1)
    staging = session.staging()
    data = os.urandom(SIZE)
    staging.put("mine", data)
    with Store(home) as other:
        other.gc()
    session.commit(staging)
    assert content(store, session)["mine"] == data


def test_what_is_damaged_is_not_copied_and_not_removed(store: Store, session: StoredSession) -> None:
    fill(session, 4)
    (pack,) = store.packs.rglob("*.pack")
    session.drop([1, 2, 3])
    with pack.open("r+b") as file:
        file.seek(-SIZE // 2, os.SEEK_END)
        file.write(b"damage")
    assert store.gc().damaged == (pack.name,)
    assert pack.exists()


def test_nothing_is_deleted_where_it_cannot_be_told_what_is_needed(store: Store, session: StoredSession) -> None:
    fill(session, 3)
    with store.database.writing():
        store.database.run("UPDATE checkpoints SET delta = x'00' WHERE id & 255 = 2")
    parts = store.database.one("SELECT count(*) FROM parts")
    with pytest.raises(StoreDamaged):
        session.drop([1])
    assert store.database.one("SELECT count(*) FROM parts") == parts
    assert content(store, session, 1)["n"] == b"1"


def test_a_quota_refuses_before_anything_is_written(home: Path) -> None:
    with Store(home, Limits(session_bytes=3 * SIZE)) as store:
        session = store.create(New("one", OWNER))
        contents = fill(session, 2)
        before = pack_bytes(store)
        with pytest.raises(StoreFull, match=r"exceed the 1\.4 MB that it may have") as full:
            fill(session, 1)
        assert full.value.details["limit"] == 3 * SIZE < full.value.details["seen"]
        assert pack_bytes(store) == before
        assert content(store, session)["big"] == contents[1]
        session.drop([1])
        store.gc()
        session.release()
        with store.open("one", owner=OWNER) as again:
            fill(again, 1)


def test_the_oldest_checkpoints_without_a_label_make_room(home: Path) -> None:
    with Store(home, Limits(session_bytes=5 * SIZE, drop_oldest=True)) as store:
        session = store.create(New("one", OWNER))
        contents = fill(session, 2)
        session.label(1, "keep")
        contents += fill(session, 10)
        left = [info.number for info in store.checkpoints("one", owner=OWNER)]
        assert left[0] == 1
        assert left[-1] == 12
        assert 2 not in left
        assert {number: content(store, session, number)["big"] for number in left} == {
            number: contents[number - 1] for number in left
        }
        assert pack_bytes(store) < 8 * SIZE
        with pytest.raises(StoreFull):
            commit(session, put("huge", bytes(6 * SIZE)))


def test_all_sessions_share_a_quota(home: Path) -> None:
    with Store(home, Limits(total_bytes=3 * SIZE)) as store:
        one, two = store.create(New("one", OWNER)), store.create(New("two", OWNER))
        fill(one, 2)
        store._counted = 0.0
        with pytest.raises(StoreFull, match="sandbox sessions rm"):
            fill(two, 1)
        one.delete()
        fill(two, 1)


def test_a_fork_pays_for_what_it_shares_when_the_other_is_gone(store: Store, session: StoredSession) -> None:
    fill(session, 2)
    session.fork([New("two", OWNER)])
    store.gc()
    assert store.session("two", owner=OWNER).bytes < SIZE
    session.delete()
    store.gc()
    assert SIZE < store.session("two", owner=OWNER).bytes < 1.1 * SIZE
    assert pack_bytes(store) < 1.2 * SIZE


def test_outputs_count_for_the_quota_too(home: Path) -> None:
    with Store(home, Limits(session_bytes=10_000)) as store:
        session = store.create(New("one", OWNER))
        record = ExecutionRecord(number=1, code="", status="ok", started=1.0)
        with pytest.raises(StoreFull):
            session.commit(execution=record, outputs=[{"text": os.urandom(10_000).hex()}])
        assert session.commit(execution=record, outputs=[{"text": "x"}]) == 1


def test_a_part_that_somebody_else_has_rewritten_meanwhile_is_left_to_them(
    home: Path, store: Store, session: StoredSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 40 * PAGE
    commit(session, put("big", bytes(size)))
    commit(session, patch("big", size, (PAGE, b"x" * PAGE)))
    part = session.manifest["big"]
    told: list[str] = []
    assert isinstance(part, int)

    def other(step: str) -> None:
        if step == "pack synced" and not told:
            told.append(step)
            with Store(home) as second:
                staging = Staging(second.pool.of(session.tree), lambda _: None, "other")
                assert consolidate(second.database, staging, session.packs, part)

    monkeypatch.setattr(steps, "hook", other)
    assert not consolidate(store.database, session.staging(), session.packs, part)
    assert told
    assert store.verify().ok
    assert content(store, session)["big"] == bytes(PAGE) + b"x" * PAGE + bytes(size - 2 * PAGE)
