"""Functions and what is made of them."""

from tests.state.corpus.case import Kind

FUNCTIONS = Kind("functions")

FUNCTIONS.case(
    "closures_over_a_loop",
    """
    late = []; early = []
    def make():
        fs = []
        for i in range(3):
            fs.append(lambda: i)
        return fs
    # %%
    late = make()
    for i in range(3):
        early.append(lambda i=i: i)
    # %%
    over_global = [lambda: i for _ in range(2)]
    """,
    """
    assert [f() for f in late] == [2, 2, 2] and [f() for f in early] == [0, 1, 2]
    i = 9
    assert over_global[0]() == 9
    assert late[0].__closure__[0] is late[1].__closure__[0]
    """,
)

FUNCTIONS.case(
    "decorator_with_state",
    """
    def counted(fn):
        def inner(*args, **more):
            inner.calls += 1
            return fn(*args, **more)
        inner.calls = 0
        return inner
    class Timed:
        log = []
        def __init__(self, fn):
            self.fn = fn
        def __call__(self, *args):
            Timed.log.append(args)
            return self.fn(*args)
    # %%
    @counted
    @Timed
    def add(a, b):
        return a + b
    # %%
    add(1, 2)
    # %%
    add(3, 4)
    """,
    """
    assert add.calls == 2 and Timed.log == [(1, 2), (3, 4)] and add(5, 6) == 11 and add.calls == 3
    """,
)

FUNCTIONS.case(
    "caches",
    """
    import functools
    asked = []
    @functools.cache
    def slow(n):
        asked.append(n)
        return n * 2
    class Circle:
        def __init__(self, r):
            self.r = r
        @functools.cached_property
        def area(self):
            asked.append("area")
            return 3 * self.r**2
    # %%
    slow(4); circle = Circle(2)
    # %%
    circle.area
    """,
    """
    assert asked == [4, "area"] and circle.area == 12 and asked == [4, "area"] and slow(4) == 8
    """,
)

FUNCTIONS.case(
    "overloads",
    """
    import functools
    class Printer:
        @functools.singledispatchmethod
        def show(self, x):
            return "?"
        @show.register
        def _(self, x: int):
            return f"int {x}"
    # %%
    @Printer.show.register
    def _(self, x: str):
        return f"str {x}"
    # %%
    printer = Printer()
    """,
    """
    assert printer.show(1) == "int 1" and printer.show("a") == "str a" and printer.show(1.5) == "?"
    """,
)

FUNCTIONS.case(
    "mutual_over_cells",
    """
    def first(n):
        return [] if n == 0 else ["f"] + second(n - 1)
    # %%
    def second(n):
        return [] if n == 0 else ["s"] + third(n - 1)
    # %%
    third = first
    # %%
    def first(n):
        return ["new"]
    """,
    """
    assert third(4) == ["f", "s", "f", "s"] and first(1) == ["new"] and third is not first
    """,
)

FUNCTIONS.case(
    "signatures_and_annotations",
    """
    from typing import Annotated, Callable
    def f(a: int, /, b: "str" = "x", *args: float, key: Annotated[int, "cm"] = 2, **more) -> Callable[[int], str]:
        return (a, b, args, key, more)
    # %%
    f.__doc__ = "told later"; f.unit = {"cm": 1}
    # %%
    f.__defaults__ = ("y",)
    """,
    """
    import inspect
    assert f(1) == (1, "y", (), 2, {}) and f.__annotations__["b"] == "str" and f.__doc__ == "told later"
    assert str(inspect.signature(f)).startswith("(a: int, /, b: 'str' = 'y'") and f.unit == {"cm": 1}
    assert f.__annotations__["key"].__metadata__ == ("cm",)
    """,
)

FUNCTIONS.case(
    "source_can_still_be_read",
    """
    def documented(x):
        # a comment that only the source has
        return x + 1
    # %%
    class Shape:
        def area(self):
            return 4  # square
    """,
    """
    import inspect
    assert "a comment that only the source has" in inspect.getsource(documented)
    assert "square" in inspect.getsource(Shape.area)
    """,
)

FUNCTIONS.case(
    "in_containers",
    """
    import operator
    table = {"+": operator.add, "first": operator.itemgetter(0), "sq": lambda x: x * x, "up": str.upper}
    # %%
    def apply(name, *args):
        return table[name](*args)
    get = operator.attrgetter("a.b"); call = operator.methodcaller("split", ",")
    table["self"] = apply
    """,
    """
    assert apply("+", 1, 2) == 3 and apply("first", [7]) == 7 and table["self"] is apply and apply("up", "a") == "A"
    assert call("a,b") == ["a", "b"] and apply("sq", 3) == 9
    """,
)

FUNCTIONS.case(
    "context_managers",
    """
    import contextlib
    events = []
    @contextlib.contextmanager
    def step(name):
        events.append(f"in {name}")
        try:
            yield name
        finally:
            events.append(f"out {name}")
    class Guard(contextlib.ContextDecorator):
        def __enter__(self):
            events.append("guard")
        def __exit__(self, *error):
            return False
    # %%
    with step("a"):
        pass
    guard = Guard()
    """,
    """
    with step("b") as name, guard:
        assert name == "b"
    assert events == ["in a", "out a", "in b", "guard", "out b"]
    """,
)

FUNCTIONS.case(
    "nested_deep",
    """
    def outer(a):
        total = [a]
        def middle(b):
            def inner(c):
                nonlocal a
                a += c
                total.append((a, b))
                return total
            return inner
        return middle, lambda: a
    # %%
    middle, look = outer(1)
    inner = middle(10)
    # %%
    inner(5)
    """,
    """
    assert look() == 6
    middle(20)(1)
    assert look() == 7 and inner(0) == [1, (6, 10), (7, 20), (7, 10)]
    """,
)

FUNCTIONS.case(
    "patched_code",
    """
    def f(x):
        return x
    def g(x):
        return -x
    alias = f
    # %%
    f.__code__ = g.__code__
    # %%
    f.__name__ = "renamed"; f.__qualname__ = "renamed"
    """,
    """
    assert f(2) == -2 and alias is f and f.__name__ == "renamed"
    """,
)

FUNCTIONS.case(
    "of_another_namespace",
    """
    space = {"rate": 3}
    exec("def price(x): return x * rate\\ndef twice(x): return 2 * price(x)", space)
    price = space["price"]
    # %%
    space["rate"] = 4
    """,
    """
    assert price(1) == 4 and space["twice"](1) == 8
    space["rate"] = 5
    assert price(1) == 5 and price.__globals__ is space
    """,
)

FUNCTIONS.case(
    "compiled_code",
    """
    code = compile("result = base + 1", "<made>", "exec")
    import types
    # %%
    made = types.FunctionType(compile("base * 2", "<made>", "eval"), globals(), "made")
    base = 5
    """,
    """
    exec(code)
    assert result == 6 and made() == 10 and code.co_filename == "<made>"
    """,
)

FUNCTIONS.case(
    "wrapped_builtins_and_methods",
    """
    class Tool:
        @staticmethod
        def s(x):
            return x + 1
        @classmethod
        def c(cls):
            return cls
        def m(self):
            return self
    # %%
    tool = Tool(); s = Tool.s; c = Tool.c; m = tool.m; raw = Tool.m; join = "-".join; unbound = dict.get
    """,
    """
    assert s(1) == 2 and c() is Tool and m() is tool and raw is Tool.m and join(["a", "b"]) == "a-b"
    assert unbound({1: 2}, 1) == 2 and m.__func__ is Tool.m and s is Tool.s
    """,
)
