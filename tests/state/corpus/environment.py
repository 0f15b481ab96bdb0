"""What is not in any variable of the session, and that its code depends on all the same."""

from tests.state.corpus.case import Kind

ENVIRONMENT = Kind("env")

ENVIRONMENT.case(
    "modules",
    """
    import numpy as np, os.path as osp, json
    # %%
    from math import sqrt
    from collections import *
    """,
    """
    assert np.zeros(1).shape == (1,) and osp.join("a", "b") == "a/b" and sqrt(4) == 2
    assert deque([1]) and json.dumps(1) == "1"
    """,
)

ENVIRONMENT.case(
    "module_of_the_workspace",
    """
    import os, sys
    os.makedirs("lib", exist_ok=True)
    with open("lib/helpmod.py", "w") as file:
        file.write("def answer(): return 42\\nclass K: pass\\n")
    sys.path.insert(0, os.path.abspath("lib"))
    # %%
    import helpmod
    k = helpmod.K()
    """,
    """
    assert helpmod.answer() == 42 and type(k) is helpmod.K and sys.modules["helpmod"] is helpmod
    """,
)

ENVIRONMENT.case(
    "module_made_by_hand",
    """
    import types
    made = types.ModuleType("made")
    # %%
    exec("def seven(): return 7", made.__dict__)
    """,
    """
    assert made.seven() == 7 and made.__name__ == "made"
    """,
)

ENVIRONMENT.case(
    "monkeypatch",
    """
    import json
    before = json.dumps
    # %%
    def patched(*args, **more):
        return "P"
    json.dumps = patched
    """,
    """
    import json
    assert json.dumps({}) == "P" and json.dumps is patched and before([1]) == "[1]"
    """,
)

ENVIRONMENT.case(
    "random_states",
    """
    import random
    import numpy as np
    random.seed(1); np.random.seed(2); own = np.random.default_rng(3)
    # %%
    random.random(); np.random.rand(); own.random()
    """,
    """
    same = random.Random(1); same.random()
    assert random.random() == same.random(), "random"
    same = np.random.RandomState(2); same.rand()
    assert np.random.rand() == same.rand(), "numpy.random"
    same = np.random.default_rng(3); same.random()
    assert own.random() == same.random(), "a generator of its own"
    """,
)

ENVIRONMENT.case(
    "environ_cwd_and_path",
    """
    import os, sys
    os.environ["ZZ"] = "1"
    os.environ.pop("HOME", None)
    # %%
    os.makedirs("deeper", exist_ok=True)
    os.chdir("deeper")
    sys.path.append("/zz")
    """,
    """
    import os, sys
    assert os.environ.get("ZZ") == "1" and os.getenv("HOME") is None
    assert os.getcwd().endswith("deeper") and "/zz" in sys.path
    """,
)

ENVIRONMENT.case(
    "options_of_libraries",
    """
    import decimal, warnings
    import matplotlib, numpy as np, pandas as pd
    warnings.filterwarnings("ignore", message="qq")
    matplotlib.rcParams["lines.linewidth"] = 7
    # %%
    pd.set_option("display.max_rows", 7)
    np.set_printoptions(precision=2)
    decimal.getcontext().prec = 9
    """,
    """
    import decimal, warnings
    import matplotlib, numpy as np, pandas as pd
    assert any(one[1] and "qq" in str(one[1]) for one in warnings.filters)
    assert matplotlib.rcParams["lines.linewidth"] == 7 and pd.get_option("display.max_rows") == 7
    assert np.get_printoptions()["precision"] == 2 and decimal.getcontext().prec == 9
    """,
    needs=["pandas", "matplotlib"],
)

ENVIRONMENT.case(
    "annotated_global",
    """
    from __future__ import annotations
    xx: int = 3
    def ff(a: Undefined) -> int:
        return a
    """,
    """
    assert __annotations__["xx"] in ("int", int) and ff(1) == 1 and ff.__annotations__["a"] == "Undefined"
    """,
)
