"""Classes of the session and their instances, which stay instances of the one class that the name is bound to."""

from tests.state.corpus.case import Kind

CLASSES = Kind("class")

CLASSES.case(
    "instance",
    """
    class Point:
        k = 1
        def __init__(self, x):
            self.x = x
        def doubled(self):
            return self.x * 2
    # %%
    point = Point(3)
    # %%
    point.x = 4
    """,
    """
    assert point.doubled() == 8 and isinstance(point, Point) and type(point) is Point
    """,
)

CLASSES.case(
    "class_attribute",
    """
    class Counted:
        n = 0
        def __init__(self):
            Counted.n += 1
    # %%
    first = Counted()
    # %%
    second = Counted()
    """,
    """
    third = Counted()
    assert Counted.n == 3 and type(first).n == 3 and type(first) is type(second) is Counted
    """,
)

CLASSES.case(
    "subclass_with_super",
    """
    class Base:
        def hi(self):
            return "b"
    # %%
    class Derived(Base):
        def hi(self):
            return super().hi() + "d"
    # %%
    derived = Derived()
    """,
    """
    assert derived.hi() == "bd" and isinstance(derived, Base) and issubclass(Derived, Base)
    """,
)

CLASSES.case(
    "slots_and_descriptors",
    """
    class Slotted:
        __slots__ = ("v",)
        @property
        def w(self):
            return self.v + 1
        @staticmethod
        def one():
            return 1
        @classmethod
        def cls(cls):
            return cls
    # %%
    slotted = Slotted()
    slotted.v = 1
    """,
    """
    assert slotted.w == 2 and Slotted.one() == 1 and Slotted.cls() is Slotted and type(slotted) is Slotted
    assert not hasattr(slotted, "__dict__")
    """,
)

CLASSES.case(
    "dataclass",
    """
    from dataclasses import dataclass, field
    @dataclass(order=True)
    class Row:
        a: int
        b: list = field(default_factory=list)
    # %%
    row = Row(1, [2])
    """,
    """
    import dataclasses
    assert row == Row(1, [2]) and Row(3).b == [] and Row(1) < Row(2)
    assert dataclasses.asdict(row) == {"a": 1, "b": [2]}
    """,
)

CLASSES.case(
    "enum",
    """
    import enum
    class Colour(enum.Enum):
        RED = 1
        GREEN = 2
    class Right(enum.Flag):
        READ = enum.auto()
        WRITE = enum.auto()
    # %%
    red = Colour.RED; both = Right.READ | Right.WRITE; named = {Colour.RED: 1}
    """,
    """
    assert red is Colour.RED and Colour(2) is Colour.GREEN and both & Right.READ and named[Colour.RED] == 1
    """,
)

CLASSES.case(
    "named_tuples",
    """
    from collections import namedtuple
    from typing import NamedTuple
    Old = namedtuple("Old", "a b")
    class New(NamedTuple):
        q: int = 4
    # %%
    old = Old(1, 2); new = New()
    """,
    """
    assert old.b == 2 and type(old) is Old and new.q == 4 and type(new) is New and new._replace(q=1).q == 1
    """,
)

CLASSES.case(
    "abstract",
    """
    import abc
    class Shape(abc.ABC):
        @abc.abstractmethod
        def area(self): ...
    # %%
    class Circle(Shape):
        def area(self):
            return 3
    Shape.register(int)
    # %%
    circle = Circle()
    """,
    """
    assert circle.area() == 3 and isinstance(circle, Shape) and isinstance(1, Shape)
    try:
        Shape()
    except TypeError:
        pass
    else:
        raise AssertionError("an abstract class was instantiated")
    """,
)

CLASSES.case(
    "metaclass_and_generic",
    """
    from typing import Generic, TypeVar
    T = TypeVar("T")
    class Meta(type):
        made = []
        def __new__(meta, name, bases, held):
            cls = super().__new__(meta, name, bases, held)
            meta.made.append(name)
            return cls
    # %%
    class Registered(metaclass=Meta):
        pass
    class Box(Generic[T]):
        def __init__(self, v):
            self.v = v
    # %%
    box = Box[int](3); registered = Registered()
    """,
    """
    assert box.v == 3 and type(Registered) is Meta and Meta.made == ["Registered"] and type(registered) is Registered
    assert Box.__parameters__ == (T,)
    """,
)

CLASSES.case(
    "defined_anew",
    """
    class Thing:
        v = 1
    old = Thing()
    # %%
    class Thing:
        v = 2
    new = Thing()
    """,
    """
    assert old.v == 1 and new.v == 2 and type(new) is Thing and type(old) is not Thing
    """,
)

CLASSES.case(
    "exception_with_its_own_init",
    """
    class Mine(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a}{b}")
            self.a = a
    # %%
    mine = Mine(1, 2)
    """,
    """
    assert mine.a == 1 and type(mine) is Mine and str(mine) == "12"
    """,
)

CLASSES.case(
    "pydantic_models",
    """
    from typing import Optional
    from pydantic import BaseModel, field_validator
    class Inner(BaseModel):
        q: int = 1
    # %%
    class User(BaseModel):
        n: str
        i: Optional[Inner] = None
        @field_validator("n")
        @classmethod
        def upper(cls, v):
            return v.upper()
    # %%
    user = User(n="bob", i=Inner(q=3))
    """,
    """
    assert user.n == "BOB" and user.i.q == 3 and type(user) is User and User(n="z").n == "Z"
    assert User.model_validate_json(user.model_dump_json()) == user
    """,
    needs=["pydantic"],
)

CLASSES.case(
    "objects_of_types",
    """
    import operator, types
    space = types.SimpleNamespace(a=1); proxy = types.MappingProxyType({1: 2}); second = operator.itemgetter(1)
    # %%
    ints = list[int]; maybe = int | None; upper = "abc".upper; part = slice(1, 2)
    keys = {1: 2}.keys()
    """,
    """
    assert space.a == 1 and proxy[1] == 2 and second([0, 5]) == 5 and ints == list[int] and upper() == "ABC"
    assert maybe == (int | None) and part == slice(1, 2) and list(keys) == [1]
    assert type(proxy) is types.MappingProxyType
    """,
)
