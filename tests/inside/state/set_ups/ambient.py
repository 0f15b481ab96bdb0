"""What is bound to no name: modules, patches, handlers, settings."""

from __future__ import annotations

from tests.state.corpus.case import Kind

AMBIENT = Kind("ambient")

AMBIENT.case(
    "logging",
    """
    import logging


    class H(logging.Handler):
        def __init__(s):
            super().__init__()
            s.seen = []

        def emit(s, r):
            s.seen.append(r.getMessage())


    h = H()
    lg = logging.getLogger("mine")
    lg.addHandler(h)
    lg.setLevel(10)
    lg.info("one")
    # %%
    logging.getLogger("mine").info("two")
    """,
    """
    lg.info("three")
    assert h.seen == ["one", "two", "three"]
    assert lg.handlers == [h]
    assert lg is logging.getLogger("mine")
    """,
)

AMBIENT.case(
    "package_of_the_workspace",
    r"""
    import os, sys

    os.makedirs("pk", exist_ok=True)
    open("pk/__init__.py", "w").write(
        "from .sub import thing\ncount=0\ndef up():\n  global count\n  count+=1\n  return count\n"
    )
    open("pk/sub.py", "w").write("class K:\n  z=1\nthing=K()\n")
    sys.path.insert(0, os.getcwd())
    import pk
    from pk.sub import K

    k = K()
    # %%
    pk.up()
    pk.up()
    # %%
    pk.extra = 5
    """,
    """
    assert pk.up() == 3
    assert pk.extra == 5
    assert type(k) is pk.sub.K
    assert pk.thing.z == 1
    assert sys.modules["pk"] is pk
    import importlib

    importlib.reload(pk)
    assert pk.count == 0
    """,
)

AMBIENT.case(
    "patch_class",
    """
    import json, math, fractions

    _d = json.JSONEncoder.default


    def nd(self, o):
        return repr(o) if isinstance(o, set) else _d(self, o)


    json.JSONEncoder.default = nd
    _s = math.sqrt
    math.sqrt = lambda x: _s(x) + 1
    math.mine = [1]
    # %%
    math.mine.append(2)
    """,
    """
    import json, math

    assert json.dumps({1}) == '"{1}"'
    assert math.sqrt(4) == 3
    assert math.mine == [1, 2]
    try:
        json.dumps(object())
        bad = 1
    except TypeError:
        bad = 0
    assert not bad
    """,
)

AMBIENT.case(
    "unpatch",
    """
    import math

    o = math.sqrt
    math.sqrt = abs
    # %%
    math.sqrt = o
    """,
    """
    assert math.sqrt(9) == 3
    """,
)

AMBIENT.case(
    "wraps_patch",
    """
    import json, functools

    orig = json.loads


    @functools.wraps(json.loads)
    def loads(*a, **k):
        return ["w", orig(*a, **k)]


    json.loads = loads
    """,
    """
    import json

    assert json.loads("1") == ["w", 1]
    assert json.loads is loads
    assert loads.__wrapped__ is orig
    """,
)

AMBIENT.case(
    "signal",
    """
    import signal

    hits = []


    def h(s, f):
        hits.append(s)


    signal.signal(signal.SIGUSR1, h)
    """,
    """
    import os, signal

    os.kill(os.getpid(), signal.SIGUSR1)
    assert hits == [signal.SIGUSR1]
    """,
)

AMBIENT.case(
    "environ_alias",
    """
    import os, sys

    env = os.environ
    env["A"] = "1"
    p = sys.path
    p.append("/q")
    out = sys.stdout
    g = globals()
    mods = sys.modules
    # %%
    b = __builtins__
    """,
    """
    assert env is os.environ
    assert os.environ["A"] == "1"
    assert p is sys.path
    assert p[-1] == "/q"
    assert out is sys.stdout
    assert g is globals()
    assert mods is sys.modules
    """,
)

AMBIENT.case(
    "decimal_ctx",
    """
    import decimal

    ctx = decimal.getcontext()
    ctx.prec = 7
    from decimal import Decimal as D

    d = D(1) / D(3)
    """,
    """
    assert decimal.getcontext().prec == 7
    assert str(D(1) / D(3)) == "0.3333333"
    """,
)

AMBIENT.case(
    "copyreg",
    """
    import copyreg


    class A:
        def __init__(s, v):
            s.v = v


    def red(a):
        return (A, (a.v * 1,))


    copyreg.pickle(A, red)
    a = A(3)
    """,
    """
    import pickle, copyreg

    assert copyreg.dispatch_table[A] is red
    assert a.v == 3
    """,
)

AMBIENT.case(
    "adapters",
    """
    import sqlite3


    class Pt:
        def __init__(s, x):
            s.x = x


    def ad(p):
        return f"P{p.x}"


    sqlite3.register_adapter(Pt, ad)
    db = sqlite3.connect(":memory:")
    db.execute("create table t(a)")
    db.commit()
    """,
    """
    db.execute("insert into t values(?)", (Pt(3),))
    assert db.execute("select a from t").fetchone() == ("P3",)
    """,
)

AMBIENT.case(
    "abcreg",
    """
    import collections.abc, numbers


    class Sq:
        pass


    collections.abc.Sequence.register(Sq)
    x = Sq()
    """,
    """
    import collections.abc

    assert isinstance(x, collections.abc.Sequence)
    """,
)

AMBIENT.case(
    "replaced_class",
    """
    import textwrap

    Old = textwrap.TextWrapper
    Old.extra = lambda s: "x"


    class New(Old):
        pass


    textwrap.TextWrapper = New
    n = New()
    o = Old()
    """,
    """
    import textwrap

    assert textwrap.TextWrapper is New
    assert n.extra() == "x"
    assert o.extra() == "x"
    assert type(o) is Old
    assert Old is New.__mro__[1]
    """,
)
