"""What lies around the variables: modules, patches, settings, the process."""

from tests.state.corpus.case import Kind

AMBIENT = Kind("ambient")

AMBIENT.case(
    "module_edited_and_reloaded",
    """
    import importlib, sys
    sys.dont_write_bytecode = True
    def write(text):
        with open("tool.py", "w") as file:
            file.write(text)
    write("def answer():\\n    return 1\\n")
    # %%
    import tool
    before = tool.answer()
    # %%
    write("def answer():\\n    return 2\\n\\nextra = 5\\n")
    # %%
    importlib.reload(tool)
    """,
    """
    assert before == 1 and tool.answer() == 2 and tool.extra == 5
    """,
)

AMBIENT.case(
    "package_of_the_workspace",
    """
    import os
    os.makedirs("shop/parts")
    texts = {"__init__": "from .stock import Stock\\nNAME = 'shop'\\n"}
    texts |= {"parts/__init__": "", "parts/bolt": "SIZE = 3\\n"}
    texts["stock"] = "class Stock:\\n    def __init__(self): self.items = {}\\n"
    for name, text in texts.items():
        with open(f"shop/{name}.py", "w") as file:
            file.write(text)
    # %%
    import shop
    from shop.parts import bolt
    stock = shop.Stock()
    # %%
    stock.items["bolt"] = bolt.SIZE
    shop.NAME = "renamed"
    """,
    """
    import sys
    assert type(stock) is shop.Stock and stock.items == {"bolt": 3} and shop.parts.bolt is bolt
    assert shop.NAME == "renamed" and sys.modules["shop.stock"].Stock is shop.Stock
    """,
)

AMBIENT.case(
    "patched_modules_and_classes",
    """
    import collections, math, textwrap
    def shout(text, *args):
        return text.upper()
    old = textwrap.dedent
    # %%
    textwrap.dedent = shout
    math.answer = 42
    # %%
    class Sneaky(collections.Counter):
        pass
    collections.Counter.total_twice = lambda self: 2 * sum(self.values())
    collections.Counter = Sneaky
    """,
    """
    import collections, math, textwrap
    assert textwrap.dedent("a") == "A" and math.answer == 42 and collections.Counter is Sneaky
    assert Sneaky("ab").total_twice() == 4 and old(" a") == "a"
    """,
    lost=["collections.Counter.total_twice"],
)

AMBIENT.case(
    "patched_by_setattr_and_mock",
    """
    import time
    from unittest import mock
    patcher = mock.patch("time.time", return_value=5.0)
    fake = patcher.start()
    # %%
    now = time.time()
    call = mock.MagicMock(name="call", side_effect=[1, 2])
    call("x")
    """,
    """
    import time
    assert now == 5.0 and time.time() == 5.0 and call("y") == 2
    assert call.call_args_list == [mock.call("x"), mock.call("y")] and fake.call_count == 2
    """,
    lost=["patcher", "fake", "call", "time.time"],
)

AMBIENT.case(
    "builtins_added",
    """
    import builtins
    builtins.double = lambda x: 2 * x
    # %%
    four = double(2)
    """,
    """
    assert four == 4 and double(5) == 10
    """,
    lost=["builtins.double"],
)

AMBIENT.case(
    "logging_set_up",
    """
    import logging
    logging.basicConfig(filename="app.log", level=logging.INFO, format="%(levelname)s:%(message)s")
    log = logging.getLogger("app.db")
    # %%
    log.info("one")
    log.setLevel(logging.DEBUG); log.propagate = True
    """,
    """
    log.debug("two")
    logging.getLogger().handlers[0].flush()
    with open("app.log") as file:
        assert file.read() == "INFO:one\\nDEBUG:two\\n"
    """,
    lost=["logging.root.handlers"],
)

AMBIENT.case(
    "warnings_turned_into_errors",
    """
    import warnings
    class MyWarning(UserWarning):
        pass
    # %%
    warnings.simplefilter("error", MyWarning)
    # %%
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="some.where")
    """,
    """
    import warnings
    try:
        warnings.warn("x", MyWarning)
    except MyWarning:
        pass
    else:
        raise AssertionError("not an error")
    assert warnings.filters[0][0] == "ignore" and warnings.filters[0][2] is DeprecationWarning
    """,
)

AMBIENT.case(
    "process_settings",
    """
    import os, sys
    os.environ["MODE"] = "test"; os.environ["PATH"] += ":/extra"
    # %%
    os.umask(0o027); sys.setrecursionlimit(3333)
    # %%
    sys.argv[:] = ["prog", "-x"]; del os.environ["MODE"]; os.environ["EMPTY"] = ""
    """,
    """
    import os, sys
    assert "MODE" not in os.environ and os.environ["PATH"].endswith(":/extra") and os.environ["EMPTY"] == ""
    assert sys.argv == ["prog", "-x"] and sys.getrecursionlimit() == 3333
    mask = os.umask(0o027)
    assert mask == 0o027
    """,
)

AMBIENT.case(
    "directory_that_is_deeper",
    """
    import os
    from pathlib import Path
    os.makedirs("a/b"); home = Path.cwd()
    # %%
    os.chdir("a/b")
    Path("here.txt").write_text("x")
    """,
    """
    assert Path("here.txt").read_text() == "x" and Path.cwd() == home / "a" / "b"
    """,
)

AMBIENT.case(
    "decimal_and_locale_contexts",
    """
    import decimal
    decimal.getcontext().prec = 5; decimal.getcontext().rounding = decimal.ROUND_DOWN
    own = decimal.Context(prec=3)
    # %%
    decimal.getcontext().traps[decimal.Inexact] = False
    third = decimal.Decimal(1) / 3
    """,
    """
    import decimal
    assert str(third) == "0.33333" and str(decimal.Decimal(2) / 3) == "0.66666" and str(own.divide(1, 3)) == "0.333"
    """,
)

AMBIENT.case(
    "options_of_numpy_and_pandas",
    """
    import numpy as np, pandas as pd
    np.seterr(divide="raise"); pd.set_option("display.precision", 2); pd.options.mode.string_storage = "python"
    # %%
    np.set_printoptions(threshold=5, suppress=True)
    """,
    """
    import numpy as np, pandas as pd
    assert np.geterr()["divide"] == "raise" and pd.get_option("display.precision") == 2
    assert np.get_printoptions()["threshold"] == 5 and pd.options.mode.string_storage == "python"
    """,
    needs=["pandas"],
)

AMBIENT.case(
    "styles_of_matplotlib",
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    plt.style.use("ggplot")
    # %%
    plt.rcParams["figure.figsize"] = (3, 2); mpl.rc("font", size=7)
    """,
    """
    import matplotlib.pyplot as plt
    assert list(plt.rcParams["figure.figsize"]) == [3, 2] and plt.rcParams["font.size"] == 7
    assert plt.rcParams["axes.facecolor"] == "#E5E5E5" and tuple(plt.figure().get_size_inches()) == (3, 2)
    """,
    needs=["matplotlib"],
)

AMBIENT.case(
    "random_state_of_everything",
    """
    import random
    import numpy as np
    random.seed(11); np.random.seed(12)
    # %%
    drawn = [random.random(), np.random.rand()]
    np.random.normal()
    # %%
    state = random.getstate(); random.gauss(0, 1)
    """,
    """
    a = [random.gauss(0, 1), random.random(), np.random.normal(), np.random.rand()]
    random.seed(11); np.random.seed(12)
    random.random(), np.random.rand(), np.random.normal(), random.gauss(0, 1)
    assert a == [random.gauss(0, 1), random.random(), np.random.normal(), np.random.rand()]
    """,
)

AMBIENT.case(
    "signal_handlers",
    """
    import signal
    got = []
    def on_usr1(number, frame):
        got.append(number)
    # %%
    signal.signal(signal.SIGUSR1, on_usr1)
    """,
    """
    signal.raise_signal(signal.SIGUSR1)
    assert got == [signal.SIGUSR1]
    """,
    lost=["signal.SIGUSR1"],
)

AMBIENT.case(
    "codecs_and_copyreg",
    """
    import copy, copyreg
    class Odd:
        __slots__ = ("v",)
        def __reduce__(self):
            raise TypeError("not that way")
    def pack(odd):
        return unpack, (odd.v,)
    def unpack(v):
        odd = Odd(); odd.v = v
        return odd
    copyreg.pickle(Odd, pack)
    # %%
    odd = Odd(); odd.v = 4
    """,
    """
    assert odd.v == 4 and type(odd) is Odd and copy.copy(odd).v == 4
    """,
    lost=["odd", "copyreg.dispatch_table"],
)

AMBIENT.case(
    "annotations_of_the_session",
    """
    count: int = 0
    later: "list[str]"
    # %%
    other: dict = {}
    count: float = 1.5
    """,
    """
    assert __annotations__ == {"count": float, "later": "list[str]", "other": dict} and count == 1.5
    assert "later" not in globals()
    """,
)
