"""Which values are to be loaded in a spare worker, what is found there, and what the session makes of it."""

from __future__ import annotations

import gc
import weakref

import pytest
from tests.inside.state.live import Live, keys

from sandbox.inside.state import StateLost

GOOD = "class Good:\n    def __setstate__(self, state): self.__dict__.update(state)\n"
BAD = "class Bad:\n    def __setstate__(self, state): raise ValueError('no')\n"

PLAIN = [
    "x = [1, {2: (3,)}]; y = 5; f = lambda: x",
    "class P:\n    def __init__(self, a): self.a = a\n    def __eq__(self, other): return True\nx = P([1])",
    "from dataclasses import dataclass\n@dataclass(frozen=True, slots=True)\nclass P:\n    a: int\nx = {P(1): P(2)}",
    "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass P:\n    a: list\nx = P([1])",
    "from typing import NamedTuple\nclass P(NamedTuple):\n    a: int\nx = [P(1)]",
    "from collections import namedtuple\nP = namedtuple('P', 'a b')\nx = P(1, 2)",
    "from enum import Enum\nclass E(Enum):\n    A = 1\nx = E.A",
    "class E(Exception):\n    def __init__(self, a, b): super().__init__(a)\nx = E(1, 2)",
    "class P:\n    __slots__ = ('a',)\n    def __getattr__(self, name): return 1\nx = P(); x.a = 1",
    "class S(list):\n    pass\nx = S([1]); x.y = 2",
    "class D(dict):\n    def get(self, key): return 1\nx = D(a=1)",
    "import abc\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n"
    "class B(A):\n    def f(self): ...\nx = B()",
    "from collections import Counter, OrderedDict, deque\nx = [Counter('aa'), OrderedDict(a=1), deque([1])]",
    "import datetime, decimal, pathlib, re, uuid, fractions\n"
    "x = [datetime.datetime.now(), decimal.Decimal(1), pathlib.Path('.'), re.compile('a'), uuid.UUID(int=1)]",
    "import numpy as np, pandas as pd\nx = pd.DataFrame({'a': np.arange(3)}); y = x.a; z = np.arange(3)[::2]",
    "from pydantic import BaseModel\nclass M(BaseModel):\n    a: int\nx = M(a=1)",
    "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass G(Generic[T]):\n    pass\nx = G[int]()",
]
OTHERS = [
    "class P:\n    def __setstate__(self, state): pass\nx = P()",
    "class P:\n    def __getstate__(self): return {}\nx = [P()]",
    "class P:\n    def __reduce__(self): return P, ()\nx = {'a': (P(),)}",
    "class P:\n    def __new__(cls, *a): return object.__new__(cls)\n"
    "    def __reduce_ex__(self, n): return P, ()\nx = P()",
    "class S(list):\n    def append(self, one): super().append(one)\nx = S()",
    "class D(dict):\n    def __setitem__(self, k, v): super().__setitem__(k, v)\nx = D(a=1)",
    "from collections import OrderedDict\nclass D(OrderedDict):\n"
    "    def __init__(self, a): super().__init__()\nx = D(1)",
    "class N:\n    def __init__(self, a): self.a = a\n    def __hash__(self): return hash(self.a)\nx = N(1)",
    "import datetime\nclass Z(datetime.tzinfo):\n    def __init__(self, name): self.name = name\nx = Z('a')",
    "class E(Exception):\n    def __reduce__(self): return E, ()\nx = E()",
    "import copyreg\nclass P: pass\ncopyreg.pickle(P, lambda one: (P, ()))\nx = P()",
]


@pytest.mark.parametrize("cell", PLAIN)
def test_what_nobodys_code_makes_again_needs_no_trial(live: Live, cell: str) -> None:
    assert not live.run(cell).untried
    assert "holds" not in str(live.index)


@pytest.mark.parametrize("cell", OTHERS)
def test_what_code_of_the_session_makes_again_is_to_be_tried(live: Live, cell: str) -> None:
    assert live.run(cell).untried
    assert len(live.index["names"]["x"]["holds"]) == 1


def test_a_type_that_was_tried_is_not_tried_again(live: Live) -> None:
    assert live.run(GOOD + "x = Good()").untried
    assert live.check(whole=False) == []
    assert live.trying == [["x"]]
    assert live.tried([]).records == []
    assert not live.run("y = Good(); x.changed = True").untried
    assert "holds" not in str(live.index)


def test_a_type_is_tried_again_until_it_was_tried(live: Live) -> None:
    assert live.run(GOOD + "x = Good()").untried
    assert live.run("y = Good()").untried


@pytest.mark.parametrize(
    "cell",
    [
        GOOD + "y = Good()",
        "Good.__setstate__ = lambda self, state: None\nx.n = 1",
        "setattr(Good, '__reduce__', lambda self: (Good, ()))\nx.n = 1",
        "import copyreg\ncopyreg.pickle(Good, lambda one: (Good, ()))\nx.n = 1",
    ],
)
def test_a_class_that_is_another_one_or_makes_objects_otherwise_is_tried_again(live: Live, cell: str) -> None:
    live.run(GOOD + "x = Good()")
    live.tried(live.check())
    assert live.run(cell).untried


def test_what_does_not_load_is_lost_from_then_on_and_works_on(live: Live) -> None:
    live.run(BAD + "bad = Bad(); bad.x = 1; good = [1]")
    delta = live.tried(live.check())
    assert [(one.name, one.type, one.reason, one.since) for one in delta.lost] == [("bad", "Bad", "ValueError: no", 1)]
    assert live.index["names"]["bad"]["lost"] == "ValueError: no"
    assert len([key for key in live.parts if key.startswith("group")]) == len(live.index["groups"]) == 2
    assert live.main.__dict__["bad"].x == 1
    space, lost = live.fresh()
    assert [one.name for one in lost] == ["bad"]
    assert space["good"] == [1]
    with pytest.raises(StateLost, match=r"bad \(Bad\), made by execution 1, .*ValueError: no"):
        str(space["bad"].x)


def test_what_did_not_load_is_tried_again_only_when_it_has_changed(live: Live) -> None:
    live.run("globals()")
    live.run(BAD + "bad = Bad(); bad.x = 1")
    live.tried(live.check())
    delta = live.run("bad.x")
    assert not delta.untried
    assert [one.name for one in delta.lost] == ["bad"]
    assert [key for key in keys(delta) if "group" in key] == []
    assert live.run("bad.x = 2").untried


def test_what_was_mended_is_kept_again(live: Live) -> None:
    live.run(BAD + "bad = Bad(); bad.x = 1")
    live.tried(live.check())
    assert live.run("Bad.__setstate__ = lambda self, state: self.__dict__.update(state); bad.x = 2").untried
    assert live.tried(live.check()).lost == []
    space, lost = live.fresh()
    assert lost == []
    assert space["bad"].x == 2


def test_names_that_share_objects_with_what_does_not_load_are_kept(live: Live) -> None:
    live.run(BAD + "inner = [1]; bad = Bad(); bad.inner = inner; other = (inner, 2)")
    delta = live.tried(live.check())
    assert [one.name for one in delta.lost] == ["bad"]
    space, lost = live.fresh()
    assert [one.name for one in lost] == ["bad"]
    assert space["other"][0] is space["inner"]
    assert live.run("inner.append(bad.inner[0])").untried
    live.tried(live.check())
    space, _ = live.fresh()
    assert space["other"] == ([1, 1], 2)


def test_what_needs_something_that_does_not_load_is_lost_too(live: Live) -> None:
    live.run(BAD + "class Holder:\n    held = Bad()\nHolder.held.x = 1\nuser = Holder()")
    delta = live.tried(live.check())
    assert {one.name: one.reason for one in delta.lost} == {
        "Holder": "ValueError: no",
        "user": "it refers to Holder, which was lost: ValueError: no",
    }


def test_a_value_that_comes_back_as_another_type_is_lost_wherever_it_is(live: Live) -> None:
    live.run("class Odd:\n    def __reduce__(self): return int, ()\na = Odd(); b = [Odd()]; c = [1]; d = (c, [Odd()])")
    assert {one.name: one.reason for one in live.check()} == {
        "a": "TypeError: a was a Odd and came back as a int",
        "b": "a __main__.Odd in it came back as something else",
        "d": "a __main__.Odd in it came back as something else",
    }
    delta = live.tried(live.check())
    assert [one.name for one in delta.lost] == ["a", "b", "d"]
    assert live.fresh()[0]["c"] == [1]


def test_a_restore_before_the_trial_finds_it_too(live: Live) -> None:
    live.run("class Odd:\n    def __reduce__(self): return int, ()\na = [Odd()]; c = [1]; d = [Odd(), c]")
    space, lost = live.fresh()
    assert [one.name for one in lost] == ["a", "d"]
    assert space["c"] == [1]
    with pytest.raises(StateLost, match=r"a \(list\).*Odd in it came back as something else"):
        len(space["a"])


def test_names_that_are_said_not_to_load_are_left_out(live: Live) -> None:
    live.run(
        "class Kills:\n    def __setstate__(self, state): raise SystemExit\nx = Kills(); x.a = 1\n"
        + GOOD
        + "y = Good()"
    )
    assert {one.name: one.reason for one in live.check({"x": "it ended its worker"})} == {"x": "it ended its worker"}


def test_classes_that_were_tried_are_not_kept_alive(live: Live) -> None:
    live.run(GOOD + "x = Good()")
    live.tried(live.check())
    kind = weakref.ref(live.main.__dict__["Good"])
    live.run("del x, Good")
    live.run("pass")
    gc.collect()
    assert kind() is None
