"""Objects that fight back, values that are deep or long: nothing may crash, hang, or come back different."""

from tests.state.corpus.case import Kind

TRAPS = Kind("traps")

TRAPS.case(
    "raises_at_everything",
    """
    class Hostile:
        def __getattr__(self, name):
            raise RuntimeError(f"getattr {name}")
        def __eq__(self, other):
            raise RuntimeError("eq")
        def __hash__(self):
            raise RuntimeError("hash")
        def __bool__(self):
            raise RuntimeError("bool")
        def __len__(self):
            raise RuntimeError("len")
        def __repr__(self):
            raise RuntimeError("repr")
        def __iter__(self):
            raise RuntimeError("iter")
    # %%
    hostile = Hostile()
    hostile.__dict__["v"] = 5
    beside = [1]
    # %%
    held = [hostile, beside]
    """,
    """
    assert type(hostile) is Hostile and hostile.v == 5 and held[0] is hostile and held[1] is beside
    """,
    lost=["hostile", "held"],
    still="assert beside == [1]",
)

TRAPS.case(
    "class_that_lies",
    """
    class Liar:
        @property
        def __class__(self):
            return dict
    class Any:
        def __getattr__(self, name):
            return Any()
        def __call__(self, *args, **more):
            return Any()
    # %%
    liar = Liar(); anything = Any(); liar.v = [1]
    beside = liar.v
    """,
    """
    assert isinstance(liar, dict) and type(liar) is Liar and liar.v is beside
    assert type(anything.x.y()) is Any and type(anything) is Any
    """,
    lost=["anything"],
    still="assert type(liar) is Liar and liar.v is beside",
)

TRAPS.case(
    "reduce_that_raises_or_lies",
    """
    class Raises:
        def __reduce_ex__(self, protocol):
            raise ValueError("never")
    class Lies:
        def __reduce__(self):
            return (int, ("7",))
    class Breaks:
        def __init__(self, n):
            self.n = n
        def __reduce__(self):
            return (Breaks, ())
    # %%
    raising = Raises(); lying = Lies(); breaking = Breaks(3)
    fine = {"k": [1]}
    """,
    """
    assert type(lying) is Lies and type(raising) is Raises and breaking.n == 3
    """,
    lost=["raising", "lying", "breaking"],
    still="assert fine == {'k': [1]}",
)

TRAPS.case(
    "proxy_of_everything",
    """
    class Proxy:
        def __init__(self, target):
            object.__setattr__(self, "_target", target)
        def __getattribute__(self, name):
            return getattr(object.__getattribute__(self, "_target"), name)
        def __setattr__(self, name, value):
            setattr(object.__getattribute__(self, "_target"), name, value)
    class Real:
        v = 1
    # %%
    real = Real(); proxy = Proxy(real)
    # %%
    proxy.v = 7
    """,
    """
    assert real.v == 7 and proxy.v == 7 and type(proxy) is Proxy
    proxy.v = 8
    assert real.v == 8
    """,
    lost=["proxy"],
    still="assert real.v == 7",
)

TRAPS.case(
    "nested_five_thousand_deep",
    """
    deep = []
    for _ in range(5000):
        deep = [deep]
    beside = "fine"
    # %%
    beside += "!"
    """,
    """
    at, depth = deep, 0
    while at:
        at, depth = at[0], depth + 1
    assert depth == 5000 and beside == "fine!"
    """,
    lost=["deep"],
    still="assert beside == 'fine!'",
)

TRAPS.case(
    "linked_list",
    """
    class Link:
        def __init__(self, v, rest):
            self.v = v
            self.rest = rest
    chain = None
    # %%
    for n in range(3000):
        chain = Link(n, chain)
    total = 1
    """,
    """
    at, n = chain, 0
    while at is not None:
        at, n = at.rest, n + 1
    assert n == 3000 and chain.v == 2999
    """,
    lost=["chain"],
    still="assert total == 1 and Link(1, None).v == 1",
)

TRAPS.case(
    "long_lists_and_dicts",
    """
    numbers = list(range(100_000)); rows = [[n, str(n)] for n in range(100_000)]
    index = {str(n): n for n in range(50_000)}
    # %%
    rows[50_000][1] = "changed"; index["new"] = 1
    # %%
    kinds = set(numbers); del numbers[:10]
    """,
    """
    assert len(numbers) == 99_990 and rows[50_000] == [50_000, "changed"] and index["new"] == 1
    assert len(kinds) == 100_000
    """,
)

TRAPS.case(
    "containers_that_hold_themselves",
    """
    a = {}; a["self"] = a; b = [a]; a["b"] = b
    t = ([],); t[0].append(t)
    class N:
        pass
    n = N(); n.me = n; n.all = {n}; n.key = {n: n}
    # %%
    b.append(b)
    """,
    """
    assert a["self"] is a and b[1] is b and a["b"] is b and t[0][0] is t and n.me is n and n in n.all and n.key[n] is n
    """,
)

TRAPS.case(
    "strange_names_and_keys",
    """
    globals()["not an identifier"] = 5; größe = 1; globals()["x" * 300] = 6
    table = {(1, "a"): 1, None: 2, 1.5: 3, frozenset([1]): 4, True: 5, "": 6, b"": 7}
    # %%
    globals()["class"] = [1]; table[float("inf")] = 8; text = "\\ud800 lone"
    """,
    """
    assert globals()["not an identifier"] == 5 and größe == 1 and globals()["x" * 300] == 6
    assert globals()["class"] == [1]
    assert table[(1, "a")] == 1 and table[1] == 5 and table[float("inf")] == 8 and len(table) == 8
    assert text[0] == "\\ud800"
    """,
)

TRAPS.case(
    "dunders_of_the_session",
    """
    __version__ = "1.2"; __all__ = ["f"]; __author__ = {"name": "x"}
    def f():
        return __name__, __version__
    # %%
    __author__["mail"] = "y"
    """,
    """
    assert f() == ("__main__", "1.2") and __all__ == ["f"] and __author__ == {"name": "x", "mail": "y"}
    """,
)

TRAPS.case(
    "interned_and_shared_constants",
    """
    big = "x" * 100_000; again = big; pair = (big, big); number = 10**30; other = number
    # %%
    held = {"t": pair, "n": number}
    empty = (); nothing = frozenset()
    """,
    """
    assert again == big and pair == (big, big) and held == {"t": pair, "n": number} and other == number == 10**30
    assert empty == () and nothing == frozenset()
    """,
)

TRAPS.case(
    "sets_are_walked_in_the_same_order",
    """
    words = {"apple", "pear", "fig", "plum", "kiwi"}; order = list(words)
    # %%
    grown = set(); [grown.add(w) for w in order[::-1]]; second = list(grown)
    """,
    """
    assert list({"apple", "pear", "fig", "plum", "kiwi"}) == order, "a set that is made anew"
    assert list(words) == order, "a set that was kept"
    assert list(grown) == second, "a set that was kept and had grown"
    """,
)

TRAPS.case(
    "raises_while_it_is_made_again",
    """
    ready = False
    class Fussy:
        def __init__(self):
            self.v = 1
        def __setstate__(self, state):
            raise RuntimeError("cannot be loaded")
    # %%
    fussy = Fussy(); calm = [2]; both = {"f": fussy, "c": calm}
    """,
    """
    assert fussy.v == 1 and both["f"] is fussy
    """,
    lost=["fussy", "both"],
    still="assert calm == [2] and ready is False and Fussy().v == 1",
)

TRAPS.case(
    "loses_its_equal_after_loading",
    """
    class Token:
        made = 0
        def __new__(cls, *args):
            Token.made += 1
            return super().__new__(cls)
        def __del__(self):
            gone.append(1)
    gone = []
    token = Token()
    # %%
    alias = token
    """,
    """
    assert alias is token and type(token) is Token and gone == []
    del alias, token
    assert gone == [1]
    """,
)
