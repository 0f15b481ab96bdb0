"""Classes and their instances."""

from __future__ import annotations

from tests.state.corpus.case import Kind

CLASSES = Kind("classes")

CLASSES.case(
    "meta_sideeffects",
    """
    reg = []


    class Base:
        def __init_subclass__(cls, **k):
            reg.append(cls.__name__)


    class A(Base):
        pass


    class Desc:
        def __set_name__(s, o, n):
            s.name = n
            reg.append(n)

        def __get__(s, o, t=None):
            return s.name


    class U:
        f = Desc()
    """,
    """
    assert reg == ["A", "f"]
    assert U().f == "f"


    class Bq(Base):
        pass


    assert reg[-1] == "Bq"
    """,
)

CLASSES.case(
    "new_with_arguments_of_its_own",
    """
    class T(tuple):
        def __new__(c, a, b):
            return super().__new__(c, (a, b))


    t = T(1, 2)


    class I(int):
        def __new__(c, v):
            return super().__new__(c, v * 2)


    i = I(4)


    class S(str):
        x = 1


    s = S("a")
    s.y = 2
    """,
    """
    assert t == (1, 2)
    assert type(t) is T
    assert i == 8
    assert s == "a"
    assert s.y == 2
    """,
)

CLASSES.case(
    "self_instance",
    """
    class Sg:
        _i = None

        def __new__(c, *a):
            if c._i is None:
                c._i = super().__new__(c)
            return c._i

        def __getstate__(s):
            return {"v": 5}

        def __setstate__(s, d):
            s.__dict__.update(d)


    s = Sg()


    class Q:
        def __init__(s, v):
            s.v = v


    Q.default = Q(3)
    Q.all = {"a": Q(1)}
    """,
    """
    assert Sg() is s
    assert Q.default.v == 3
    assert type(Q.default) is Q
    assert Q.all["a"].v == 1
    """,
)

CLASSES.case(
    "enumerations",
    """
    import enum


    class I(enum.IntEnum):
        A = 1
        B = 2


    class St(enum.StrEnum):
        X = "x"


    class F(enum.IntFlag):
        R = 1
        W = 2


    class Me(enum.Enum):
        E = (1, 2)

        def __init__(s, a, b):
            s.a = a
            s.b = b

        @property
        def s(s_):
            return s_.a + s_.b


    rw = F.R | F.W
    e = Me.E
    al = [I.A, St.X]
    Mk = enum.Enum("Mk", "P Q")
    """,
    """
    assert I(1) is I.A
    assert al[0] is I.A
    assert St("x") is St.X
    assert rw == 3
    assert F.R in rw
    assert e is Me.E
    assert e.s == 3
    assert Mk.P.value == 1
    assert list(Me) == [Me.E]
    assert isinstance(I.B, int)
    """,
)

CLASSES.case(
    "objects_of_typing",
    """
    from typing import *
    import dataclasses, functools, abc


    class TD(TypedDict, total=False):
        a: int


    class Pr(Protocol):
        def f(self) -> int: ...


    @runtime_checkable
    class Rc(Protocol):
        def g(self): ...


    T = TypeVar("T", bound=int)
    U = NewType("U", int)
    P = ParamSpec("P")


    class Gen(Generic[T]):
        pass


    gi = Gen[int]


    class Im:
        def g(self):
            pass


    @dataclasses.dataclass(frozen=True, slots=True)
    class Fz:
        a: int
        b: tuple = ()


    fz = Fz(1)


    @dataclasses.dataclass
    class Kid:
        x: int = dataclasses.field(default=3, metadata={"k": 1})
        y: ClassVar[int] = 4
        z: dataclasses.InitVar[int] = 0
    """,
    """
    import dataclasses

    assert TD(a=1) == {"a": 1}
    assert isinstance(Im(), Rc)
    assert U(3) == 3
    assert gi.__origin__ is Gen
    assert fz.a == 1
    assert dataclasses.replace(fz, a=2).a == 2
    assert hash(fz) == hash(Fz(1))
    assert [f.name for f in dataclasses.fields(Kid)] == ["x"]
    assert dataclasses.fields(Kid)[0].metadata["k"] == 1
    assert TD.__optional_keys__ == {"a"}
    """,
)

CLASSES.case(
    "nested_class",
    """
    class O:
        class I:
            v = 1

        def m(s):
            return s.I()


    i = O.I()
    m = O().m
    um = O.m
    """,
    """
    assert type(i) is O.I
    assert i.v == 1
    assert type(m()) is O.I
    assert um is O.m
    """,
)

CLASSES.case(
    "local_class",
    """
    def mk():

        class L:
            def __init__(s):
                s.a = 1

        return L


    L1 = mk()
    L2 = mk()
    a = L1()
    b = L2()
    pair = [mk()()]
    """,
    """
    assert type(a) is L1
    assert type(b) is L2
    assert L1 is not L2
    assert pair[0].a == 1
    """,
)

CLASSES.case(
    "del_redefine",
    """
    class A:
        v = 1


    a = A()
    l = [a]
    # %%
    del A
    # %%
    f = lambda: l
    """,
    """
    assert f()[0] is a
    assert a.v == 1
    assert type(a).__name__ == "A"
    """,
)

CLASSES.case(
    "partialmethod",
    """
    import functools, operator


    class A:
        def f(s, x, y):
            return x * y

        g = functools.partialmethod(f, 2)

        @functools.singledispatchmethod
        def h(s, x):
            return "o"

        @h.register
        def _(s, x: int):
            return "i"

        @functools.cached_property
        def cp(s):
            return [1]

        @staticmethod
        def st():
            return 5

        @functools.wraps(len)
        def ww(s):
            return 1


    a = A()
    a.cp
    mg = operator.methodcaller("g", 3)
    ag = operator.attrgetter("cp")
    """,
    """
    assert a.g(3) == 6
    assert a.h(1) == "i"
    assert a.h("") == "o"
    assert a.cp == [1]
    assert mg(a) == 6
    assert ag(a) == [1]
    assert A.st() == 5
    """,
)

CLASSES.case(
    "annotations",
    """
    x: int = 1
    y: "str"


    def f(a: int) -> str: ...


    class A:
        z: float = 2
    """,
    """
    assert __annotations__ == {"x": int, "y": "str"}
    assert f.__annotations__ == {"a": int, "return": str}
    assert A.__annotations__ == {"z": float}
    """,
)

CLASSES.case(
    "qualname",
    """
    class O:
        class I:
            class J:
                pass


    def f():

        class L:
            pass

        return L


    L = f()
    o = O.I.J()
    """,
    """
    assert O.I.J.__qualname__ == "O.I.J"
    assert L.__qualname__ == "f.<locals>.L"
    assert repr(type(o)) == "<class '__main__.O.I.J'>"
    """,
)
