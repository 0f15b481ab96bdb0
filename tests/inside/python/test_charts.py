"""What holds for every chart: it is bounded, it is JSON, and reading it never raises."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.inside.python import charts
from sandbox.inside.python.charts import series

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from([
            "data", "layout", "type", "x", "y", "z", "labels", "values", "marker", "color", "title", "xaxis", "mark",
            "encoding", "field", "aggregate", "bin", "datasets", "name", "layer", "hconcat", "facet", "spec", "repeat",
            "row", "transform", "orientation", "bdata", "dtype", "shape", "annotations", "domain", "theta", "header",
        ]),
        inner,
        max_size=6,
    ),
    max_leaves=30,
)  # fmt: skip
_kinds = st.sampled_from(["bar", "pie", "box", "heatmap", "scatter", "histogram", "table", "sankey", "scatterpolar"])
_marks = st.sampled_from(["bar", "arc", "boxplot", "rect", "point", "rule", "area"])
_channels = st.dictionaries(st.sampled_from(["x", "y", "color", "theta", "size", "row"]), _json, max_size=4)


@given(
    st.lists(
        st.builds(lambda kind, more: {**more, "type": kind}, _kinds, st.dictionaries(st.text(max_size=4), _json)),
        max_size=3,
    ),
    _json,
)
def test_any_json_of_plotly_is_read_or_has_no_chart(traces: list[Any], layout: Any) -> None:
    chart = charts.of_plotly({"data": traces, "layout": layout})
    assert chart is None or (isinstance(chart["type"], str) and json.dumps(chart, allow_nan=False))


@given(_marks, _channels, st.lists(st.dictionaries(st.sampled_from("abx"), _json, max_size=3), max_size=5), _json)
def test_any_specification_of_altair_is_read_or_has_no_chart(mark: str, encoding: Any, rows: Any, more: Any) -> None:
    spec = {"mark": mark, "encoding": encoding, "data": {"values": rows}, **(more if isinstance(more, dict) else {})}
    chart = charts.of_altair(spec)
    assert chart is None or (isinstance(chart["type"], str) and json.dumps(chart, allow_nan=False))


@given(st.integers(0, 300), st.integers(1, 50))
def test_columns_stay_parallel_and_bounded(count: int, most: int) -> None:
    found = series.columns(most, x=list(range(count)), y=tuple(range(count)), none=None)
    assert len(found["x"]) == len(found["y"]) <= most
    assert found.get("count", count) == count
    assert ("truncated" in found) == (count > most)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 100))
def test_grids_stay_rectangular_and_bounded(height: int, width: int, most: int) -> None:
    found = series.grid(most, [[0] * width for _ in range(height)], list(range(width)), list(range(height)))
    assert sum(map(len, found["z"])) <= most
    assert len({len(row) for row in found["z"]}) <= 1
    if height and width:
        assert (len(found["x"]), len(found["y"])) == (len(found["z"][0]), len(found["z"]))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1), st.booleans())
def test_the_numbers_of_a_box_are_in_order(values: list[float], inclusive: bool) -> None:
    found = series.box("label", [*values, None, "text"], inclusive=inclusive)
    assert found is not None
    numbers = [found[name] for name in ("first_quartile", "median", "third_quartile")]
    assert numbers == sorted(numbers)
    assert min(values) <= found["min"] <= found["max"] <= max(values)
