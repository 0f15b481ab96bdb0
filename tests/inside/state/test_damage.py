"""Parts that are damaged, or made to do harm: they cost the names that they are about, and nothing else."""

from __future__ import annotations

import json
import pickle
import random

import pytest
from tests.inside.state.live import Live

from sandbox.inside.state import DamagedIndex, StateLost


def damaged(live: Live, key: str, data: bytes) -> tuple[dict[str, object], list[str]]:
    live.parts[key] = data
    space, lost = live.fresh()
    return space, sorted(one.name for one in lost)


@pytest.fixture
def session(live: Live) -> Live:
    live.run("a = [1]; b = [a]; c = [3]; n = 5\ndef f(): return c")
    return live


def group_of(session: Live, name: str) -> str:
    return f"group/{session.index['names'][name]['group']}"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x05", b"garbage", pickle.dumps([1]), pickle.dumps({"x": 1}), pickle.dumps({"a": 1, "b": 2, "z": 3})],
    ids=["empty", "cut", "garbage", "no group", "other names", "more names"],
)
def test_a_damaged_group_costs_its_names(session: Live, data: bytes) -> None:
    space, lost = damaged(session, group_of(session, "a"), data)
    assert lost == ["a", "b"]
    assert space["c"] == [3]
    assert space["n"] == 5
    with pytest.raises(StateLost, match="a "):
        len(space["a"])  # type: ignore[arg-type]


def test_a_missing_group_costs_its_names(session: Live) -> None:
    del session.parts[group_of(session, "c")]
    space, lost = session.fresh()
    assert [one.name for one in lost] == ["c"]
    assert space["b"] == [[1]]


def test_a_value_of_another_type_is_not_taken(session: Live) -> None:
    space, lost = damaged(session, group_of(session, "c"), pickle.dumps({"c": "text"}))
    assert lost == ["c"]
    with pytest.raises(StateLost, match="came back as a str"):
        str(space["c"])


class _Exits:
    def __reduce__(self) -> tuple[object, ...]:
        return exit, (3,)


def test_a_pickle_that_ends_the_process_costs_its_names(session: Live) -> None:
    assert damaged(session, group_of(session, "c"), pickle.dumps({"c": _Exits()}))[1] == ["c"]


def test_bytes_at_random_never_do_more(session: Live) -> None:
    chance = random.Random(3)
    key = group_of(session, "a")
    good = session.parts[key]
    for _ in range(200):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        space, lost = damaged(session, key, bytes(data))
        assert set(lost) <= {"a", "b"}
        assert space["c"] == [3]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format":99}', b'{"format":1,"names":[]}', b"\xff"])
def test_a_damaged_index_is_an_error(session: Live, data: bytes) -> None:
    session.parts["index"] = data
    with pytest.raises(DamagedIndex, match="index"):
        session.fresh()


_ENTRIES = [{}, {"group": 77}, {"group": "1"}, {"group": None}, {"module": "no.such.module"}, {"module": 5}, [1], None]


@pytest.mark.parametrize("entry", _ENTRIES)
def test_a_damaged_entry_costs_its_name(session: Live, entry: object) -> None:
    index = session.index
    index["names"]["c"] = entry
    session.parts["index"] = json.dumps(index).encode()
    space, lost = session.fresh()
    assert "c" in {one.name for one in lost}
    assert space["n"] == 5
    assert space["a"] == [1]


def test_damaged_settings_are_reported_and_cost_no_variables(session: Live) -> None:
    session.run("import os; os.environ['STATE_TEST'] = '1'")
    session.run("del os.environ['STATE_TEST']")
    session.parts["ambient/environ"] = b"garbage"
    session.parts["ambient/imports"] = b"{"
    space, lost = session.fresh()
    assert {one.name for one in lost} >= {"setting environ", "setting imports"}
    assert space["a"] == [1]


def test_a_check_says_what_would_be_lost_and_only_that(live: Live) -> None:
    live.run(
        "class Bad:\n    def __setstate__(self, state): raise ValueError('no')\nbad = Bad(); bad.x = 1; good = [1]"
    )
    live.run("gone = (n for n in [1, 2]); next(gone)")
    assert [(one.name, one.reason) for one in live.check()] == [("bad", "ValueError: no")]
