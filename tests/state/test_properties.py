"""Random cells, kills, and ways back: the state is always that of the same cells in one undisturbed process."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.state.harness.session import Executed, Session, run_undisturbed
from tests.state.harness.workers import Zygote

COUNTER = """def make(held={y}):
    def inner(v=1):
        nonlocal count
        count += v
        held.append(count)
        return held
    count = 0
    return inner"""
KEEPER = """class C:
    shared = []
    def __init__(self, v=None):
        self.v = v
    def put(self, w):
        self.v = w
        self.shared.append(w)"""
VALUES = """
{x} = {n}
{x} = 'text {n}'
{x} = [{n}, {m}]
{x} = {{'k': {n}}}
{x} = {y}
{x} = [{y}, {y}]
{x} = ({y}, [{n}])
{x} = {{'v': {y}, 'w': [{z}]}}
{x} = {y}[0]
{x} = {y}['v']
{x} = {{{n}, {m}}}
"""
IN_PLACE = """
{x}.append({n})
{x}.append({y})
{x}[0] = {y}
{x}[{n}] = {m}
{x}['k'] = {y}
{x}[0].append({n})
{x} += [{n}]
{x} *= 2
{x}.sort()
{x}.clear()
{x}.update(k={n})
{x}.add({n})
{x}, {y} = {y}, {x}
del {x}
del {x}[0]
for i in range({n}): {x}.append(i)
[{x}.append(v) for v in list({y})[:4]]
"""
ARRAYS = """
{x} = np.arange({n}.0)
{x} = np.arange(20000.0)
{x} = np.array([{y}, {n}, {z}], dtype=object)
{x} = {y}[1:]
{x} = {y}[::-2] if type({y}) is not memoryview else {y}[1:]
{x} = {y}.reshape(-1, 1)
{x} = {y}.copy()
{x}[{n}:] = {m}
{x}[{n}] = {m}
{x}[{n} * 3000 :: {m} * 700 + 1] = {m}
np.add({x}, 1, out={x})
{x} = memoryview({y})
{x} = bytearray({n})
"""
FUNCTIONS = """
def f(v): return [v, {y}]
def push(v): {x}.append(v)
def swap():~    global {x}, {y}~    {x}, {y} = {y}, {x}
{COUNTER}
{x} = f({y})
{x} = make()
{x} = make
{x}({n})
{x} = lambda v, w={y}: (v, w, {z})
{x} = [push, f]
push({n})
push({y})
swap()
f.note = {y}
"""
CLASSES = """
{KEEPER}
class D(C):~    __slots__ = ('only',)~    limit = {n}~    def put(self, w): super().put([w])
{x} = C({y})
{x} = D({y})
{x} = [C(), C]
{x}.put({y})
{x}.v = {y}
{x}.only = {y}
{x} = {y}.v
{x} = {y}.put
C.shared = {y}
C.extra = {n}
type({x}).extra = {y}
"""
ROUNDABOUT = """
globals()['{x}'] = {y}
exec('{x} = [{y}]')
vars().pop('{x}')
{x}.append({n}); raise ValueError({n})
import math as {x}
{x} = {y}; del {y}
with open('kept.txt', 'a') as {x}: {x}.write('x')
"""
GROUPS = [VALUES, IN_PLACE, ARRAYS, FUNCTIONS, CLASSES, ROUNDABOUT]
LONG = {"{COUNTER}": COUNTER, "{KEEPER}": KEEPER}
LINES = [[LONG.get(line, line.replace("~", "\n")) for line in group.split("\n") if line] for group in GROUPS]

names = st.sampled_from("abcde")
numbers = st.integers(0, 4)


@st.composite
def statements(draw: st.DrawFn) -> str:
    line = draw(st.sampled_from(draw(st.sampled_from(LINES))))
    filled = {"x": draw(names), "y": draw(names), "z": draw(names), "n": draw(numbers), "m": draw(numbers)}
    return line.format(**filled)


def as_cell(lines: list[str]) -> str:
    """The statements as one cell; each may fail without the others, as if they were cells of their own."""
    guarded = [f"try:\n    {line.replace(chr(10), chr(10) + '    ')}\nexcept Exception: pass" for line in lines[:-1]]
    return "\n".join([*guarded, lines[-1]])


cells = st.lists(statements(), min_size=1, max_size=3).map(as_cell)
steps = st.lists(st.one_of(cells, cells, cells, st.just("restart"), st.integers(0, 1000)), min_size=3, max_size=14)
START = "import numpy as np\na = [1, 2]\nb = {'v': a}\nc = np.arange(10.0)\nd = c[2:5]\ndef push(v): a.append(v)"


def follow(zygote: Zygote, taken: list[Any]) -> None:
    """Take the steps; compare each error, the live state, and the state after one more restart, with the model's."""
    with Session(zygote) as session:
        errors = {1: session.run(START)}
        for step in taken:
            if step == "restart":
                session.restart()
            elif isinstance(step, int):
                session.go_back(step)
            else:
                error = session.run(step)
                errors[session.lineage[-1].number] = error
        expected, expected_errors = run_undisturbed(zygote, session.lineage)
        assert session.lost == {}
        assert [errors[one.number] for one in session.lineage] == expected_errors
        assert session.describe() == expected
        session.restart()
        assert session.describe() == expected
        event(f"{len(session.lineage)} cells led there")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(taken=steps)
def test_any_cells_kills_and_ways_back_give_the_state_of_an_undisturbed_run(zygote: Zygote, taken: list[Any]) -> None:
    follow(zygote, taken)


def test_the_model_tells_a_lost_alias(control: Zygote) -> None:
    with Session(control) as session:
        session.run("a = [1]\nb = a")
        session.restart()
        expected, _ = run_undisturbed(control, session.lineage)
        assert expected == "a = #0 list [1]\nb = #0"
        assert session.describe() == "a = #0 list [1]\nb = #1 list [1]"


def test_the_model_tells_memory_that_is_shared_no_more(control: Zygote) -> None:
    with Session(control) as session:
        session.run("import numpy as np\na = np.arange(3.0)\nb = a[1:]\ndel np")
        session.restart()
        expected, _ = run_undisturbed(control, session.lineage)
        assert "arrays 0 and 1 share memory" in expected
        assert "share memory" not in session.describe()


def test_going_back_forgets_the_cells_after_it_and_numbers_go_on(control: Zygote) -> None:
    with Session(control) as session:
        for source in ("a = 1", "a = 2", "a = 3"):
            session.run(source)
        session.go_back(1)
        session.run("a += 10")
        session.restart()
        assert session.describe() == "a = 11"
        assert [one.number for one in session.lineage] == [1, 4]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sources=st.lists(cells, min_size=1, max_size=12))
def test_the_model_says_the_same_of_the_same_cells(control: Zygote, sources: list[str]) -> None:
    lineage = [Executed(number, source) for number, source in enumerate([START, *sources], 1)]
    assert run_undisturbed(control, lineage) == run_undisturbed(control, lineage)
