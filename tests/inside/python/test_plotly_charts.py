"""The data of figures of plotly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.inside.python import charts


def of_plotly(figure: Any) -> dict[str, Any]:
    import plotly.io

    chart = charts.of_plotly(json.loads(plotly.io.to_json(figure)))
    assert chart is not None
    return chart


def test_plotly_express_names_its_groups_and_axes() -> None:
    px = pytest.importorskip("plotly.express")
    chart = of_plotly(px.bar(x=["a", "b"], y=[1, 2], color=["p", "q"], title="T", labels={"x": "X", "y": "Y"}))
    assert (chart["type"], chart["title"]) == ("bar", "T")
    assert chart["axes"]["x"] == {"label": "X", "scale": "categorical", "limits": None}
    assert [(one["name"], one["labels"], one["values"]) for one in chart["series"]] == [
        ("p", ["a"], [1]),
        ("q", ["b"], [2]),
    ]


def test_arrays_that_plotly_packs_are_unpacked() -> None:
    go = pytest.importorskip("plotly.graph_objects")
    numpy = pytest.importorskip("numpy")
    for kind in ("f8", "f4", "i4", "i2", "u1"):
        chart = of_plotly(go.Figure(go.Scatter(x=numpy.arange(3, dtype=kind), y=numpy.array([1, 2, 3], dtype=kind))))
        assert (chart["series"][0]["x"], chart["series"][0]["y"]) == ([0, 1, 2], [1, 2, 3])
    chart = of_plotly(go.Figure(go.Heatmap(z=numpy.arange(6.0).reshape(2, 3))))
    assert chart["series"][0]["z"] == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


@pytest.mark.parametrize(
    ("trace", "kind", "expected"),
    [
        ({"type": "scatter", "y": [1, 2]}, "line", {"x": [0, 1], "y": [1, 2]}),
        ({"type": "scatter", "y": [2], "mode": "markers", "marker": {"color": [5]}}, "scatter", {"color": [5]}),
        ({"type": "scatter", "y": [1, 2], "fill": "tozeroy"}, "area", {"y": [1, 2]}),
        ({"type": "scatter", "y": [1], "error_y": {"array": [0.5]}}, "line", {"y_low": [0.5], "y_high": [1.5]}),
        ({"type": "bar", "x": [3], "y": ["a"], "orientation": "h"}, "bar",
         {"labels": ["a"], "values": [3], "orientation": "horizontal"}),
        ({"type": "histogram", "x": [1, 1, 2]}, "histogram", {"values": [1, 1, 2], "orientation": "vertical"}),
        ({"type": "pie", "labels": ["a", "a", "b"], "values": [1, 1, 2]}, "pie",
         {"labels": ["a", "b"], "values": [2, 2], "angles": [180.0, 180.0]}),
        ({"type": "candlestick", "x": ["2024-01-01"], "open": [1], "high": [4], "low": [0], "close": [3]},
         "candlestick", {"open": [1], "close": [3]}),
        ({"type": "sunburst", "labels": ["a"], "parents": [""], "values": [1]}, "sunburst", {"parents": [""]}),
        ({"type": "choropleth", "locations": ["USA"], "z": [1]}, "choropleth", {"locations": ["USA"], "z": [1]}),
        ({"type": "scatterpolar", "r": [1], "theta": [2]}, "scatterpolar", {"r": [1], "theta": [2]}),
        ({"type": "indicator", "value": 5}, "indicator", {"value": 5}),
        ({"type": "table", "header": {"values": ["h"]}, "cells": {"values": [[1, 2]]}}, "table", {"columns": [[1, 2]]}),
        ({"type": "sankey", "node": {"label": ["a", "b"]}, "link": {"source": [0], "target": [1], "value": [2]}},
         "sankey", {"labels": ["a", "b"], "source": [0], "value": [2]}),
    ],
)  # fmt: skip
def test_traces_of_plotly_are_read(trace: dict[str, Any], kind: str, expected: dict[str, Any]) -> None:
    chart = charts.of_plotly({"data": [trace], "layout": {}})
    assert chart is not None
    assert chart["type"] == kind
    assert {key: chart["series"][0][key] for key in expected} == expected


def test_boxes_of_plotly_are_computed_as_it_draws_them() -> None:
    trace = {"type": "box", "x": ["a"] * 6 + ["b"], "y": [1, 2, 3, 4, 5, 100, 7]}
    chart = charts.of_plotly({"data": [trace], "layout": {}})
    assert chart is not None
    first, second = chart["series"][0]["boxes"]
    assert first == {"label": "a", "min": 1, "first_quartile": 2, "median": 3.5, "third_quartile": 5, "max": 5,
                     "outliers": [100]}  # fmt: skip
    assert (second["label"], second["min"], second["max"]) == ("b", 7, 7)


def test_subplots_of_plotly_are_charts_with_their_titles() -> None:
    make_subplots = pytest.importorskip("plotly.subplots").make_subplots
    figure = make_subplots(
        rows=1, cols=3, subplot_titles=("L", "M", "R"), specs=[[{}, {"secondary_y": True}, {"type": "domain"}]]
    )
    figure.add_scatter(y=[1], row=1, col=1)
    figure.add_bar(y=[1], row=1, col=2)
    figure.add_scatter(y=[100], row=1, col=2, secondary_y=True)
    figure.add_pie(labels=["a"], values=[1], row=1, col=3)
    chart = of_plotly(figure)
    assert chart["type"] == "figure"
    assert [(one["type"], one["title"]) for one in chart["charts"]] == [("line", "L"), ("mixed", "M"), ("pie", "R")]
    assert [one.get("axis") for one in chart["charts"][1]["series"]] == [None, "y3"]
    assert "y3" in chart["charts"][1]["axes"]


def test_an_empty_figure_of_plotly_has_no_chart() -> None:
    assert charts.of_plotly({"data": [], "layout": {}}) is None


@pytest.mark.parametrize("how", [{"autorange": "reversed"}, {"range": [3, 0]}])
def test_axes_of_plotly_that_run_the_other_way_say_so(how: dict[str, Any]) -> None:
    go = pytest.importorskip("plotly.graph_objects")
    figure = go.Figure(go.Scatter(x=[1, 2], y=[1, 2]))
    figure.update_yaxes(**how)
    axes = of_plotly(figure)["axes"]
    assert (axes["y"]["inverted"], "inverted" in axes["x"]) == (True, False)
