"""Random cells: small statements over five names that alias, change, fail and define in all the ways there are."""

from __future__ import annotations

from hypothesis import strategies as st

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
FILES = """
open('{x}.txt', 'w').write(str({n}));
open('{x}.txt', 'a').write('{y}');
{x} = open('{y}.txt').read()
os.makedirs('d{n}/e', exist_ok=True); open('d{n}/e/{x}', 'wb').write(bytes([{m}]) * 5000);
open('large', 'wb').write(bytes(range(256)) * 1000);
with open('large', 'r+b') as file: file.seek({n} * 60000); file.write(b'{x}' * ({m} * 700 + 1));
os.truncate('large', {n} * 60000)
os.unlink('{x}.txt')
os.rename('{x}.txt', '{y}.txt')
os.link('{x}.txt', 'd{n}/{y}')
os.symlink('{x}.txt', 'l{n}')
os.chmod('{x}.txt', 0o7{n}0)
shutil.rmtree('d{n}')
open('{x}.txt', 'w').write('half'); raise OSError({n})
"""
AMBIENT = """
{x} = random.random()
{x} = float(np.random.rand())
random.seed({n})
os.environ['KEY'] = '{n}'
{x} = os.environ.get('KEY')
"""
GROUPS = [VALUES, IN_PLACE, ARRAYS, FUNCTIONS, CLASSES, ROUNDABOUT]
LONG = {"{COUNTER}": COUNTER, "{KEEPER}": KEEPER}

names = st.sampled_from("abcde")
numbers = st.integers(0, 4)


def lines(group: str) -> list[str]:
    return [LONG.get(line, line.replace("~", "\n")) for line in group.split("\n") if line]


def statements(groups: list[str]) -> st.SearchStrategy[str]:
    """A statement of a group, with names and numbers filled in."""
    names_and_numbers = st.fixed_dictionaries({"x": names, "y": names, "z": names, "n": numbers, "m": numbers})
    forms = st.sampled_from([lines(group) for group in groups]).flatmap(st.sampled_from)
    return st.builds(lambda form, filled: form.format(**filled), forms, names_and_numbers)


def as_cell(statements: list[str]) -> str:
    """The statements as one cell; each may fail without the others, as if they were cells of their own."""
    guarded = [
        f"try:\n    {each.replace(chr(10), chr(10) + '    ')}\nexcept Exception: pass" for each in statements[:-1]
    ]
    return "\n".join([*guarded, statements[-1]])


def cells_of(groups: list[str]) -> st.SearchStrategy[str]:
    return st.lists(statements(groups), min_size=1, max_size=3).map(as_cell)


cells = cells_of(GROUPS)
cells_with_files = cells_of([*GROUPS, FILES, AMBIENT])
cells_without_files = cells_of([*GROUPS, AMBIENT]).filter(lambda source: "open(" not in source)
START = "import numpy as np\na = [1, 2]\nb = {'v': a}\nc = np.arange(10.0)\nd = c[2:5]\ndef push(v): a.append(v)"
START_WITH_FILES = f"{START}\nimport os, random, shutil; random.seed(1); np.random.seed(1)"
