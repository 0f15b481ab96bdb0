"""Values: of the language, of the standard library, of the libraries that data is worked on with."""

import sys

from tests.state.corpus.case import Kind

DATA = Kind("data")

DATA.case(
    "scalars",
    """
    i = 10**40; s = "h\\u00e9"; f = 1.5
    # %%
    b = b"x"; n = None; t = (1, (2, 3)); e = ...; c = 1 - 2j
    # %%
    i += 1
    """,
    """
    assert i == 10**40 + 1 and s == "h\\u00e9" and f == 1.5 and c.imag == -2
    assert b == b"x" and n is None and t == (1, (2, 3)) and e is ...
    """,
)

DATA.case(
    "nested",
    """
    d = {"a": [1, {"b": (2, {3})}], 1: frozenset([1])}
    # %%
    d["a"][1]["b"][1].add(4)
    """,
    """
    assert d == {"a": [1, {"b": (2, {3, 4})}], 1: frozenset([1])}
    """,
)

DATA.case(
    "cyclic_list",
    """
    ring = [1]
    # %%
    ring.append(ring)
    """,
    """
    assert ring[1] is ring and len(ring) == 2
    """,
)

DATA.case(
    "cyclic_objects",
    """
    class Node:
        pass
    # %%
    x = Node()
    y = Node()
    # %%
    x.other = y
    y.other = x
    """,
    """
    assert x.other is y and y.other is x and type(x) is Node
    """,
)

DATA.case(
    "frame_index_categories_attrs",
    """
    import pandas as pd
    df = pd.DataFrame({"v": [1.0, 2.0]}, index=pd.date_range("2024", periods=2, tz="UTC"))
    # %%
    df["c"] = pd.Categorical(["p", "q"])
    df.attrs["unit"] = 1
    """,
    """
    assert str(df.index.tz) == "UTC" and df.attrs == {"unit": 1}
    assert df.c.dtype == "category" and df.index.freq is not None
    """,
    needs=["pandas"],
)

DATA.case(
    "polars_frame",
    """
    import polars as pl
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    # %%
    lazy = frame.lazy().filter(pl.col("a") > 1)
    """,
    """
    assert frame.shape == (2, 2) and frame["b"].to_list() == ["x", None]
    assert lazy.collect().rows() == [(2, None)]
    """,
    needs=["polars"],
)

DATA.case(
    "arrow_tables",
    """
    import pandas as pd, pyarrow as pa
    table = pa.table({"a": [1, None, 3], "b": ["x", "y", None]}, metadata={"unit": "m"})
    # %%
    column, schema = table["a"], table.schema
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    words = pd.Series(["one", None], dtype=pd.ArrowDtype(pa.large_string()))
    record = pa.record_batch({"at": pa.array([0, 1], pa.timestamp("us", "UTC")), "l": [[1], []]})
    """,
    """
    assert table.to_pydict() == {"a": [1, None, 3], "b": ["x", "y", None]} and schema.metadata == {b"unit": b"m"}
    assert column.to_pylist() == [1, None, 3] and schema.field("a").type == pa.int64()
    assert frame.dtypes["a"] == pd.ArrowDtype(pa.int64()) and frame.a.isna().tolist() == [False, True, False]
    assert words[0] == "one" and pd.isna(words[1]) and words.dtype.pyarrow_dtype == pa.large_string()
    assert record["l"].to_pylist() == [[1], []] and str(record.schema.field("at").type.tz) == "UTC"
    """,
    needs=["pandas", "pyarrow"],
)

DATA.case(
    "numpy_kinds",
    """
    import numpy as np
    record = np.zeros(3, dtype=[("x", "f8"), ("y", "i4")])
    objects = np.array([{1: 2}, None], dtype=object)
    # %%
    masked = np.ma.masked_array([1, 2], [0, 1])
    scalar = np.float32(2)
    record["y"][1] = 7
    """,
    """
    assert record.dtype.names == ("x", "y") and record["y"].tolist() == [0, 7, 0]
    assert objects[0] == {1: 2} and masked.mask.tolist() == [False, True]
    assert type(scalar) is np.float32 and scalar == 2
    """,
)

DATA.case(
    "sparse_matrix",
    """
    import scipy.sparse as sp
    s = sp.random(50, 50, 0.1, format="csr", random_state=0)
    # %%
    total = s.sum()
    """,
    """
    assert abs(s.sum() - total) < 1e-9 and s.format == "csr" and s.nnz == 250
    """,
    needs=["scipy"],
)

DATA.case(
    "fitted_model",
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    x = np.random.RandomState(0).rand(40, 3)
    y = (x[:, 0] > 0.5).astype(int)
    # %%
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    predicted = model.predict(x)
    """,
    """
    assert (model.predict(x) == predicted).all() and 0 < predicted.sum() < 40
    """,
    needs=["sklearn"],
)

DATA.case(
    "figure",
    """
    import matplotlib.pyplot as plt
    fig, ax = plt.subplots()
    # %%
    ax.plot([1, 2, 3])
    ax.set_title("T")
    """,
    """
    import io
    assert ax.get_title() == "T" and fig.axes[0] is ax and len(ax.lines) == 1
    written = io.BytesIO()
    fig.savefig(written)
    assert written.getvalue().startswith(b"\\x89PNG")
    """,
    needs=["matplotlib"],
)

DATA.case(
    "image",
    """
    from PIL import Image
    image = Image.new("RGB", (4, 4), (1, 2, 3))
    # %%
    image.putpixel((1, 1), (9, 9, 9))
    """,
    """
    assert image.getpixel((0, 0)) == (1, 2, 3) and image.getpixel((1, 1)) == (9, 9, 9)
    """,
    needs=["PIL"],
)

DATA.case(
    "iterators_in_the_middle",
    """
    it = iter([1, 2, 3]); pairs = enumerate("ab"); numbers = iter(range(9))
    both = zip([1], [2]); back = reversed([1, 2])
    # %%
    next(it); next(numbers)
    """,
    """
    assert next(it) == 2 and next(pairs) == (0, "a") and next(numbers) == 1
    assert next(both) == (1, 2) and next(back) == 2
    """,
)

DATA.case(
    "memory_views_of_arrays",
    """
    import numpy as np
    mixed = memoryview(np.array([[1, 2], ["a", None]], dtype=object))
    waves = np.array([1j, 2]); wave = memoryview(waves)
    grid = np.arange(6.0).reshape(2, 3); row = memoryview(grid)[1:]
    swapped = memoryview(np.array([1, 2], ">i4"))
    """,
    """
    assert mixed.obj.tolist() == [[1, 2], ["a", None]] and swapped.obj.tolist() == [1, 2]
    assert wave.obj is waves and wave.format == "Zd" and row.tolist() == [[3.0, 4.0, 5.0]]
    grid[1, 0] = 9
    assert row.tolist() == [[9.0, 4.0, 5.0]]
    """,
    needs=["numpy"],
)

DATA.case(
    "part_of_a_memory_that_cannot_be_cast",
    """
    import numpy as np
    waves = np.array([1j, 2]); part = memoryview(waves)[1:]
    """,
    "assert part.format == 'Zd'",
    lost=["part"],
    still="assert waves[1] == 2",
    needs=["numpy"],
)

DATA.case(
    "itertools",
    """
    import itertools
    turns = itertools.cycle("ab"); count = itertools.count(5); chain = itertools.chain([1], [2])
    # %%
    next(turns); next(count)
    """,
    """
    assert next(turns) == "b" and next(count) == 6 and list(chain) == [1, 2]
    """,
    # From Python 3.14 on they cannot be pickled or copied, and nothing else tells how far they are.
    lost=["turns", "count", "chain"] if sys.version_info >= (3, 14) else [],
)

DATA.case(
    "files_in_memory",
    """
    import io
    text = io.StringIO("hello"); data = io.BytesIO(b"xyz")
    # %%
    text.read(2)
    data.seek(0, 2); data.write(b"!")
    """,
    """
    assert text.read() == "llo" and data.getvalue() == b"xyz!" and data.read() == b""
    """,
)

DATA.case(
    "standard_values",
    """
    import datetime, decimal, fractions, pathlib, re, uuid, zoneinfo
    pattern = re.compile("a+", re.I); path = pathlib.Path("/x") / "y"
    # %%
    when = datetime.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))
    price = decimal.Decimal("1.10"); third = fractions.Fraction(1, 3); ident = uuid.UUID(int=5)
    """,
    """
    assert pattern.match("AA") and str(path) == "/x/y" and when.utcoffset().total_seconds() == 3600
    assert str(price) == "1.10" and third * 3 == 1 and ident.int == 5
    """,
)

DATA.case(
    "collections",
    """
    from collections import *
    last_two = deque([1, 2], maxlen=2); lists = defaultdict(list); count = Counter("aab")
    # %%
    lists["x"].append(1); last_two.append(3)
    ordered = OrderedDict(a=1); chained = ChainMap({1: 2}, {3: 4})
    """,
    """
    assert last_two.maxlen == 2 and list(last_two) == [2, 3] and lists["x"] == [1] and lists["new"] == []
    assert count["a"] == 2 and chained[3] == 4 and type(ordered) is OrderedDict
    """,
)

DATA.case(
    "graph",
    """
    import networkx as nx
    graph = nx.karate_club_graph()
    # %%
    graph.nodes[0]["weight"] = 9
    """,
    """
    assert graph.number_of_edges() == 78 and graph.nodes[0]["weight"] == 9
    """,
    needs=["networkx"],
)

DATA.case(
    "symbols",
    """
    import sympy
    x, y = sympy.symbols("x y")
    # %%
    formula = sympy.sin(x) ** 2 + y
    square = sympy.lambdify(x, x**2)
    """,
    """
    assert formula.subs(x, 0) == y and formula.diff(x) == 2 * sympy.sin(x) * sympy.cos(x) and square(3) == 9
    """,
    needs=["sympy"],
)

DATA.case(
    "logger",
    """
    import logging
    log = logging.getLogger("mine")
    # %%
    log.setLevel(10)
    """,
    """
    assert log is logging.getLogger("mine") and log.level == 10
    """,
)

DATA.case(
    "many_small_dicts",
    """
    rows = [{"id": i, "t": ("a", i)} for i in range(20000)]
    # %%
    rows[19999]["id"] = -1
    """,
    """
    assert len(rows) == 20000 and rows[19998] == {"id": 19998, "t": ("a", 19998)} and rows[-1]["id"] == -1
    """,
)
