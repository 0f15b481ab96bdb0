"""Objects that fight back when they are looked at, and values that go deep."""

from __future__ import annotations

from tests.state.corpus.case import Kind

TRAPS = Kind("traps")

TRAPS.case(
    "special_methods_that_raise",
    """
    class T:
        def __getattr__(s, n):
            raise RuntimeError(n)


    t = T()


    class P:
        def __getattr__(s, n):
            return P()


    p = P()


    class H:
        __hash__ = None

        def __eq__(s, o):
            raise RuntimeError


    h = H()


    class B:
        def __bool__(s):
            raise ValueError

        def __len__(s):
            raise ValueError


    b = B()
    ok = [1]
    """,
    """
    assert type(t) is T
    assert type(p) is P
    assert type(h) is H
    assert type(b) is B
    assert ok == [1]
    """,
)

TRAPS.case(
    "classes_that_lie",
    """
    class C:
        @property
        def __class__(s):
            raise RuntimeError("no")


    c = C()


    class D:
        @property
        def __class__(s):
            return int


    d = D()
    ok = [1]
    """,
    """
    assert type(c) is C
    assert type(d) is D
    assert ok == [1]
    """,
)

TRAPS.case(
    "metaclass_that_answers_nothing",
    """
    class M(type):
        def __getattribute__(c, n):
            raise RuntimeError(n)


    class X(metaclass=M):
        pass


    x = X()
    ok = [1]
    """,
    """
    assert type(x) is X
    assert ok == [1]
    """,
    lost=["M", "X", "x"],
    still="assert ok == [1]",
)

TRAPS.case(
    "reduce_that_raises",
    """
    class R:
        def __reduce__(s):
            raise KeyboardInterrupt


    r = R()


    class S:
        def __reduce_ex__(s, p):
            return (int, ("x",))


    z = S()


    class E:
        def __reduce__(s):
            raise SystemExit(3)


    e = E()
    ok = [1]
    """,
    """
    assert ok == [1]
    assert r
    assert z
    assert e
    """,
    lost=["e", "r", "z"],
    still="assert ok == [1]",
)

TRAPS.case(
    "reduce_that_lies",
    """
    class L:
        def __reduce__(s):
            return (list, ())


    l = L()
    ok = [1]
    """,
    """
    assert type(l) is L
    """,
    lost=["l"],
    still="assert ok == [1]",
)

TRAPS.case(
    "setstate_that_raises",
    """
    class L:
        def __init__(s):
            s.a = 1

        def __setstate__(s, st):
            raise ValueError("nope")


    l = L()
    ok = [1]
    """,
    """
    assert l.a == 1
    """,
    lost=["l"],
    still="assert ok == [1]",
)

TRAPS.case(
    "deep",
    """
    d = []
    for _ in range(20000):
        d = [d]


    class N:
        pass


    h = None
    for i in range(5000):
        n = N()
        n.next = h
        n.i = i
        h = n
    """,
    """
    k = 0
    x = d
    while x:
        x = x[0]
        k += 1
    assert k == 20000
    assert h.next.i == 4998
    """,
)

TRAPS.case(
    "getattr_traps",
    """
    class D:
        def __init__(s):
            s._d = {"a": 1}

        def __getattr__(s, n):
            return s._d[n]


    d = D()


    class E:
        def __getattribute__(s, n):
            if n.startswith("__"):
                raise AttributeError(n)
            return object.__getattribute__(s, n)


    e = E()
    e.x = 3


    class Fz:
        __slots__ = ("a",)

        def __init__(s, a):
            object.__setattr__(s, "a", a)

        def __setattr__(s, n, v):
            raise TypeError("frozen")


    f = Fz(2)


    class Pr:
        def __init__(s, o):
            object.__setattr__(s, "_o", o)

        def __getattribute__(s, n):
            return getattr(object.__getattribute__(s, "_o"), n)


    pr = Pr([1, 2])
    """,
    """
    assert d.a == 1
    assert e.x == 3
    assert f.a == 2
    assert pr.count(1) == 1
    assert type(pr) is Pr
    """,
)

TRAPS.case(
    "lost_link",
    """
    class Box:
        pass


    b = Box()
    b.v = 0


    def g():
        while True:
            b2 = yield
            b2.v += 1


    gen = g()
    next(gen)
    import functools

    d = {"b": b}
    h = (lambda q: (setattr(q, "v", q.v + 1) or q.v for _ in range(9)))(b)
    next(h)
    # %%
    next(h)
    # %%
    next(h)
    """,
    """
    assert b.v == 3
    assert d["b"] is b
    """,
    lost=["gen", "h"],
    still="""
    assert b.v == 3
    assert d["b"] is b
    """,
)

TRAPS.case(
    "sets",
    """
    import random

    R = random.Random(1)
    ss = []
    for _ in range(50):
        s = set()
        for i in range(R.randint(1, 60)):
            s.add("".join(R.choices("abcdefghij", k=5)))
        ss.append(s)
    order = [list(s) for s in ss]
    fz = frozenset(order[3])
    fo = list(fz)
    s1 = set(range(1000))
    for i in range(0, 1000, 7):
        s1.discard(i)
    o1 = list(s1)
    """,
    """
    assert [list(s) for s in ss] == order
    assert list(fz) == fo
    assert list(s1) == o1
    """,
)

TRAPS.case(
    "unicode_names",
    r"""
    été = [1]
    x = "\ud800"
    b = b"\x00" * 10
    big = 10**5000
    inf = float("inf")
    nz = -0.0
    cplx = 1j
    bo = True
    """,
    r"""
    import math

    assert été == [1]
    assert x == "\ud800"
    assert big == 10**5000
    assert inf > 1
    assert math.copysign(1, nz) == -1
    assert cplx == 1j
    assert bo is True
    assert len(b) == 10
    """,
)

TRAPS.case(
    "nothing_is_kept_alive",
    """
    import weakref, gc

    log = []


    class A:
        def __del__(s):
            log.append("x")


    a = A()
    r = weakref.ref(a)
    B = type("B", (), {})
    rb = weakref.ref(B)
    # %%
    n = [1]
    # %%
    del a
    log.append("after")
    del B
    gc.collect()
    log.append(rb() is None)
    """,
    """
    assert log == ["x", "after", True]
    assert r() is None
    assert rb() is None
    """,
)

TRAPS.case(
    "innocent",
    """
    class Bad:
        def __setstate__(s, st):
            raise ValueError("no")


    b = Bad()
    b.x = 1
    shared = [1]
    holder = [shared, b]
    good = {"s": shared}
    other = b
    # %%
    n = 1
    """,
    """
    assert good["s"] is shared
    b.x
    """,
    lost=["b", "holder", "other"],
    still="""
    assert good["s"] is shared
    assert good["s"] == [1]
    """,
)
