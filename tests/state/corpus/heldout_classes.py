"""Classes as sessions write them."""

from tests.state.corpus.case import Kind

CLASSES = Kind("classes")

CLASSES.case(
    "dataclasses_of_all_sorts",
    """
    import dataclasses
    from dataclasses import KW_ONLY, InitVar, dataclass, field
    from typing import ClassVar
    @dataclass(frozen=True, slots=True)
    class Key:
        a: int
        b: str = "x"
    # %%
    @dataclass
    class Base:
        made: ClassVar[int] = 0
        n: int
        _: KW_ONLY
        items: list = field(default_factory=list, repr=False)
        scale: InitVar[int] = 1
        total: int = field(init=False)
        def __post_init__(self, scale):
            Base.made += 1
            self.total = self.n * scale
    @dataclass(eq=False)
    class More(Base):
        extra: dict = field(default_factory=dict, metadata={"unit": "cm"})
    # %%
    table = {Key(1): "one"}; more = More(2, scale=5)
    # %%
    more.extra["k"] = Key(2)
    """,
    """
    assert table[Key(1)] == "one" and more.total == 10 and Base.made == 1 and more.extra["k"] == Key(2)
    assert dataclasses.fields(More)[-1].metadata["unit"] == "cm" and More(1).items == []
    try:
        Key(1).a = 2
    except dataclasses.FrozenInstanceError:
        pass
    else:
        raise AssertionError("not frozen")
    """,
)

CLASSES.case(
    "enums_of_all_sorts",
    """
    import enum
    class Level(enum.IntEnum):
        LOW = 1
        HIGH = 2
        @property
        def loud(self):
            return self.name + "!"
    class Planet(enum.Enum):
        EARTH = (5.9, 6.3)
        MARS = (0.6, 3.3)
        def __init__(self, mass, radius):
            self.mass = mass
    # %%
    class Mode(enum.StrEnum):
        FAST = enum.auto()
        QUICK = "fast"
    Perm = enum.Flag("Perm", "R W X")
    # %%
    chosen = [Level.HIGH, Planet.MARS, Mode.QUICK, Perm.R | Perm.X]; by_level = {Level.LOW: []}
    # %%
    by_level[Level.LOW].append(1)
    """,
    """
    assert chosen[0] is Level.HIGH and Level.HIGH.loud == "HIGH!" and Level(1) < 2 and chosen[1] is Planet.MARS
    assert chosen[1].mass == 0.6 and Mode.QUICK is Mode.FAST is chosen[2] and Perm.X in chosen[3]
    assert by_level[Level.LOW] == [1] and list(Level) == [1, 2]
    """,
)

CLASSES.case(
    "typed_dicts_and_protocols",
    """
    from typing import Literal, NewType, NotRequired, Protocol, TypedDict, runtime_checkable
    class Movie(TypedDict, total=False):
        title: str
        year: NotRequired[int]
    @runtime_checkable
    class Closes(Protocol):
        def close(self) -> None: ...
    # %%
    UserId = NewType("UserId", int); Side = Literal["left", "right"]
    movie: Movie = {"title": "x"}
    class Door:
        def close(self): pass
    door = Door()
    """,
    """
    assert movie == {"title": "x"} and Movie(title="y") == {"title": "y"} and Movie.__total__ is False
    assert isinstance(door, Closes) and not isinstance(1, Closes) and UserId(5) == 5 and UserId.__name__ == "UserId"
    assert Side.__args__ == ("left", "right")
    """,
)

CLASSES.case(
    "registry_by_init_subclass",
    """
    class Plugin:
        registry = {}
        def __init_subclass__(cls, /, name=None, **more):
            super().__init_subclass__(**more)
            Plugin.registry[name or cls.__name__] = cls
    # %%
    class Csv(Plugin, name="csv"):
        pass
    # %%
    class Json(Plugin):
        pass
    tools = [kind() for kind in Plugin.registry.values()]
    """,
    """
    assert Plugin.registry == {"csv": Csv, "Json": Json} and type(tools[0]) is Csv
    class Xml(Plugin): pass
    assert list(Plugin.registry) == ["csv", "Json", "Xml"] and Plugin.__subclasses__()[0] is Csv
    """,
)

CLASSES.case(
    "metaclass_with_behaviour",
    """
    class Singleton(type):
        _held = {}
        def __call__(cls, *args):
            if cls not in Singleton._held:
                Singleton._held[cls] = super().__call__(*args)
            return Singleton._held[cls]
        def __len__(cls):
            return 42
    # %%
    class Config(metaclass=Singleton):
        def __init__(self):
            self.values = {}
    # %%
    config = Config()
    config.values["a"] = 1
    """,
    """
    assert Config() is config and Config().values == {"a": 1} and len(Config) == 42 and type(Config) is Singleton
    """,
)

CLASSES.case(
    "generic_with_bounds",
    """
    from typing import Generic, ParamSpec, TypeVar, get_type_hints
    T = TypeVar("T", bound=int); P = ParamSpec("P")
    class Stack(Generic[T]):
        def __init__(self) -> None:
            self.items: list[T] = []
        def push(self, item: T) -> "Stack[T]":
            self.items.append(item)
            return self
    # %%
    class Ints(Stack[int]):
        pass
    ints = Ints().push(3)
    alias = Stack[bool]
    """,
    """
    assert ints.push(4).items == [3, 4] and alias.__origin__ is Stack and T.__bound__ is int
    assert Ints.__orig_bases__ == (Stack[int],) and get_type_hints(Stack.push)["item"] is T
    """,
)

CLASSES.case(
    "slots_in_a_family",
    """
    class Base:
        __slots__ = ("a", "__weakref__")
    class Child(Base):
        __slots__ = ("b",)
        def __init__(self):
            self.a = [1]
    class Loose(Child):
        pass
    # %%
    child = Child(); loose = Loose(); loose.free = child
    # %%
    child.b = loose
    """,
    """
    assert child.a == [1] and child.b is loose and loose.free is child and not hasattr(child, "__dict__")
    assert not hasattr(loose, "b")
    import weakref
    assert weakref.ref(child)() is child
    """,
)

CLASSES.case(
    "getattr_and_setattr",
    """
    class Lazy:
        def __init__(self):
            object.__setattr__(self, "_data", {})
        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return self._data.setdefault(name, [])
        def __setattr__(self, name, value):
            self._data[name] = ("set", value)
    # %%
    lazy = Lazy()
    lazy.x.append(1)
    # %%
    lazy.y = 5
    """,
    """
    assert lazy.x == [1] and lazy.y == ("set", 5) and vars(lazy) == {"_data": {"x": [1], "y": ("set", 5)}}
    """,
)

CLASSES.case(
    "subclasses_of_builtins",
    """
    class Attr(dict):
        __getattr__ = dict.__getitem__
        __setattr__ = dict.__setitem__
    class Path(str):
        def parent(self):
            return Path(self.rpartition("/")[0])
    class Money(int):
        def __new__(cls, v, unit):
            self = super().__new__(cls, v)
            self.unit = unit
            return self
    # %%
    class Sorted(list):
        def __init__(self, *a):
            super().__init__(*a)
            self.sort()
            self.changes = 0
        def append(self, x):
            super().append(x)
            self.sort()
            self.changes += 1
    # %%
    attr = Attr(a=1); path = Path("/x/y"); money = Money(5, "EUR"); in_order = Sorted([3, 1])
    # %%
    in_order.append(2); attr.b = 2
    """,
    """
    assert attr.a == 1 and attr == {"a": 1, "b": 2} and type(path.parent()) is Path and path == "/x/y"
    assert money + 1 == 6 and money.unit == "EUR" and in_order == [1, 2, 3] and in_order.changes == 1
    """,
)

CLASSES.case(
    "own_pickling_methods",
    """
    class Connection:
        opened = 0
        def __init__(self, url):
            self.url = url
            self.handle = object()
            Connection.opened += 1
        def __getstate__(self):
            return {"url": self.url}
        def __setstate__(self, state):
            self.__init__(state["url"])
    class Unit:
        def __init__(self, n):
            self.n = n
        def __reduce__(self):
            return (Unit, (self.n,))
    class Args:
        def __new__(cls, a):
            self = super().__new__(cls)
            self.a = a
            return self
        def __getnewargs__(self):
            return (self.a,)
    # %%
    connection = Connection("db"); unit = Unit(4); args = Args([1])
    pair = [unit, unit]
    """,
    """
    assert connection.url == "db" and connection.handle is not None and unit.n == 4 and args.a == [1]
    assert pair[0] is pair[1] is unit
    """,
)

CLASSES.case(
    "changed_after_the_fact",
    """
    class Robot:
        def speak(self):
            return "beep"
    robot = Robot()
    # %%
    def louder(self):
        return "BEEP"
    Robot.speak = louder
    Robot.colour = "red"
    # %%
    del Robot.colour
    Robot.run = lambda self: "ran"
    # %%
    robot.speak2 = louder.__get__(robot)
    """,
    """
    assert robot.speak() == "BEEP" and robot.run() == "ran" and not hasattr(Robot, "colour")
    assert robot.speak2() == "BEEP"
    """,
)

CLASSES.case(
    "nested_and_local",
    """
    class Outer:
        class Inner:
            kind = "inner"
            class Deep:
                v = [1]
        def make(self):
            class Local(self.Inner):
                def who(self):
                    return __class__.__name__
            return Local()
    # %%
    outer = Outer(); inner = Outer.Inner(); deep = Outer.Inner.Deep(); local = outer.make()
    # %%
    deep.v.append(2)
    """,
    """
    assert type(inner) is Outer.Inner and type(deep) is Outer.Inner.Deep and Outer.Inner.Deep.v == [1, 2]
    assert local.who() == "Local" and isinstance(local, Outer.Inner) and type(deep).__qualname__ == "Outer.Inner.Deep"
    """,
)

CLASSES.case(
    "old_instances_of_a_class_defined_anew",
    """
    class Model:
        def predict(self):
            return 1
    first = Model(); kept = [first]
    # %%
    class Model:
        def predict(self):
            return 2
    # %%
    class Child(Model):
        def predict(self):
            return super().predict() + 10
    child = Child(); first.note = "old"
    # %%
    class Model:
        def predict(self):
            return 3
    third = Model()
    """,
    """
    assert first.predict() == 1 and child.predict() == 12 and third.predict() == 3 and kept[0] is first
    assert type(kept[0]) is type(first) and Child.__mro__[1] is not Model and first.note == "old"
    """,
)

CLASSES.case(
    "comparison_and_hash",
    """
    import functools
    @functools.total_ordering
    class Card:
        def __init__(self, n):
            self.n = n
        def __eq__(self, other):
            return self.n == other.n
        def __lt__(self, other):
            return self.n < other.n
        def __hash__(self):
            return hash(self.n)
    # %%
    hand = {Card(3), Card(1)}; best = max(hand); ranks = {card: card.n for card in hand}
    """,
    """
    assert Card(3) in hand and ranks[Card(1)] == 1 and best == Card(3) and best > Card(2) and len(hand | {Card(3)}) == 2
    """,
)

CLASSES.case(
    "hash_by_identity_in_sets",
    """
    class Node:
        def __init__(self, name):
            self.name = name
            self.links = set()
    a, b = Node("a"), Node("b")
    # %%
    a.links.add(b); b.links.add(a); seen = {a: 1}
    # %%
    frozen = frozenset([a, b])
    """,
    """
    assert b in a.links and a in b.links and seen[a] == 1 and a in frozen and len(frozen) == 2
    """,
)

CLASSES.case(
    "state_on_types_and_modules",
    """
    import types
    Made = type("Made", (), {"x": [1], "get": lambda self: self.x})
    space = types.SimpleNamespace(kind=Made)
    # %%
    made = space.kind()
    Other = types.new_class("Other", (Made,), {}, lambda ns: ns.update(y=2))
    # %%
    made.get().append(2)
    """,
    """
    assert Made.x == [1, 2] and space.kind is Made and type(made) is Made and Other().y == 2 and Other.x is Made.x
    """,
)

CLASSES.case(
    "abstract_with_virtual_members",
    """
    from abc import ABC, abstractmethod
    from collections.abc import Mapping, MutableSequence
    class Reader(ABC):
        @property
        @abstractmethod
        def size(self): ...
        @classmethod
        def __subclasshook__(cls, other):
            return True if hasattr(other, "read_it") else NotImplemented
    # %%
    class Config(Mapping):
        def __init__(self, d):
            self.d = d
        def __getitem__(self, k):
            return self.d[k]
        def __iter__(self):
            return iter(self.d)
        def __len__(self):
            return len(self.d)
    config = Config({"a": 1})
    class Duck:
        read_it = True
    """,
    """
    assert isinstance(Duck(), Reader) and config["a"] == 1 and dict(config) == {"a": 1} and isinstance(config, Mapping)
    """,
)

CLASSES.case(
    "exceptions_of_the_session",
    """
    class AppError(Exception):
        code = 1
        def __init__(self, message, *, detail=None):
            super().__init__(message)
            self.detail = detail
    class Sub(AppError, KeyError):
        code = 2
    # %%
    errors = [AppError("a", detail={"k": 1}), Sub("b", detail=[2])]
    group = ExceptionGroup("many", errors)
    # %%
    errors[0].add_note("remember")
    """,
    """
    assert errors[0].detail == {"k": 1} and type(errors[1]) is Sub and errors[1].code == 2
    assert errors[0].__notes__ == ["remember"] and group.exceptions[0] is errors[0]
    assert isinstance(errors[1], KeyError)
    """,
)
