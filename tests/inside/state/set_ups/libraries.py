"""Objects of libraries: frames, models, figures."""

from __future__ import annotations

from tests.state.corpus.case import Kind

LIBRARIES = Kind("libraries")

LIBRARIES.case(
    "frames_copy_before_they_write",
    """
    import pandas as pd

    df = pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]})
    col = df["a"]
    sub = df[["a", "b"]]
    idx = df.index
    # %%
    n = 1
    """,
    """
    col.iloc[0] = 99
    assert df.a[0] == 1
    sub.iloc[1, 1] = 50
    assert df.b[1] == 5
    df.loc[2, "a"] = 77
    assert col[2] == 3
    """,
    needs=["pandas"],
)

LIBRARIES.case(
    "frames_that_share_a_block",
    """
    import pandas as pd, numpy as np

    df = pd.DataFrame(np.arange(200000.0).reshape(50000, 4), columns=list("abcd"))
    v = df.values
    h = df.head(10)
    s = df["b"]
    # %%
    df["e"] = df.a * 2
    # %%
    df.loc[3, "a"] = -1
    """,
    """
    assert df.shape == (50000, 5)
    assert df.a[3] == -1
    assert h.a[3] == 12
    s.iloc[0] = 100
    assert df.b[0] == 1
    h.iloc[0, 0] = 5
    assert df.a[0] == 0
    """,
    needs=["pandas"],
)

LIBRARIES.case(
    "pandas_misc",
    """
    import pandas as pd, numpy as np

    df = pd.DataFrame({"k": list("aabb"), "v": range(4)})
    g = df.groupby("k")
    ro = df.v.rolling(2)
    mi = df.set_index(["k", "v"])
    cat = df.k.astype("category")
    ts = pd.Timestamp("2024", tz="UTC")
    iv = pd.interval_range(0, 3)
    na = pd.NA
    nt = pd.NaT
    ia = pd.array([1, None])
    st = pd.Series(["a", None], dtype="string")
    pe = pd.period_range("2024", periods=3)
    """,
    """
    assert g.v.sum()["b"] == 5
    assert ro.sum()[1] == 1
    assert mi.index.nlevels == 2
    assert cat.dtype == "category"
    assert na is pd.NA
    assert nt is pd.NaT
    assert ia[1] is pd.NA
    assert st.isna()[1]
    assert len(pe) == 3
    """,
    needs=["pandas"],
)

LIBRARIES.case(
    "accessor",
    """
    import pandas as pd


    @pd.api.extensions.register_dataframe_accessor("geo")
    class Geo:
        def __init__(s, df):
            s.df = df

        def n(s):
            return len(s.df)


    df = pd.DataFrame({"a": [1, 2]})
    """,
    """
    assert df.geo.n() == 2
    assert "geo" in pd.DataFrame._accessors
    """,
    needs=["pandas"],
)

LIBRARIES.case(
    "figure_unnamed",
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    f = plt.figure(7)
    plt.figure(3, figsize=(2, 2))
    plt.plot([1, 2])
    # %%
    plt.title("hey")
    """,
    """
    assert plt.gcf().number == 3
    assert plt.gca().get_title() == "hey"
    assert f.number == 7
    assert plt.get_fignums() == [3, 7]
    plt.figure(7)
    assert plt.gcf() is f
    """,
    needs=["matplotlib"],
)

LIBRARIES.case(
    "generic_pydantic",
    """
    from pydantic import BaseModel
    from typing import Generic, TypeVar

    T = TypeVar("T")


    class R(BaseModel, Generic[T]):
        v: T


    r = R[int](v=3)


    class Sub(R[str]):
        k: int = 1


    s = Sub(v="a")
    """,
    """
    assert r.v == 3
    assert type(r).__mro__[1] is R
    assert R[int](v="5").v == 5
    assert s.v == "a"
    assert Sub(v="q").k == 1
    """,
    needs=["pydantic"],
)

LIBRARIES.case(
    "sklearn_tree",
    """
    from sklearn.tree import DecisionTreeClassifier
    from sklearn.ensemble import RandomForestClassifier
    import numpy as np

    X = np.random.RandomState(0).rand(50, 3)
    y = (X[:, 0] > 0.5).astype(int)
    t = DecisionTreeClassifier().fit(X, y)
    th = t.tree_.threshold
    rf = RandomForestClassifier(5).fit(X, y)
    p = rf.predict(X)
    """,
    """
    assert (t.predict(X) == y).all()
    assert len(th) == t.tree_.node_count
    assert (rf.predict(X) == p).all()
    """,
    needs=["numpy", "sklearn"],
)
