"""Changes made in roundabout ways: the cell that makes them does not name what it changes."""

from tests.state.corpus.case import Kind

REACH = Kind("reach")

REACH.case(
    "through_a_table_of_handlers",
    """
    seen = []
    def on_add(x):
        seen.append(x)
    # %%
    handlers = {"add": on_add}
    del on_add
    # %%
    handlers["add"](5)
    # %%
    for handler in handlers.values():
        handler(6)
    """,
    """
    assert seen == [5, 6]
    handlers["add"](7)
    assert seen == [5, 6, 7]
    """,
)

REACH.case(
    "through_a_mutable_default",
    """
    def remember(x, held=[]):
        held.append(x)
        return held
    # %%
    remember(1)
    # %%
    remember(2)
    """,
    """
    assert remember(3) == [1, 2, 3]
    """,
)

REACH.case(
    "through_a_bound_method_of_a_list",
    """
    items = [1]
    add = items.append
    # %%
    add(2)
    # %%
    add(3)
    """,
    """
    add(4)
    assert items == [1, 2, 3, 4] and add.__self__ is items
    """,
)

REACH.case(
    "through_a_partial",
    """
    import functools
    items = []
    push = functools.partial(items.insert, 0)
    # %%
    push("a")
    # %%
    push("b")
    """,
    """
    assert items == ["b", "a"]
    push("c")
    assert items[0] == "c"
    """,
)

REACH.case(
    "through_a_key_function",
    """
    asked = []
    def key(x):
        asked.append(x)
        return -x
    def order(values):
        return sorted(values, key=key)
    # %%
    best = order([1, 3, 2])
    """,
    """
    assert asked == [1, 3, 2] and best == [3, 2, 1]
    """,
)

REACH.case(
    "through_the_namespace_as_a_dict",
    """
    a = 1
    # %%
    globals()["b"] = [2]
    # %%
    exec("b.append(a)")
    # %%
    globals().update(c=b)
    """,
    """
    assert b == [2, 1] and c is b
    """,
)

REACH.case(
    "through_the_main_module",
    """
    import sys
    numbers = [1]
    # %%
    import __main__
    __main__.numbers.append(2)
    # %%
    setattr(sys.modules["__main__"], "more", __main__.numbers)
    """,
    """
    assert numbers == [1, 2] and more is numbers and __main__.numbers is numbers
    """,
)

REACH.case(
    "through_a_logging_handler",
    """
    import logging
    class Keep(logging.Handler):
        def __init__(self):
            super().__init__()
            self.lines = []
        def emit(self, record):
            self.lines.append(record.getMessage())
    # %%
    keep = Keep()
    logging.getLogger("app").addHandler(keep)
    logging.getLogger("app").setLevel(logging.INFO)
    # %%
    logging.getLogger("app").info("first %d", 1)
    """,
    """
    assert keep.lines == ["first 1"]
    logging.getLogger("app").info("second")
    assert keep.lines == ["first 1", "second"]
    """,
)

REACH.case(
    "through_a_property",
    """
    journal = []
    class Account:
        def __init__(self):
            self._balance = 0
        @property
        def balance(self):
            return self._balance
        @balance.setter
        def balance(self, value):
            journal.append((self._balance, value))
            self._balance = value
    # %%
    account = Account()
    # %%
    account.balance = 10
    # %%
    account.balance += 5
    """,
    """
    assert journal == [(0, 10), (10, 15)] and account.balance == 15
    """,
)

REACH.case(
    "through_an_instance_to_its_class",
    """
    class Plugin:
        registered = {}
        limit = 1
    # %%
    plugin = Plugin()
    # %%
    plugin.registered["x"] = 1
    # %%
    type(plugin).limit = 5
    """,
    """
    assert Plugin.registered == {"x": 1} and Plugin.limit == 5 and plugin.limit == 5 and "limit" not in vars(plugin)
    """,
)

REACH.case(
    "through_a_module_of_the_workspace",
    """
    with open("stock.py", "w") as file:
        file.write("items = []\\ndef add(x):\\n    items.append(x)\\n")
    # %%
    import stock
    # %%
    stock.add("nut")
    # %%
    stock.items.append("bolt")
    """,
    """
    assert stock.items == ["nut", "bolt"]
    stock.add("screw")
    assert len(stock.items) == 3
    """,
)

REACH.case(
    "through_a_thread_that_has_ended",
    """
    import threading
    results = {}
    def work(n):
        results[n] = n * n
    def run_all():
        threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # %%
    run_all()
    """,
    """
    assert results == {0: 0, 1: 1, 2: 4}
    """,
)

REACH.case(
    "through_an_operator",
    """
    class Bag:
        def __init__(self):
            self.items = []
        def __iadd__(self, x):
            self.items.append(x)
            return self
        def __matmul__(self, other):
            other.items.extend(self.items)
            return self
    # %%
    one = Bag(); two = Bag(); holder = {"one": one}
    # %%
    one += 1
    # %%
    holder["one"] @ two
    """,
    """
    assert one.items == [1] and two.items == [1] and holder["one"] is one
    """,
)

REACH.case(
    "through_a_shuffle_and_a_sort",
    """
    import random
    import numpy as np
    cards = list(range(20)); array = np.arange(10)[::-1].copy(); alias = array
    # %%
    random.Random(4).shuffle(cards)
    before = list(cards)
    # %%
    cards.sort(reverse=True)
    # %%
    np.sort(array); array.sort()
    """,
    """
    assert cards == list(range(19, -1, -1)) and before != cards and sorted(before) == list(range(20))
    assert alias.tolist() == list(range(10)) and alias is array
    """,
)

REACH.case(
    "through_a_descriptor",
    """
    class Tracked:
        def __init__(self):
            self.writes = []
        def __set_name__(self, owner, name):
            self.name = "_" + name
        def __get__(self, obj, owner=None):
            return self if obj is None else getattr(obj, self.name, None)
        def __set__(self, obj, value):
            self.writes.append(value)
            setattr(obj, self.name, value)
    # %%
    class Model:
        rate = Tracked()
    model = Model()
    # %%
    model.rate = 3
    # %%
    model.rate = 4
    """,
    """
    assert model.rate == 4 and Model.rate.writes == [3, 4] and Model.rate.name == "_rate"
    """,
)

REACH.case(
    "through_a_weak_reference",
    """
    import weakref
    class Node:
        pass
    node = Node(); node.values = []
    # %%
    look = weakref.ref(node)
    proxy = weakref.proxy(node)
    # %%
    look().values.append(1)
    # %%
    proxy.values.append(2)
    """,
    """
    assert node.values == [1, 2] and look() is node and proxy.values is node.values
    """,
    lost=["proxy"],
    still="assert node.values == [1, 2] and look() is node",
)

REACH.case(
    "through_a_callback_of_a_library",
    """
    import pandas as pd
    visited = []
    def visit(row):
        visited.append(int(row["a"]))
        return row["a"] * 2
    df = pd.DataFrame({"a": [1, 2, 3]})
    # %%
    transform = lambda frame: frame.apply(visit, axis=1)
    # %%
    df["b"] = transform(df)
    """,
    """
    assert visited == [1, 2, 3] and df.b.tolist() == [2, 4, 6]
    """,
    needs=["pandas"],
)

REACH.case(
    "through_an_exception_that_ends_the_cell",
    """
    done = []; state = {"step": 0}
    # %%
    # raises in the middle: what was done before it counts
    done.append("a")
    state["step"] = 1
    raise RuntimeError("stop")
    # %%
    # raises deeper
    def half(items):
        items.append("b")
        1 / 0
    half(done)
    """,
    """
    assert done == ["a", "b"] and state == {"step": 1} and callable(half)
    """,
)
