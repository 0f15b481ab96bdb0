"""What a delta has in it, and what it has not."""

from __future__ import annotations

import json
import threading

import pytest
from tests.inside.state.live import Live, keys

from sandbox.inside.state import StateLost


def test_the_first_save_has_only_what_the_session_made(live: Live) -> None:
    live.run("pass")
    assert [key for key in keys(live.run("pass")) if "random" not in key] == []
    assert live.index["names"] == {}


def test_a_cell_that_changes_nothing_has_an_empty_delta(live: Live) -> None:
    live.run("x = 5; l = [1]; d = {'a': l}\ndef f(): return l")
    for cell in ("x + 1", "l[0]", "f()", "d['a']", "1 / 2"):
        assert keys(live.run(cell)) == [], cell


def test_a_number_that_changes_is_in_the_index_and_nowhere_else(live: Live) -> None:
    live.run("x = 5")
    assert keys(live.run("x = 6")) == ["put index"]
    assert live.index["names"]["x"] == {"type": "int", "since": 2, "value": 6}


@pytest.mark.parametrize("value", ["10**30", "-0.0", "float('nan')", "float('inf')", "True", "None", "'\\ud800'", "''"])
def test_values_in_the_index_come_back_exactly(live: Live, value: str) -> None:
    live.run(f"x = {value}")
    space, lost = live.fresh()
    assert lost == []
    assert repr(space["x"]) == repr(eval(value))
    assert type(space["x"]) is type(eval(value))


def test_a_change_writes_the_group_that_it_is_in_and_no_other(live: Live) -> None:
    live.run("a = [1]; b = [2]; c = {'b': b}")
    delta = live.run("b.append(3)")
    assert len([key for key in keys(delta) if "group" in key]) == 1
    assert live.fresh()[0]["c"]["b"] == [2, 3]


def test_names_that_share_an_object_are_one_group_and_part_when_one_is_bound_anew(live: Live) -> None:
    live.run("a = [1]; b = [a]")
    names = live.index["names"]
    assert names["a"]["group"] == names["b"]["group"]
    live.run("a = [2]")
    names = live.index["names"]
    assert names["a"]["group"] != names["b"]["group"]
    assert live.fresh()[0]["b"] == [[1]]


def test_a_deleted_name_is_gone_with_its_group(live: Live) -> None:
    live.run("a = [1]; b = 5")
    assert [key for key in keys(live.run("del a, b")) if "drop" in key] == ["drop group/1"]
    assert not {"a", "b"} & live.fresh()[0].keys()


def test_an_instance_does_not_bring_its_class_along(live: Live) -> None:
    live.run("class C: pass\nc = C()")
    assert live.index["names"]["c"]["group"] != live.index["names"]["C"]["group"]
    assert len([key for key in keys(live.run("c.x = 1")) if "group" in key]) == 1


def test_what_a_method_changes_behind_a_name_is_seen(live: Live) -> None:
    live.run("total = []\nclass C:\n    def add(self): total.append(1)\nc = C()\ndef go(): c.add()")
    live.run("go()")
    assert live.fresh()[0]["total"] == [1]


def test_what_is_reached_without_its_name_is_seen(live: Live) -> None:
    live.run("hidden = [1]")
    live.run("globals()['hid' + 'den'].append(2)")
    assert live.fresh()[0]["hidden"] == [1, 2]


def test_what_a_thread_changes_between_executions_is_seen(live: Live) -> None:
    go, done = threading.Event(), threading.Event()
    live.run("box = []")
    live.main.__dict__["__loader__"] = None
    box = live.main.__dict__["box"]

    def run() -> None:
        go.wait(10)
        box.append(1)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    live.run("x = 1")
    go.set()
    assert done.wait(10)
    thread.join()
    live.run("x = 2")
    assert live.fresh()[0]["box"] == [1]


def test_a_lost_name_is_told_at_every_save_and_raises_when_it_is_used(live: Live) -> None:
    live.run("import sys; frame = sys._getframe(); beside = [frame and 1]")
    delta = live.run("x = 1")
    assert [(one.name, one.since) for one in delta.lost] == [("frame", 1)]
    space, lost = live.fresh()
    assert [one.name for one in lost] == ["frame"]
    assert space["beside"] == [1]
    with pytest.raises(StateLost, match=r"frame \(frame\), made by execution 1, could not be kept: .*running program"):
        space["frame"].f_code  # noqa: B018
    with pytest.raises(NameError):
        str(space["frame"])


def test_a_name_that_is_bound_anew_is_not_lost_any_more(live: Live) -> None:
    live.run("x = (n for n in [1]); next(x)")
    assert live.run("y = 1").lost != []
    assert live.run("x = 2").lost == []
    assert live.fresh()[0]["x"] == 2


def test_only_the_name_that_cannot_be_kept_is_lost(live: Live) -> None:
    live.run("shared = [1]; a = [shared]; b = [shared, (n for n in [1, 2])]; next(b[1])")
    space, lost = live.fresh()
    assert [one.name for one in lost] == ["b"]
    assert space["a"][0] is space["shared"]


def test_a_restored_session_goes_on_and_saves_only_what_changes(live: Live) -> None:
    live.run("l = [1]; d = {'l': l}\ndef f(): l.append(len(l))")
    parts = live.parts
    again = Live(live.main.__class__("__main__"))
    again.parts = parts
    assert again.saver.restore(parts) == []
    again._number = 1
    assert [key for key in keys(again.run("d['l']")) if "random" not in key] == []
    assert any("group" in key for key in keys(again.run("f()")))
    assert again.fresh()[0]["d"] == {"l": [1, 1]}


def test_after_a_delta_that_got_lost_the_next_one_has_everything(live: Live) -> None:
    live.run("l = [1]; x = 5")
    live.parts.clear()
    live.saver.distrust()
    live.run("pass")
    space, lost = live.fresh()
    assert (space["l"], space["x"], lost) == ([1], 5, [])


def test_an_index_of_many_names_is_written_in_shards(live: Live) -> None:
    live.run("\n".join(f"n{number} = {number}" for number in range(500)))
    delta = live.run("n3 = -1")
    assert keys(delta) == ["put index"]
    assert sum(len(piece) for _, pieces in delta.records for piece in pieces) < 10_000
    space, lost = live.fresh()
    assert lost == []
    assert [space[f"n{number}"] for number in (0, 3, 499)] == [0, -1, 499]


def test_names_come_back_in_their_order(live: Live) -> None:
    live.run("b = [1]; a = 1\ndef z(): return b\nimport json; c = {'x': b}")
    live.run("a = 2; e = 1")
    before = [name for name in live.main.__dict__ if not name.startswith("__")]
    assert [name for name in live.fresh()[0] if not name.startswith("__")] == before


def test_a_restored_traceback_shows_its_lines(live: Live) -> None:
    live.run("def boom():\n    raise ValueError('bad')\ntry: boom()\nexcept ValueError as error: kept = error")
    assert "cells/1" in live.parts
    kept = live.fresh()[0]["kept"]
    names = []
    trace = kept.__traceback__
    while trace is not None:
        names.append((trace.tb_frame.f_code.co_name, trace.tb_lineno))
        trace = trace.tb_next
    assert names == [("<module>", 3), ("boom", 2)]


def test_texts_of_cells_go_when_no_code_of_theirs_is_left(live: Live) -> None:
    live.run("def f(): return 1")
    live.run("x = 1")
    assert [key for key in live.parts if key.startswith("cells/")] == ["cells/1"]
    live.run("del f")
    assert [key for key in live.parts if key.startswith("cells/")] == []


def test_the_index_is_plain_data_and_never_asks_the_users_objects(live: Live) -> None:
    live.run(
        "class C:\n    def __repr__(self): raise SystemExit\n    def __len__(self): raise SystemExit\nc = C(); l = [c]"
    )
    entry = live.index["names"]["l"]
    assert entry["shape"] == [1]
    assert json.dumps(live.index)


def test_what_cannot_be_a_name_is_reported(live: Live) -> None:
    delta = live.run("globals()[5] = 1; x = 2")
    assert [one.reason for one in delta.lost] == ["it is not bound to a name that a variable can have"]
    assert live.fresh()[0]["x"] == 2


def test_environment_and_directory_are_stored_only_while_they_differ(live: Live) -> None:
    live.saver.begin()  # pytest changes the environment between a fixture and a test
    live.run("import os; os.environ['STATE_TEST'] = '1'; os.mkdir('d'); os.chdir('d')")
    try:
        assert {"ambient/environ", "ambient/cwd"} <= live.parts.keys()
    finally:
        delta = live.run("del os.environ['STATE_TEST']; os.chdir('..')")
    assert {"drop ambient/environ", "drop ambient/cwd"} <= set(keys(delta))
