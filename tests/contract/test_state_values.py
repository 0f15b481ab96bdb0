"""What values are to each other, and how they behave, is the same again in a fresh worker."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.contract.conftest import Open
from tests.contract.state import restart, value


async def test_deleted_names_stay_deleted(any_box: Any) -> None:
    await any_box.run("a = b = [1]; c = 2")
    await any_box.run("del a, c")
    await restart(any_box)
    assert await value(any_box, "sorted({'a', 'b', 'c'} & globals().keys()), b") == "(['b'], [1])"


async def test_names_that_share_an_object_share_it_again(any_box: Any) -> None:
    await any_box.run("a = [1]; b = a; c = {'a': a}; d = (c, [a])")
    await restart(any_box)
    await any_box.run("b.append(2)")
    assert await value(any_box, "a, c, d, a is b is c['a'] is d[1][0]") == (
        "([1, 2], {'a': [1, 2]}, ({'a': [1, 2]}, [[1, 2]]), True)"
    )


async def test_a_change_through_an_alias_in_a_later_execution_is_kept(any_box: Any) -> None:
    await any_box.run("inner = [1]\nclass Holder: pass\nholder = Holder(); holder.item = inner")
    await any_box.run("holder.item.append(2)")
    await restart(any_box)
    assert await value(any_box, "inner, holder.item is inner") == "([1, 2], True)"


@pytest.mark.parametrize("length", [100, 300_000])
async def test_views_of_an_array_share_its_memory_again(any_box: Any, length: int) -> None:
    await any_box.run(f"import numpy as np\na = np.arange({length}.0); view = a[10:20]; back = a[::-1]")
    await restart(any_box)
    await any_box.run("view[0] = -1")
    await restart(any_box)
    assert await value(any_box, "float(a[10]), float(back[-11]), np.shares_memory(a, view), float(a.sum()) > 0") == (
        "(-1.0, -1.0, True, True)"
    )


async def test_frames_that_share_a_column_object_are_equal_again(any_box: Any) -> None:
    await any_box.run("import pandas as pd\nf = pd.DataFrame({'n': range(1000), 't': ['x'] * 1000}); g = f")
    await any_box.run("f['m'] = f.n * 2")
    await restart(any_box)
    assert await value(any_box, "g is f, int(g.m.sum()), list(f.columns)") == "(True, 999000, ['n', 't', 'm'])"


async def test_functions_see_the_live_namespace_again(any_box: Any) -> None:
    await any_box.run("rate = 2\ndef price(n): return n * rate\ndef count():\n    global rate; rate += 1")
    await restart(any_box)
    await any_box.run("rate = 10; count()")
    assert await value(any_box, "price(3)") == "33"
    await any_box.run("def price(n): return -n")
    await restart(any_box)
    assert await value(any_box, "price(3), rate") == "(-3, 11)"


async def test_closures_share_their_variable_again(any_box: Any) -> None:
    await any_box.run(
        "def make():\n    n = 0\n    def up():\n        nonlocal n; n += 1\n    return up, lambda: n\nup, now = make()"
    )
    await any_box.run("up()")
    await restart(any_box)
    await any_box.run("up()")
    assert await value(any_box, "now()") == "2"


async def test_instances_keep_their_class(any_box: Any) -> None:
    await any_box.run(
        "class Point:\n    made = 0\n    def __init__(self, x): self.x = x; type(self).made += 1\np = Point(1)"
    )
    await restart(any_box)
    await any_box.run("q = Point(2)")
    assert await value(any_box, "type(p) is Point is type(q), Point.made, p.x") == "(True, 2, 1)"


async def test_sets_are_in_the_same_order_again(any_box: Any) -> None:
    before = await value(any_box, "names = {f'name {n}' for n in range(50)}; list(names)")
    await restart(any_box)
    assert await value(any_box, "list(names)") == before
    assert await value(any_box, "list({f'name {n}' for n in range(50)})") == before


async def test_random_generators_go_on_where_they_were(any_box: Any) -> None:
    expected = random.Random(7)
    assert await value(any_box, "import random; random.seed(7); random.random()") == repr(expected.random())
    await restart(any_box)
    assert await value(any_box, "random.random()") == repr(expected.random())
    await any_box.run("import numpy as np; np.random.seed(7); first = np.random.random()")
    await restart(any_box)
    assert await value(any_box, "bool((np.random.RandomState(7).random(2) == [first, np.random.random()]).all())") == (
        "True"
    )


async def test_a_thousand_small_variables_come_back_equal(any_box: Any) -> None:
    await any_box.run("globals().update({f'v{n}': [n, str(n)] for n in range(1000)})")
    await any_box.run("v7.append('changed')")
    await restart(any_box)
    assert await value(any_box, "all(globals()[f'v{n}'][:2] == [n, str(n)] for n in range(1000)), v7") == (
        "(True, [7, '7', 'changed'])"
    )


async def test_a_library_that_code_has_patched_is_patched_again(any_box: Any) -> None:
    await any_box.run("import textwrap\ntextwrap.dedent = lambda text: 'patched'")
    await any_box.run("import json\njson.dumps = lambda value: 'too'")
    await restart(any_box)
    assert await value(any_box, "textwrap.dedent(''), json.dumps(1)") == "('patched', 'too')"


async def test_a_figure_can_be_drawn_on_again(any_box: Any) -> None:
    await any_box.run(
        "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots(layout='constrained')\n"
        "axes.scatter([1, 2], [3, 4], c=[1, 2])\nfigure.colorbar(axes.collections[0])\nplt.show()"
    )
    execution = await any_box.run("kept = {'map': figure}")
    assert (execution.state, execution.state.lost_names) == ("kept", ())
    await restart(any_box)
    assert await value(any_box, "kept['map'] is figure, axes.figure is figure, len(figure.axes)") == "(True, True, 2)"
    await any_box.run("axes.set_title('again'); figure.savefig('again.png')")
    assert (await any_box.files.stat("again.png")).size > 1000


@pytest.mark.parametrize("made", ["bytes(150_000_000)", "bytearray(b'ab') * 75_000_000", "['x' * 40_000_000, 1]"])
async def test_what_takes_much_of_the_memory_is_kept(open_box: Open, made: str) -> None:
    """Saving and restoring bytes takes no memory beside them; a text is copied once."""
    box = await open_box(memory=256, timeout=60)
    execution = await box.run(f"import zlib\nheld = {made}")
    assert (execution.state, execution.state.lost_names) == ("kept", ())
    digest = "zlib.crc32(held if not isinstance(held, list) else held[0].encode()), type(held), len(held)"
    before = await value(box, digest)
    await restart(box)
    assert await value(box, digest) == before
