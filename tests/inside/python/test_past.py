"""What only a session's past holds is let go, and what was freed goes back to the system."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from sandbox.engine.thread import EngineThread
from sandbox.inside.python.cells import Recent
from sandbox.sync import LocalSandbox

_SECONDS = 20.0
_ARRAY, _LITTLE = 200, 40  # MB

Open = Callable[..., LocalSandbox]


@pytest.fixture
def open_box(engine: EngineThread) -> Iterator[Open]:
    opened: list[LocalSandbox] = []

    def open_box(**options: object) -> LocalSandbox:
        box = LocalSandbox(**{"memory": 1024, "timeout": 60, **options}).start()  # type: ignore[arg-type]
        opened.append(box)
        box.run("import numpy, matplotlib.pyplot as plt; plt.plot([1]); plt.show()")
        box.run("def array(): return numpy.ones(25_000_000)")
        return box

    yield open_box
    for box in opened:
        box.delete()


def used(box: LocalSandbox) -> float:
    """MB, as seen from outside: nothing is run for it."""
    return box.metrics.get("memory_usage")


def falls_below(box: LocalSandbox, most: float) -> bool:
    """Whether it comes to take no more MB than that, while nothing is run."""
    deadline = time.monotonic() + _SECONDS
    while used(box) > most and time.monotonic() < deadline:
        time.sleep(0.01)
    return used(box) <= most


LEFT = {
    "variables of a function that raised": "def f():\n    held = array()\n    raise ValueError\nf()",
    "variables of a cell's await that raised": "async def f():\n    held = array()\n    1/0\nawait f()",
    "what an exception was told, with its cause": (
        "try:\n    raise ValueError(array())\nexcept ValueError as error:\n    raise KeyError(array()[::2]) from error"
    ),
    "an interrupted function": "import _thread\ndef f():\n    held = array()\n    _thread.interrupt_main()\nf()",
    "figures that were shown": "figure = plt.figure(); figure.held = array(); plt.plot([1]); del figure; plt.show();",
    "figures that were left open": "plt.plot([1]); plt.gca().held = array();",
    "garbage in cycles": "class A: pass\none = A(); one.me, one.held = one, array()\ndel one",
}


@pytest.mark.parametrize("code", LEFT.values(), ids=LEFT)
def test_what_nobody_can_name_any_more_is_released(open_box: Open, code: str) -> None:
    box = open_box()
    before = used(box)
    box.run(code, check=False)
    assert falls_below(box, before + _LITTLE)
    # The control: what has a name takes so much, and stays.
    box.run("named = array();")
    assert used(box) > before + _ARRAY - _LITTLE


def test_a_large_last_value_goes_with_the_execution_after_it(open_box: Open) -> None:
    box = open_box()
    before = used(box)
    box.run("array()")
    assert used(box) > before + _ARRAY - _LITTLE
    assert box.run("total = _.sum(); print(total)").stdout == "25000000.0\n"
    assert falls_below(box, before + _LITTLE)


def test_a_name_that_is_deleted_is_not_kept_by_the_value_that_was_shown_of_it(open_box: Open) -> None:
    box = open_box()
    before = used(box)
    for code in ("named = array()", "named", "del named"):
        box.run(code)
    assert falls_below(box, before + _LITTLE)


def test_the_last_value_of_a_small_session_stays(open_box: Open) -> None:
    box = open_box()
    for code in ("[1, 2]", "x = 1", "y = 2"):
        box.run(code)
    assert box.run("_").text == "[1, 2]"


def test_what_others_have_made_of_the_last_values_name_is_theirs(open_box: Open) -> None:
    box = open_box()
    for code in ("array()", "import gettext; gettext.install('none')", "named = array()", "more = array()"):
        box.run(code)
    assert box.run("_('text')").text == "'text'"


def test_an_exception_that_code_has_kept_keeps_its_frames(open_box: Open) -> None:
    box = open_box()
    box.run(
        "def f():\n    held = array()\n    raise ValueError\ntry:\n    f()\nexcept ValueError as error: kept = error"
    )
    code = "kept.__traceback__.tb_next.tb_frame.f_locals['held'].size"
    assert box.run(code).text == "25000000"


FREED = {
    "objects": "held = [str(n) * 20 for n in range(2_500_000)]",
    "blocks below one that is in use": "held = [bytes(20_000) for _ in range(25_000)]; above = bytes(20_000)",
    "blocks between some that are in use": (
        "held, among = [], []\nfor n in range(25_000):\n    held.append(bytes(20_000))\n"
        "    if not n % 100: among.append(bytes(20_000))"
    ),
}


@pytest.mark.parametrize("fill", FREED.values(), ids=FREED)
def test_an_idle_worker_gives_back_what_was_freed(open_box: Open, fill: str) -> None:
    box = open_box(memory=2048, persist=False)
    before = used(box)
    box.run(fill)
    taken = used(box) - before
    assert taken > 300
    box.run("del held")
    assert falls_below(box, before + taken / 10)


def test_what_objects_do_at_their_end_belongs_to_the_execution_that_has_let_them_go(open_box: Open) -> None:
    box = open_box()
    box.run("ends = []\nclass Ends:\n    def __del__(self): ends.append(1); print('ended')")
    failed = box.run("def f():\n    held = Ends()\n    1/0\nf()", check=False)
    in_a_cycle = box.run("one = Ends(); one.me, one.held = one, array()\ndel one")
    assert (failed.stdout, in_a_cycle.stdout) == ("ended\n", "ended\n")
    box.stop()
    box.start()
    assert box.run("ends").text == "[1, 1]"


def test_an_end_that_does_not_end_is_interrupted(open_box: Open) -> None:
    box = open_box()
    box.run("kept = 1\nclass Ends:\n    def __del__(self):\n        while True: pass")
    stopped = box.run("def f():\n    held = Ends()\n    1/0\nf()", check=False, timeout=0.5)
    assert (stopped.status, stopped.state) == ("timeout", "kept")
    assert box.run("kept").text == "1"


def test_a_worker_whose_descriptors_were_closed_goes_on(open_box: Open) -> None:
    box = open_box()
    box.run(
        "import os\nfor fd in map(int, os.listdir('/proc/self/fd')):\n    try:\n"
        "        if os.readlink(f'/proc/self/fd/{fd}').endswith('statm'): os.close(fd); found = fd\n"
        "    except OSError: pass"
    )
    assert box.run("os.dup2(os.open('file', os.O_RDWR | os.O_CREAT), found) == found").text == "True"
    assert box.run("named = array(); named.size").text == "25000000"


def test_the_texts_of_earlier_cells_take_a_bounded_part(open_box: Open) -> None:
    box = open_box(persist=False)
    before = used(box)
    for number in range(100):
        box.run(f"text = {'x' * 400_000 + str(number)!r}")
    assert used(box) < before + 80


def test_the_newest_is_always_remembered_and_the_oldest_goes_first() -> None:
    recent = Recent(10, 2)
    assert recent.note("a", 100) == []
    assert recent.note("b", 4) == ["a"]
    assert recent.note("c", 1) == []
    assert recent.note("b", 4) == []
    assert recent.note("d", 5) == ["c"]
    gone = [recent.note(str(number), 0) for number in range(100)]
    assert all(len(old) <= 2 for old in gone)
    assert sum(map(len, gone)) == 97
    assert all(one < other for one, other in pairwise([int(old) for olds in gone for old in olds if old.isdigit()]))
