"""The data of charts of altair, which are specifications of Vega-Lite."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.inside.python import charts


def of_altair(encoding: dict[str, Any], mark: object = "bar", **more: Any) -> dict[str, Any]:
    rows = [
        {"a": "x", "b": 1, "d": "2024-01-05"},
        {"a": "y", "b": 2, "d": "2024-02-01"},
        {"a": "x", "b": 6, "d": "2024-02-03"},
    ]
    chart = charts.of_altair(
        {"data": {"name": "n"}, "datasets": {"n": rows}, "mark": mark, "encoding": encoding, **more}
    )
    assert chart is not None
    return chart


A = {"field": "a", "type": "nominal"}
B = {"field": "b", "type": "quantitative"}
D = {"field": "d", "type": "temporal"}
COUNT = {"aggregate": "count", "type": "quantitative"}


@pytest.mark.parametrize(
    ("operation", "values"),
    [
        ("sum", [7, 2]),
        ("mean", [3.5, 2.0]),
        ("max", [6, 2]),
        ("count", [2, 1]),
        ("distinct", [2, 1]),
        ("median", [3.5, 2]),
    ],
)
def test_aggregates_are_computed(operation: str, values: list[float]) -> None:
    chart = of_altair({"x": A, "y": {**B, "aggregate": operation}})
    assert (chart["series"][0]["labels"], chart["series"][0]["values"]) == (["x", "y"], values)


def test_an_aggregate_that_is_not_known_is_named() -> None:
    chart = of_altair({"x": A, "y": {**B, "aggregate": "q1"}})
    assert chart["series"][0]["not_aggregated"] == ["y: q1"]
    assert chart["series"][0]["values"] == [1, 2, 6]


def test_colours_make_groups_and_bars_may_lie() -> None:
    chart = of_altair({"y": A, "x": COUNT, "color": A})
    assert [(one["name"], one["orientation"], one["values"]) for one in chart["series"]] == [
        ("x", "horizontal", [2]),
        ("y", "horizontal", [1]),
    ]
    assert chart["axes"]["x"]["label"] == "Count of Records"


def test_a_binned_axis_makes_a_histogram() -> None:
    chart = of_altair({"x": {**B, "bin": {"maxbins": 5}}, "y": COUNT})
    assert (chart["type"], chart["axes"]["x"]["label"]) == ("histogram", "b (binned)")
    assert (chart["series"][0]["edges"], chart["series"][0]["counts"]) == (
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        [1, 1, 0, 0, 1],
    )


@pytest.mark.parametrize(
    ("mark", "encoding", "kind", "expected"),
    [
        ("line", {"x": D, "y": B}, "line", {"x": ["2024-01-05", "2024-02-01", "2024-02-03"]}),
        ("point", {"x": B, "y": B, "size": B, "color": B}, "scatter", {"size": [1, 2, 6], "color": [1, 2, 6]}),
        ("arc", {"theta": B, "color": A}, "pie", {"labels": ["x", "y", "x"], "values": [1, 2, 6]}),
        ("rect", {"x": A, "y": D, "color": B}, "heatmap", {"z": [[1, None], [None, 2], [6, None]], "x": ["x", "y"]}),
        ("area", {"x": {**D, "timeUnit": "yearmonth"}, "y": {**B, "aggregate": "sum"}}, "area",
         {"x": ["2024-01", "2024-02"], "y": [1, 8]}),
        ({"type": "rule"}, {"y": {"datum": 5}}, "reference_line", {"orientation": "horizontal", "y": 5}),
        ("tick", {"x": B}, "tick", {"x": [1, 2, 6]}),
    ],
)  # fmt: skip
def test_marks_are_read(mark: object, encoding: dict[str, Any], kind: str, expected: dict[str, Any]) -> None:
    chart = of_altair(encoding, mark)
    assert chart["type"] == kind
    assert {key: chart["series"][0][key] for key in expected} == expected


def test_box_plots_are_computed_as_vega_does() -> None:
    chart = of_altair({"x": A, "y": B}, "boxplot")
    assert chart["series"][0]["boxes"][0] == {"label": "x", "min": 1, "first_quartile": 2.25, "median": 3.5,
                                              "third_quartile": 4.75, "max": 6, "outliers": []}  # fmt: skip


def test_layers_are_one_chart_and_concatenations_several() -> None:
    rule = {"mark": "rule", "encoding": {"y": {"datum": 3}}}
    bars = {"mark": "bar", "encoding": {"x": A, "y": B}}
    rows = {"data": {"values": [{"a": "x", "b": 1}]}}
    layered = charts.of_altair({**rows, "layer": [bars, rule], "title": {"text": ["two", "lines"]}})
    assert layered is not None
    assert (layered["type"], layered["title"]) == ("bar", "two lines")
    assert [one["type"] for one in layered["series"]] == ["bar", "reference_line"]
    several = charts.of_altair({**rows, "hconcat": [bars, {"vconcat": [bars, {**bars, "mark": "point"}]}]})
    assert several is not None
    assert [one["type"] for one in several["charts"]] == ["bar", "bar", "scatter"]


def test_facets_and_repeats_are_charts() -> None:
    faceted = of_altair({"x": B, "y": B, "column": A}, "point")
    assert [(one["title"], one["series"][0]["x"]) for one in faceted["charts"]] == [("x", [1, 6]), ("y", [2])]
    repeated = charts.of_altair(
        {"data": {"values": [{"b": 1, "c": 2}]}, "repeat": {"column": ["b", "c"]},
         "spec": {"mark": "point", "encoding": {"x": {"field": {"repeat": "column"}, "type": "quantitative"}}}}
    )  # fmt: skip
    assert repeated is not None
    assert [one["series"][0]["x"] for one in repeated["charts"]] == [[1], [2]]


def test_what_altair_leaves_to_the_browser_is_named() -> None:
    chart = of_altair({"x": B, "y": B}, "point", transform=[{"filter": "datum.b > 1"}])
    assert chart["not_applied"] == ["filter"]
    elsewhere = charts.of_altair({"data": {"url": "data.csv"}, "mark": "point", "encoding": {"x": B}})
    assert elsewhere is not None
    assert elsewhere["sources"] == ["data.csv"]


def test_axes_of_altair_that_run_the_other_way_say_so() -> None:
    axes = of_altair({"x": A, "y": {**B, "scale": {"reverse": True}}})["axes"]
    assert (axes["y"]["inverted"], "inverted" in axes["x"]) == (True, False)
