"""The data behind figures that JavaScript shows: what the same specification gives a session in Python."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox import LocalSandbox
from sandbox.inside.python import charts

BARS = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json", "title": "Sales", "mark": "bar",
    "data": {"values": [{"a": "x", "b": 1.5}, {"a": "y", "b": 2}, {"a": "x", "b": 6}]},
    "encoding": {"x": {"field": "a", "type": "nominal"}, "y": {"field": "b", "aggregate": "sum", "title": "Pieces"}},
}  # fmt: skip
BOXES = {**BARS, "mark": "boxplot", "encoding": {"x": {"field": "a"}, "y": {"field": "b", "type": "quantitative"}}}
LAYERS = {
    **{key: BARS[key] for key in ("$schema", "data")},
    "hconcat": [
        {"layer": [{"mark": "line", "encoding": BARS["encoding"]}, {"mark": "rule", "encoding": {"y": {"datum": 3}}}]},
        {"mark": "arc", "encoding": {"theta": {"field": "b"}, "color": {"field": "a"}}},
    ],
}  # fmt: skip
PLOTLY = {
    "data": [{"type": "bar", "x": ["a", "b"], "y": [1, 2], "name": "one"}, {"type": "scatter", "y": [2, None, 0.5]}],
    "layout": {"title": {"text": "T"}, "yaxis": {"title": {"text": "Y"}, "type": "log"}},
}
ODD = {**PLOTLY, "data": [{"type": "pie", "values": {"not": "a list"}}, {"type": 5}]}
EMPTY: dict[str, Any] = {"data": [], "layout": {}}


@pytest.mark.parametrize("specification", [BARS, BOXES, LAYERS, PLOTLY, ODD, EMPTY])
async def test_a_specification_has_the_chart_that_python_finds_in_it(js: LocalSandbox, specification: Any) -> None:
    (result,) = (await js.run(json.dumps(specification).join("()"))).results
    find = charts.of_altair if "$schema" in specification else charts.of_plotly
    assert result.chart == find(specification)
    assert (result.chart is None) == (specification is EMPTY)


async def test_charts_of_one_cell_are_those_of_their_figures(js: LocalSandbox) -> None:
    shows = "".join(f"display({json.dumps({**PLOTLY, 'data': [{'type': 'bar', 'y': [n]}]})});" for n in range(3))
    execution = await js.run(f"{shows} display(1); display({{ toMIME: () => ({{ 'text/html': 'x' }}) }})")
    assert execution.stderr == ""
    found = [None if one.chart is None else one.chart["series"][0]["values"] for one in execution.results]
    assert found == [[0], [1], [2], None, None]


async def test_what_shows_itself_as_a_specification_has_a_chart_too(js: LocalSandbox) -> None:
    shows = f"({{ toMIME: () => ({{ 'application/vnd.vegalite.v5+json': {json.dumps(BARS)} }}) }})"
    (result,) = (await js.run(shows)).results
    assert result.chart is not None
    assert result.chart["series"][0]["values"] == [7.5, 2]


async def test_a_chart_that_cannot_be_looked_for_is_said_and_costs_nothing_else(js: LocalSandbox) -> None:
    await js.run("const processes = require('child_process'); const { spawnSync } = processes")
    await js.run("processes.spawnSync = () => ({ error: Error('no') })")
    execution = await js.run(json.dumps(PLOTLY).join("()"))
    assert "the data of the figure could not be read" in execution.stderr
    assert execution.results[0].chart is None
    assert execution.results[0].data["application/vnd.plotly.v1+json"]["data"][0]["x"] == ["a", "b"]
    await js.run("processes.spawnSync = spawnSync")
    assert (await js.run(json.dumps(PLOTLY).join("()"))).results[0].chart is not None


async def test_a_large_figure_has_a_chart_of_fewer_points(js: LocalSandbox) -> None:
    code = "const y = Array.from({ length: 200_000 }, (_, n) => n % 7); display({ data: [{ y }], layout: {} })"
    (result,) = (await js.run(code)).results
    assert result.chart is not None
    assert result.chart["series"][0]["truncated"]
    assert len(result.chart["series"][0]["y"]) <= 5000
