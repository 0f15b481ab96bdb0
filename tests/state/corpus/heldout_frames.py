"""What sessions with tables hold."""

from tests.state.corpus.case import Kind

FRAMES = Kind("frames")

FRAMES.case(
    "groupby_object",
    """
    import pandas as pd
    df = pd.DataFrame({"k": list("abab"), "v": [1, 2, 3, 4]})
    # %%
    groups = df.groupby("k")
    sums = groups["v"].sum()
    """,
    """
    assert sums.to_dict() == {"a": 4, "b": 6}
    assert groups["v"].mean().to_dict() == {"a": 2.0, "b": 3.0} and groups.ngroups == 2
    """,
    needs=["pandas"],
)

FRAMES.case(
    "multi_index_and_pivot",
    """
    import pandas as pd
    index = pd.MultiIndex.from_product([["x", "y"], [1, 2]], names=["letter", "number"])
    df = pd.DataFrame({"v": range(4)}, index=index)
    # %%
    wide = df["v"].unstack("number")
    df.loc[("x", 2), "v"] = 100
    """,
    """
    assert df.index.names == ["letter", "number"] and df.loc[("x", 2), "v"] == 100
    assert wide.loc["x", 2] == 1 and wide.columns.name == "number"
    """,
    needs=["pandas"],
)

FRAMES.case(
    "ordered_categories",
    """
    import pandas as pd
    size = pd.CategoricalDtype(["S", "M", "L"], ordered=True)
    df = pd.DataFrame({"size": pd.Series(["M", "S", "L"], dtype=size)})
    # %%
    df = df.sort_values("size")
    df["big"] = df["size"] >= "M"
    """,
    """
    assert df["size"].tolist() == ["S", "M", "L"] and df["size"].dtype == size and df["size"].cat.ordered
    assert df["big"].tolist() == [False, True, True]
    """,
    needs=["pandas"],
)

FRAMES.case(
    "extension_arrays",
    """
    import pandas as pd
    df = pd.DataFrame({"i": pd.array([1, None, 3], dtype="Int64"), "s": pd.array(["a", None, "c"], dtype="string")})
    # %%
    df["b"] = pd.array([True, None, False], dtype="boolean")
    df["span"] = pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3])
    """,
    """
    assert df.i.dtype == "Int64" and df.i.isna().tolist() == [False, True, False]
    assert df.s.dtype == "string" and df.b.dtype == "boolean" and df.span[1] == pd.Interval(1, 2)
    """,
    needs=["pandas"],
)

FRAMES.case(
    "times_and_zones",
    """
    import pandas as pd
    stamp = pd.Timestamp("2024-03-31 01:30", tz="Europe/Berlin")
    index = pd.date_range(stamp, periods=3, freq="h")
    # %%
    series = pd.Series([1, 2, 3], index=index)
    later = stamp + pd.Timedelta(hours=2)
    period = pd.Period("2024Q1")
    """,
    """
    assert later.utcoffset().total_seconds() == 7200 and str(stamp.tz) == "Europe/Berlin"
    assert series.index.freqstr == "h" and series.loc[stamp] == 1 and str(period + 1) == "2024Q2"
    assert pd.NaT is pd.NaT and (later - stamp) == pd.Timedelta("2h")
    """,
    needs=["pandas"],
)

FRAMES.case(
    "grown_step_by_step",
    """
    import numpy as np, pandas as pd
    df = pd.DataFrame({"t": np.arange(5000), "v": np.sin(np.arange(5000))})
    # %%
    df["w"] = df["v"].rolling(3).mean()
    # %%
    df.loc[df.t % 2 == 0, "v"] = 0.0
    # %%
    df = df.drop(columns="w").assign(z=lambda d: d.v + 1)
    # %%
    df.iloc[-1, 0] = -1
    """,
    """
    assert list(df) == ["t", "v", "z"] and df.v.iloc[2] == 0 and df.z.iloc[2] == 1 and df.t.iloc[-1] == -1
    assert df.v.iloc[1] == np.sin(1) and len(df) == 5000
    """,
    needs=["pandas"],
)

FRAMES.case(
    "frame_in_several_containers",
    """
    import pandas as pd
    df = pd.DataFrame({"a": [1, 2]})
    # %%
    tables = {"main": df, "copy": df.copy()}
    class Report:
        def __init__(self, table):
            self.table = table
    report = Report(df)
    # %%
    report.table["b"] = [3, 4]
    """,
    """
    assert tables["main"] is df is report.table and list(df) == ["a", "b"] and list(tables["copy"]) == ["a"]
    df.loc[0, "a"] = 10
    assert report.table.loc[0, "a"] == 10 and tables["copy"].loc[0, "a"] == 1
    """,
    needs=["pandas"],
)

FRAMES.case(
    "lazily_read_in_pieces",
    """
    import pandas as pd
    pd.DataFrame({"a": range(10)}).to_csv("many.csv", index=False)
    reader = pd.read_csv("many.csv", chunksize=4)
    # %%
    first = reader.get_chunk()
    """,
    """
    assert next(reader).a.tolist() == [4, 5, 6, 7]
    """,
    lost=["reader"],
    still="assert first.a.tolist() == [0, 1, 2, 3]",
    needs=["pandas"],
)

FRAMES.case(
    "styled_and_windowed",
    """
    import pandas as pd
    s = pd.Series(range(6), name="n")
    # %%
    rolling = s.rolling(2)
    resampler = s.set_axis(pd.date_range("2024", periods=6)).resample("2D")
    """,
    """
    assert rolling.sum().tolist()[1:] == [1, 3, 5, 7, 9] and resampler.sum().tolist() == [1, 5, 9]
    """,
    needs=["pandas"],
)

FRAMES.case(
    "registered_accessor",
    """
    import pandas as pd
    @pd.api.extensions.register_series_accessor("twice")
    class Twice:
        def __init__(self, series):
            self.series = series
        def all(self):
            return self.series * 2
    # %%
    s = pd.Series([1, 2])
    twice = s.twice.all()
    """,
    """
    assert twice.tolist() == [2, 4] and s.twice.all().tolist() == [2, 4]
    """,
    lost=["pandas.Series.twice"],
    needs=["pandas"],
)

FRAMES.case(
    "subclass_of_a_frame",
    """
    import pandas as pd
    class Table(pd.DataFrame):
        _metadata = ["source"]
        @property
        def _constructor(self):
            return Table
    # %%
    table = Table({"a": [1, 2, 3]})
    table.source = "file"
    # %%
    part = table[table.a > 1]
    """,
    """
    assert type(table) is Table and table.source == "file" and type(part) is Table and part.a.tolist() == [2, 3]
    """,
    needs=["pandas"],
)

FRAMES.case(
    "polars_expressions",
    """
    import polars as pl
    df = pl.DataFrame({"k": ["a", "b", "a"], "v": [1, 2, 3]})
    expr = (pl.col("v") * 2).sum().alias("twice")
    # %%
    grouped = df.group_by("k", maintain_order=True).agg(expr)
    enum = pl.Series(["x", "y"], dtype=pl.Enum(["x", "y"]))
    """,
    """
    assert grouped.rows() == [("a", 8), ("b", 4)] and df.select(expr).item() == 12
    assert enum.dtype == pl.Enum(["x", "y"]) and df.schema["v"] == pl.Int64
    """,
    needs=["polars"],
)
