"""Reads plotly's JSON for a figure: traces, and the axes and places that its layout gives them."""

import array
import base64
import re
from collections.abc import Callable
from typing import Any

from . import series
from .plotly_traces import describe_trace

_TYPECODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "f4": "f", "f8": "d"}
_DATE = re.compile(r"\d{4}-\d\d(-\d\d|$)")
_SCALES = {"date": "datetime", "category": "categorical", "multicategory": "categorical"}
_PLACES = {
    "scene": ("scatter3d", "surface", "mesh3d", "cone", "streamtube", "volume", "isosurface"),
    "polar": ("scatterpolar", "scatterpolargl", "barpolar"),
    "geo": ("scattergeo", "choropleth"),
    "mapbox": ("scattermapbox", "choroplethmapbox", "densitymapbox"),
    "map": ("scattermap", "choroplethmap", "densitymap"),
    "ternary": ("scatterternary",),
    "smith": ("scattersmith",),
}
_WITHOUT_AXES = (
    "pie",
    "funnelarea",
    "sunburst",
    "treemap",
    "icicle",
    "indicator",
    "table",
    "sankey",
    "parcoords",
    "parcats",
)

Json = dict[str, Any]


def chart(figure: Json, most: int) -> "Json | None":
    """Return the figure's chart with at most `most` points a series."""
    layout = figure.get("layout", {})
    traces = [_decoded(trace) for trace in figure.get("data", []) if trace.get("visible") is not False]
    subplots: dict[Any, list[Json]] = {}
    for number, trace in enumerate(traces):
        subplots.setdefault(_subplot_of(trace, layout, number), []).append(trace)
    charts = [_chart(place, found, layout, most) for place, found in subplots.items()]
    whole = series.figure(_text(layout.get("title")), charts)
    if whole is not None and figure.get("frames"):
        whole["frames"] = len(figure["frames"])
    return whole


def _decoded(value: Any) -> Any:
    """Arrays that plotly sends as base64 become lists again, or lists of rows."""
    if isinstance(value, list):
        return [_decoded(part) if isinstance(part, (dict, list)) else part for part in value]
    if not isinstance(value, dict):
        return value
    if "bdata" not in value or value.get("dtype") not in _TYPECODES:
        return {key: _decoded(part) for key, part in value.items()}
    numbers = array.array(_TYPECODES[value["dtype"]], base64.b64decode(value["bdata"])).tolist()
    shape = [int(size) for size in str(value.get("shape", "")).split(",") if size.strip()]
    if len(shape) != 2 or not shape[1]:
        return numbers
    return [numbers[start : start + shape[1]] for start in range(0, len(numbers), shape[1])]


def _subplot_of(trace: Json, layout: Json, number: int) -> "tuple[str, ...]":
    """What traces of one chart have in common: their axes, their scene, or nothing, as that of a pie."""
    kind = trace.get("type", "scatter")
    for place, kinds in _PLACES.items():
        if kind in kinds:
            return (trace.get("scene" if place == "scene" else "geo" if place == "geo" else "subplot", place),)
    if kind in _WITHOUT_AXES:
        return ("domain", str(number))
    return tuple(_base_of(trace.get(f"{letter}axis", letter), layout) for letter in "xy")


def _base_of(axis: str, layout: Json) -> str:
    """The axis that this one lies upon, if there is one: together they make one chart."""
    over = _axis_layout(axis, layout).get("overlaying")
    return over if isinstance(over, str) and over != "free" else axis


def _axis_layout(axis: str, layout: Json) -> Json:
    found = layout.get(f"{axis[:1]}axis{axis[1:]}", {})
    return found if isinstance(found, dict) else {}


def _chart(place: "tuple[str, ...]", traces: "list[Json]", layout: Json, most: int) -> Json:
    found = []
    axes: Json = {}
    for trace in traces:
        one = describe_trace(trace, layout, most)
        if len(place) == 2 and place[0] != "domain":
            for letter in "xy":
                axis = trace.get(f"{letter}axis", letter)
                name = letter if axis == place["xy".index(letter)] else axis
                data = [t.get(letter) for t in traces if t.get(f"{letter}axis", letter) == axis]
                axes.setdefault(name, _axis(_axis_layout(axis, layout), data))
                if name != letter:
                    one["axis"] = name
        found.append(one)
    if len(place) == 1 and isinstance(layout.get(place[0]), dict):
        axes = _axes_of_place(layout[place[0]])
    return series.chart(_title(place, traces, layout), axes, found)


def _axis(described: Json, data: "list[Any]") -> Json:
    axis = {
        "label": _text(described.get("title")),
        "scale": _scale(described.get("type"), data),
        "limits": described.get("range"),
    }
    if str(described.get("autorange")).endswith("reversed") or _descends(described.get("range")):
        axis["inverted"] = True
    if isinstance(described.get("tickvals"), list):
        axis |= {"ticks": described["tickvals"][:100], "tick_labels": (described.get("ticktext") or [])[:100]}
    return axis


def _descends(limits: Any) -> bool:
    if not isinstance(limits, list) or len(limits) != 2 or type(limits[0]) is not type(limits[1]):
        return False
    return bool(limits[0] > limits[1])


def _axes_of_place(described: Json) -> Json:
    names = {"x": "xaxis", "y": "yaxis", "z": "zaxis", "r": "radialaxis", "theta": "angularaxis"}
    return {name: _axis(described[key], []) for name, key in names.items() if isinstance(described.get(key), dict)}


def _scale(kind: Any, data: "list[Any]") -> str:
    if isinstance(kind, str) and kind != "-":
        return _SCALES.get(kind, kind)
    values = (value for column in data if isinstance(column, list) for value in column if value is not None)
    first = next(values, None)
    if isinstance(first, str):
        return "datetime" if _DATE.match(first) else "categorical"
    return "linear"


def _title(place: "tuple[str, ...]", traces: "list[Json]", layout: Json) -> "str | None":
    """The title that stands above the chart as an annotation, as that of a subplot does."""
    if place[0] == "domain" or len(place) == 1:
        domain = traces[0].get("domain") or layout.get(place[0], {}).get("domain") or {}
        across, up = domain.get("x"), domain.get("y")
    else:
        across, up = (_axis_layout(axis, layout).get("domain") for axis in place)
    if not across and not up:
        return None
    middle, top = sum(across or [0, 1]) / 2, (up or [0, 1])[1]
    return next((text for text in _annotations(layout, _above(middle, top))), None)


def _above(middle: float, top: float) -> "Callable[[Json], bool]":
    return lambda note: abs(note.get("x", -1) - middle) < 0.01 and 0 <= note.get("y", -1) - top < 0.05


def _annotations(layout: Json, wanted: "Callable[[Json], bool]") -> "list[str]":
    notes = [n for n in layout.get("annotations", []) if n.get("xref") == n.get("yref") == "paper"]
    return [str(note.get("text")) for note in notes if wanted(note)]


def _text(title: Any) -> "str | None":
    return (title.get("text") if isinstance(title, dict) else title) or None
