"""The data of a figure, in the form in which E2B's clients know charts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

Chart = dict[str, Any]
_POINTS = {"line", "scatter"}


def translated(chart: Chart) -> Chart:
    """A chart of ours in their form. What they have no kind for is "unknown", with its title."""
    if "charts" in chart:
        return _chart("superchart", chart, [translated(one) for one in chart["charts"]])
    kind, series = chart.get("type"), chart.get("series") or []
    if kind in _POINTS and all("x" in one and "y" in one for one in series):
        return {**_plane(str(kind), chart, [_points(one) for one in series]), **_ticks(chart)}
    if kind == "bar":
        return _plane("bar", chart, [bar for one in series for bar in _bars(one)])
    if kind == "histogram" and all("edges" in one for one in series):
        return _plane("bar", chart, [bar for one in series for bar in _bins(one)])
    if kind == "box":
        return _plane("box_and_whisker", chart, [box for one in series for box in one.get("boxes") or []])
    slices = [slice_ for one in series for slice_ in _slices(one)] if kind == "pie" else []
    return _chart("pie" if kind == "pie" else "unknown", chart, slices)


def _chart(kind: str, chart: Chart, elements: list[Any]) -> Chart:
    return {"type": kind, "title": chart.get("title"), "elements": elements}


def _axis(chart: Chart, name: str) -> Chart:
    return (chart.get("axes") or {}).get(name) or {}


def _plane(kind: str, chart: Chart, elements: list[Any]) -> Chart:
    """With two axes. Units are in no library's figures but as words in a label."""
    labels = {"x_label": _axis(chart, "x").get("label"), "y_label": _axis(chart, "y").get("label")}
    return {**_chart(kind, chart, elements), **labels, "x_unit": None, "y_unit": None}


def _ticks(chart: Chart) -> Chart:
    found: Chart = {}
    for name in ("x", "y"):
        axis = _axis(chart, name)
        found[f"{name}_ticks"] = axis.get("ticks") or []
        found[f"{name}_tick_labels"] = axis.get("tick_labels") or []
        found[f"{name}_scale"] = axis.get("scale") or "unknown"
    return found


def _points(series: Chart) -> Chart:
    return {"label": series.get("name"), "points": [list(pair) for pair in zip(series["x"], series["y"], strict=False)]}


def _bars(series: Chart) -> list[Chart]:
    pairs = zip(series.get("labels") or [], series.get("values") or [], strict=False)
    return [{"label": str(label), "value": value, "group": series.get("name") or ""} for label, value in pairs]


def _bins(series: Chart) -> list[Chart]:
    names = [f"{low:g} to {high:g}" for low, high in pairwise(series["edges"])]
    return _bars({"name": series.get("name"), "labels": names, "values": series.get("counts")})


def _slices(series: Chart) -> list[Chart]:
    labels, angles = series.get("labels") or [], series.get("angles") or []
    radius = series.get("radius")
    return [{"label": str(a), "angle": b, "radius": radius} for a, b in zip(labels, angles, strict=False)]
