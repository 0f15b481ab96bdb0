"""Functions, caches, generators that have not begun."""

from __future__ import annotations

from tests.state.corpus.case import Kind

FUNCTIONS = Kind("functions")

FUNCTIONS.case(
    "generators_that_have_not_begun",
    """
    def g(a, *b, k=3, **q):
        yield a
        yield k
        yield b
        yield q


    ge = g(1, 2, k=4, z=5)


    async def co(x):
        return x + 1


    c = co(4)
    xs = [1, 2, 3]
    lz = (v * 2 for v in xs)
    done = (i for i in ())
    list(done)
    """,
    """
    assert list(ge) == [1, 4, (2,), {"z": 5}]
    import asyncio

    assert asyncio.run(c) == 5
    assert list(lz) == [2, 4, 6]
    assert list(done) == []
    """,
)

FUNCTIONS.case(
    "caches_keep_their_results",
    """
    import functools

    n = [0]


    @functools.lru_cache(maxsize=None)
    def f(x):
        n[0] += 1
        return x * 2


    @functools.lru_cache(maxsize=4)
    def g(x, y=1):
        n[0] += 1
        return x + y


    f(1)
    f(2)
    g(1)
    g(2, y=3)
    """,
    """
    f(1)
    f(2)
    g(1)
    assert n[0] == 4, n
    assert f.cache_info().currsize == 2
    """,
)

FUNCTIONS.case(
    "func_mutation",
    """
    def f():
        f.n += 1
        return f.n


    f.n = 0
    # %%
    f()
    f()
    # %%
    def cnt(c=[]):
        c.append(1)
        return len(c)


    cnt()
    """,
    """
    assert f() == 3
    assert cnt() == 2
    """,
)

FUNCTIONS.case(
    "mutate_via",
    """
    class S:
        items = []

        def add(s, x):
            S.items.append(x)
            total.append(x)


    total = []
    s = S()
    d = {"s": s}
    # %%
    d["s"].add(1)
    # %%
    h = d["s"].add
    # %%
    h(2)
    """,
    """
    assert S.items == [1, 2]
    assert total == [1, 2]
    """,
)

FUNCTIONS.case(
    "changes_without_a_name",
    """
    exec("a=[1]")
    globals()["b"] = {}
    # %%
    globals()["b"]["k"] = 1
    # %%
    exec("a.append(2)")
    # %%
    vars()["c"] = 3
    locals()["d"] = 4
    """,
    """
    assert a == [1, 2]
    assert b == {"k": 1}
    assert c == 3
    assert d == 4
    """,
)
