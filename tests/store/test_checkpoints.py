"""Checkpoints: a tree of states, each of which can be had again whatever came after it."""

from __future__ import annotations

import os
import time

import pytest

from sandbox.errors import CheckpointNotFound, UsageError
from sandbox.store import manifest, packs, steps
from sandbox.store.history import ArtifactRecord, ExecutionRecord
from sandbox.store.manifest import CHAIN
from sandbox.store.session import StoredSession
from sandbox.store.sessions import New
from sandbox.store.store import Store
from sandbox.store.tree import Difference

from .conftest import OWNER, commit, content, patch, put

BIG = os.urandom(300_000)


def execution(number: int, code: str = "x = 1", **more: object) -> ExecutionRecord:
    return ExecutionRecord(number=number, code=code, status="ok", started=time.time(), **more)  # type: ignore[arg-type]


def test_a_commit_without_changes_is_a_checkpoint_too(store: Store, session: StoredSession) -> None:
    commit(session, put("a", b"1"))
    assert session.commit() == 2
    assert content(store, session) == {"a": b"1"}


def test_every_checkpoint_of_a_long_chain_is_there(store: Store, session: StoredSession) -> None:
    states: list[dict[str, bytes]] = [{}]
    for number in range(1, 100):
        state = {**states[-1], "n": b"%d" % number, f"k{number % 7}": b"%d" % number}
        commit(session, *(put(key, value) for key, value in state.items() if states[-1].get(key) != value))
        states.append(state)
    for number, state in enumerate(states):
        assert content(store, session, number) == state
    wholes = store.database.one("SELECT count(*) FROM checkpoints WHERE whole IS NOT NULL")[0]
    assert wholes == 99 // manifest.CHAIN


def test_the_longest_way_to_a_whole_manifest_is_bounded_even_if_it_is_large(store: Store) -> None:
    assert not manifest.wants_whole(40, 100, 100_000)
    assert manifest.wants_whole(256, 100, 100_000)
    assert manifest.wants_whole(32, 100, 100)
    assert not manifest.wants_whole(31, 100, 100)


def test_rolling_back_keeps_both_branches(store: Store, session: StoredSession) -> None:
    commit(session, put("a", b"1"))
    commit(session, put("a", b"2"), label="two")
    assert session.rollback(1) == 1
    assert session.manifest == store.manifest("one", 1, owner=OWNER)
    commit(session, put("b", b"3"))
    assert [(info.number, info.parent) for info in store.checkpoints("one", owner=OWNER)] == [(1, 0), (2, 1), (3, 1)]
    assert content(store, session) == {"a": b"1", "b": b"3"}
    assert session.rollback("two") == 2
    assert content(store, session) == {"a": b"2"}
    assert session.rollback(0) == 0
    assert content(store, session) == {}
    commit(session, put("c", b"4"))
    assert content(store, session) == {"c": b"4"}


def test_a_rollback_is_kept(store: Store, session: StoredSession) -> None:
    commit(session, put("a", b"1"))
    commit(session, put("a", b"2"))
    session.rollback(1)
    session.release()
    assert content(store, store.open("one", owner=OWNER)) == {"a": b"1"}


@pytest.mark.parametrize("to", [2, -1, 1 << 40, "none"])
def test_a_checkpoint_that_is_not_there_is_not_found(session: StoredSession, to: int | str) -> None:
    commit(session, put("a", b"1"))
    with pytest.raises(CheckpointNotFound):
        session.rollback(to)
    assert session.head == 1


def test_labels_can_be_set_and_the_newest_counts(store: Store, session: StoredSession) -> None:
    for _ in range(3):
        session.commit(label="same")
    session.label(3, None)
    assert store.find("one", "same", owner=OWNER) == 2


def test_forks_begin_where_the_checkpoint_is_and_go_their_own_ways(store: Store, session: StoredSession) -> None:
    commit(session, put("a", b"1"), put("big", BIG), execution=execution(1))
    commit(session, put("a", b"2"), execution=execution(2, "later"))
    session.fork([New("two", "ignored"), New("three", "ignored")], 1)
    two, three = store.open("two", owner=OWNER), store.open("three", owner=OWNER)
    assert content(store, two) == content(store, three) == {"a": b"1", "big": BIG}
    commit(two, patch("big", len(BIG), (0, b"2" * 4096)), execution=execution(2, "mine"))
    assert content(store, two)["big"] == b"2" * 4096 + BIG[4096:]
    assert content(store, three)["big"] == BIG
    assert content(store, session) == {"a": b"2", "big": BIG}
    assert [record.code for record in store.history("two", owner=OWNER)] == ["mine", "x = 1"]
    assert [record.code for record in store.history("three", owner=OWNER)] == ["x = 1"]
    info = store.session("two", owner=OWNER)
    assert info.origin is not None
    assert (info.origin.session, info.origin.checkpoint) == ("one", 1)
    session.delete()
    store.gc()
    assert content(store, three) == {"a": b"1", "big": BIG}


def test_a_fork_of_a_fork_has_the_whole_history_that_led_to_it(store: Store, session: StoredSession) -> None:
    commit(session, execution=execution(1, "one"))
    commit(session, execution=execution(2, "elsewhere"))
    session.rollback(1)
    commit(session, execution=execution(3, "three"))
    session.fork([New("two", OWNER)])
    two = store.open("two", owner=OWNER)
    commit(two, execution=execution(4, "four"))
    two.fork([New("three", OWNER)])
    assert [record.code for record in store.history("three", owner=OWNER)] == ["four", "three", "one"]


def test_the_difference_is_told_by_content(store: Store, session: StoredSession) -> None:
    commit(session, put("same", b"1"), put("changed", b"1"), put("gone", b"1"), put("big", BIG))
    commit(session, put("same", b"1"), put("changed", b"2"), ({"drop": "gone"}, b""), put("new", b"1"), put("big", BIG))
    assert store.diff("one", 1, 2, owner=OWNER) == Difference(("new",), ("gone",), ("changed",))
    assert store.diff("one", 0, 1, owner=OWNER).added == ("big", "changed", "gone", "same")
    assert store.diff("one", 2, 2, owner=OWNER) == Difference((), (), ())


def test_equal_large_parts_are_stored_once(store: Store, session: StoredSession) -> None:
    commit(session, put("a", BIG))
    commit(session, put("b", BIG))
    assert session.manifest["a"] == session.manifest["b"]


def test_the_history_is_kept_in_pages_newest_first(store: Store, session: StoredSession) -> None:
    for number in range(1, 8):
        session.commit(execution=execution(number, f"n = {number}", cache_hit=number > 4, seconds=0.5, info={"x": [1]}))
    page = store.history("one", owner=OWNER, limit=3)
    assert [record.number for record in page] == [7, 6, 5]
    assert [record.number for record in store.history("one", owner=OWNER, before=5, limit=3)] == [4, 3, 2]
    assert (page[0].code, page[0].cache_hit, page[0].info, page[0].has_outputs) == ("n = 7", True, {"x": [1]}, False)
    assert store.stats("one", owner=OWNER) == (7, 3, 3.5, 0)
    assert session.last_execution == 7


def test_outputs_come_back_whatever_their_size(store: Store, session: StoredSession) -> None:
    small, large = [{"stream": "stdout", "text": "hi"}], [{"text": os.urandom(100_000).hex()}]
    session.commit(execution=execution(1), outputs=small)
    session.commit(execution=execution(2), outputs=large)
    session.commit(execution=execution(3))
    assert [store.outputs("one", number, owner=OWNER) for number in (1, 2, 3)] == [small, large, []]
    session.drop([1, 2])
    store.gc()
    assert store.outputs("one", 2, owner=OWNER) == large


def test_artifacts_are_kept_with_their_bytes(store: Store, session: StoredSession) -> None:
    staging = session.staging()
    record = ArtifactRecord(name="a.png", mime="image/png", size=len(BIG), sha256="0" * 64, created=1.0)
    session.commit(staging, execution=execution(1), artifacts=[(record, staging.part(BIG))])
    ((number, found),) = store.artifacts("one", owner=OWNER)
    assert (number, found.name, found.size) == (1, "a.png", len(BIG))
    with store.parts(session, {"x": found.part}) as parts:
        assert parts.read("x") == BIG


def test_an_execution_is_recorded_once(store: Store, session: StoredSession) -> None:
    session.commit(execution=execution(1))
    with pytest.raises(UsageError, match="execution 1 already"):
        commit(session, put("a", BIG), execution=execution(1))
    with pytest.raises(UsageError):
        session.commit(outputs=[{"x": 1}])
    assert session.head == 1
    assert content(store, session) == {}


def test_many_patches_are_brought_into_one_piece(store: Store, session: StoredSession) -> None:
    pages = 2200
    data = bytearray(os.urandom(pages * 4096))
    commit(session, put("big", bytes(data)))
    pieces = [(n * 4096, os.urandom(4096)) for n in range(0, pages, 2)]
    for offset, piece in pieces:
        data[offset : offset + 4096] = piece
    number = commit(session, patch("big", len(data), *pieces))
    with store.parts(session, session.manifest) as parts:
        assert len(parts.large["big"].extents) > 1000
    session.tend()
    with store.parts(session, session.manifest) as parts:
        assert len(parts.large["big"].extents) == 1
    assert content(store, session)["big"] == content(store, session, number)["big"] == data


def test_what_patches_keep_alive_does_not_grow_without_end(store: Store, session: StoredSession) -> None:
    size = 40 * 4096
    commit(session, put("big", bytes(size)))
    for turn in range(30):
        # All but one page are new each time, in another record; the one keeps the whole old record alive.
        commit(session, patch("big", size, (4096, bytes([turn]) * (size - 4096))))
        session.drop([session.head - 1])
    session.tend()
    store.gc()
    assert sum(path.stat().st_size for path in store.packs.rglob("*.pack")) < 8 * size
    assert content(store, session)["big"] == bytes(4096) + bytes([29]) * (size - 4096)


def test_text_that_is_none_is_stored_as_far_as_it_is(store: Store, session: StoredSession) -> None:
    session.commit(execution=execution(1, "x = '\ud800é'"), label="\ud800")
    assert store.history("one", owner=OWNER)[0].code == "x = '?é'"
    session.rename(name="\udfff", label="é")
    assert store.session("one", owner=OWNER).name == "?"


@pytest.mark.parametrize("wrong", [object(), "\ud800", {1: {2: {(): 1}}}])
def test_outputs_that_are_no_json_are_refused(store: Store, session: StoredSession, wrong: object) -> None:
    commit(session, put("a", b"1"))
    with pytest.raises(UsageError, match="JSON"):
        session.commit(execution=execution(1), outputs=[{"x": wrong}])
    with pytest.raises(UsageError, match="JSON"):
        commit(session, put("a", b"2"), execution=execution(1, info={"x": wrong}))
    assert content(store, session) == {"a": b"1"}
    assert session.head == 1


@pytest.mark.parametrize("number", [0, -1, 1 << 32])
def test_an_execution_has_a_number_that_can_be(session: StoredSession, number: int) -> None:
    with pytest.raises(UsageError, match="number"):
        session.commit(execution=execution(number))


def test_a_pack_says_of_itself_what_its_records_are(store: Store, session: StoredSession) -> None:
    commit(session, put("big", BIG))
    commit(session, patch("big", len(BIG), (4096, b"1" * 4096)))
    (pack,) = store.packs.rglob("*.pack")
    with pack.open("rb") as file:
        found = list(packs.records(file.fileno(), pack.stat().st_size, pack.name))
    assert [record.about for record in found] == [
        {"session": "one", "key": "big"},
        {"session": "one", "key": "big", "total": len(BIG), "ranges": [[4096, 4096]]},
    ]


def test_a_commit_of_which_it_is_not_known_whether_it_was_made_keeps_its_bytes(
    store: Store, session: StoredSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(session, put("big", BIG))

    def failing(step: str) -> None:
        if step == "commit done":
            raise OSError("the disk went away after the transaction was written")

    monkeypatch.setattr(steps, "hook", failing)
    with pytest.raises(OSError, match="went away"):
        commit(session, put("more", BIG[::-1]))
    monkeypatch.undo()
    session.release()
    again = store.open("one", owner=OWNER)
    assert content(store, again) == {"big": BIG, "more": BIG[::-1]}
    commit(again, put("after", BIG[1:]))
    assert content(store, again) == {"big": BIG, "more": BIG[::-1], "after": BIG[1:]}


def test_the_head_can_be_changed_itself(store: Store, session: StoredSession) -> None:
    commit(session, put("kept", b"k"), put("gone", BIG), put("other", b"1"))
    head = session.head
    staging = session.staging()
    staging.put("other", b"2")
    staging.put("new", BIG[::-1])
    staging.drop("gone")
    session.amend(staging)
    changed = {"kept": b"k", "other": b"2", "new": BIG[::-1]}
    assert (session.head, content(store, session)) == (head, changed)
    assert len(store.database.all("SELECT id FROM parts")) == 3
    session.release()
    again = store.open("one", owner=OWNER)
    assert content(store, again) == changed
    commit(again, put("after", b"a"))
    again.rollback(head)
    assert content(store, again) == changed
    assert store.verify().ok


def test_a_head_with_a_whole_manifest_can_be_changed_itself(store: Store, session: StoredSession) -> None:
    for number in range(CHAIN):
        commit(session, put(f"key {number}", b"1"))
    staging = session.staging()
    staging.put("key 0", b"2")
    staging.drop("key 1")
    session.amend(staging)
    found = content(store, session)
    assert (found["key 0"], "key 1" in found, len(found)) == (b"2", False, CHAIN - 1)
    session.release()
    assert content(store, store.open("one", owner=OWNER)) == found


def test_before_the_first_checkpoint_there_is_nothing_to_change(session: StoredSession) -> None:
    with pytest.raises(UsageError, match="no checkpoint yet"):
        session.amend(session.staging())
