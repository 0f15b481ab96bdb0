"""Functions of the session: they see the live namespace, keep their closures, and what refers to them finds them."""

from tests.state.corpus.case import Kind

FUNCTIONS = Kind("func")

FUNCTIONS.case(
    "in_a_transformer",
    """
    from sklearn.preprocessing import FunctionTransformer
    # %%
    double = FunctionTransformer(lambda v: v * 2)
    """,
    """
    import numpy as np
    assert double.transform(np.ones((1, 1)))[0, 0] == 2
    """,
    needs=["sklearn"],
)

FUNCTIONS.case(
    "defaults_doc_and_attributes",
    """
    def f(x, k=2, *, z=3):
        "doc"
        return x * k + z
    # %%
    f.calls = 1
    """,
    """
    assert f(2) == 7 and f.calls == 1 and f.__doc__ == "doc" and f.__kwdefaults__ == {"z": 3}
    """,
)

FUNCTIONS.case(
    "recursive",
    """
    def fact(n):
        return 1 if n < 2 else n * fact(n - 1)
    """,
    """
    assert fact(5) == 120 and fact.__globals__ is globals()
    """,
)

FUNCTIONS.case(
    "global_bound_anew",
    """
    rate = 2
    # %%
    def price(x):
        return x * rate
    # %%
    rate = 5
    """,
    """
    assert price(1) == 5
    rate = 10
    assert price(1) == 10
    """,
)

FUNCTIONS.case(
    "global_written",
    """
    count = 0
    # %%
    def inc():
        global count
        count += 1
    # %%
    inc()
    """,
    """
    inc(); inc()
    assert count == 3
    """,
)

FUNCTIONS.case(
    "mutual",
    """
    def even(n):
        return n == 0 or odd(n - 1)
    # %%
    def odd(n):
        return n != 0 and even(n - 1)
    """,
    """
    assert even(10) and odd(7)
    def odd(n):
        return "new"
    assert even(3) == "new"
    """,
)

FUNCTIONS.case(
    "closure_shared",
    """
    def make():
        held = [0]
        def add():
            held[0] += 1
            return held[0]
        def get():
            return held[0]
        return add, get
    # %%
    add, get = make()
    # %%
    add()
    """,
    """
    add()
    assert get() == 2
    """,
)

FUNCTIONS.case(
    "closure_nonlocal",
    """
    def make():
        n = 5
        def up():
            nonlocal n
            n += 1
            return n
        return up
    # %%
    up = make()
    # %%
    up()
    """,
    """
    assert up() == 7
    """,
)

FUNCTIONS.case(
    "lambdas",
    """
    square = lambda x: x**2
    # %%
    adders = [lambda v, i=i: v + i for i in range(3)]
    """,
    """
    assert square(4) == 16 and adders[2](1) == 3
    """,
)

FUNCTIONS.case(
    "decorated",
    """
    import functools
    def plus_one(fn):
        @functools.wraps(fn)
        def inner(*args):
            return fn(*args) + 1
        return inner
    # %%
    @plus_one
    def h(x):
        return x
    """,
    """
    assert h(1) == 2 and h.__wrapped__(1) == 1 and h.__name__ == "h"
    """,
)

FUNCTIONS.case(
    "lru_cache",
    """
    import functools
    @functools.lru_cache(None)
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)
    # %%
    fifty = fib(50)
    """,
    """
    assert fifty == fib(50) == 12586269025 and fib.cache_info().maxsize is None
    """,
)

FUNCTIONS.case(
    "partial",
    """
    import functools
    def add(a, b):
        return a + b
    # %%
    add_five = functools.partial(add, 5)
    power = functools.partial(pow, 2)
    """,
    """
    assert add_five(1) == 6 and power(3) == 8 and add_five.func is add
    """,
)

FUNCTIONS.case(
    "async_functions",
    """
    import asyncio
    async def plus(x):
        await asyncio.sleep(0)
        return x + 1
    # %%
    async def some():
        yield 1
    """,
    """
    async def all_of():
        return [x async for x in some()]
    assert asyncio.run(plus(1)) == 2 and asyncio.run(all_of()) == [1]
    """,
)

FUNCTIONS.case(
    "defaultdict_of_lambda",
    """
    from collections import defaultdict
    table = defaultdict(lambda: defaultdict(int))
    # %%
    table["a"]["b"] += 1
    """,
    """
    assert table["a"]["b"] == 1 and table["q"]["r"] == 0
    """,
)

FUNCTIONS.case(
    "bound_method",
    """
    class Counted:
        def __init__(self):
            self.v = 1
        def more(self):
            self.v += 1
            return self.v
    # %%
    counted = Counted()
    more = counted.more
    """,
    """
    more()
    assert counted.v == 2 and more.__self__ is counted
    """,
)

FUNCTIONS.case(
    "singledispatch_and_cached_property",
    """
    import functools
    @functools.singledispatch
    def kind(x):
        return "other"
    # %%
    @kind.register
    def _(x: int):
        return "int"
    class Slow:
        @functools.cached_property
        def v(self):
            return 3
    # %%
    slow = Slow()
    slow.v
    """,
    """
    assert kind(1) == "int" and kind("") == "other" and slow.v == 3
    assert "v" in vars(slow) and Slow().v == 3
    """,
)
