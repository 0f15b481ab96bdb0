"""Reads single marks of a Vega-Lite view."""

from typing import Any

from .series import box, columns, grid
from .vega_lite_fields import (
    AGGREGATES,
    aggregated,
    binned,
    distinct,
    field_of,
    grouped,
    hashable,
    is_discrete,
    is_number,
    reader,
)

Json = dict[str, Any]
_TYPES = {
    "point": "scatter", "circle": "scatter", "square": "scatter", "trail": "line", "arc": "pie", "boxplot": "box",
    "rect": "heatmap",
}  # fmt: skip
_GROUPS = ("color", "fill", "stroke", "shape", "strokeDash", "detail")
_OTHERS = ("x", "y", "x2", "y2", "xError", "yError", "theta", "radius", "size", "text", "longitude", "latitude")


def describe_mark(view: Json, most: int) -> "list[Json]":
    """Return a mark's series: one for each group that its colours, shapes or details tell apart."""
    kind = _TYPES.get(view["mark"]["type"], str(view["mark"]["type"]))
    channels = {name: c for name, c in view["encoding"].items() if isinstance(c, dict) and name in (*_OTHERS, *_GROUPS)}
    table, raw = _table(channels, view["rows"])
    by = [name for name in _GROUPS if is_discrete(channels.get(name))]
    if kind in ("pie", "heatmap"):
        by = []
    found = []
    for key, lines in grouped(table, lambda line: tuple(line[name] for name in by)).items():
        name = ", ".join(str(part) for part in key) or view.get("name")
        one = {"name": name, **_READERS.get(kind, _other)(kind, lines, channels, view, most)}
        found.append({**one, "not_aggregated": raw} if raw else one)
    return found


def _table(channels: Json, rows: "list[Json]") -> "tuple[list[Json], list[str]]":
    """What each channel makes of the rows, aggregated; and the aggregates that are not known here, if any is."""
    operations = {name: c["aggregate"] for name, c in channels.items() if c.get("aggregate")}
    unknown = [f"{name}: {o}" for name, o in operations.items() if not isinstance(o, str) or o not in AGGREGATES]
    readers = {name: reader(channel, rows) for name, channel in channels.items()}
    rows = rows or ([] if any(map(field_of, channels.values())) else [{}])
    table = [{name: hashable(read(row)) for name, read in readers.items()} for row in rows]
    if not operations or unknown:
        return table, unknown
    return aggregated(table, operations, rows, {name: field_of(channels[name]) for name in operations}), []


def _column(lines: "list[Json]", name: str) -> "list[Any] | None":
    return [line[name] for line in lines] if lines and name in lines[0] else None


def _is_upright(channels: Json) -> bool:
    """Bars and boxes stand on the axis that is discrete, and lie if that is y."""
    x, y = channels.get("x", {}), channels.get("y", {})
    return not (is_discrete(y) and not is_discrete(x)) and not (x.get("aggregate") and not y.get("aggregate"))


def _bars(_kind: str, lines: "list[Json]", channels: Json, view: Json, most: int) -> Json:
    upright = _is_upright(channels)
    along, value = ("x", "y") if upright else ("y", "x")
    common = {"orientation": "vertical" if upright else "horizontal"}
    edges = binned(channels[along], view["rows"]) if along in channels else None
    if edges is not None and channels.get(value, {}).get("aggregate") == "count":
        counts = {line[along]: line[value] for line in lines}
        return {"type": "histogram", **common, "edges": edges, "counts": [counts.get(edge, 0) for edge in edges[:-1]]}
    labels = _column(lines, along) or [None] * len(lines)
    bases = _column(lines, f"{value}2")
    return {"type": "bar", **common, **columns(most, labels=labels, values=_column(lines, value) or [], bases=bases)}


def _pie(_kind: str, lines: "list[Json]", channels: Json, _view: Json, most: int) -> Json:
    values = [value if is_number(value) else 0 for value in _column(lines, "theta") or [1] * len(lines)]
    by = next((name for name in _GROUPS if name in channels), None)
    labels = _column(lines, by) if by else list(range(len(lines)))
    total = sum(values) or 1
    angles = [360 * value / total for value in values]
    return {"type": "pie", **columns(most, labels=labels, values=values, angles=angles), "radius": 1.0}


def _boxes(_kind: str, lines: "list[Json]", channels: Json, _view: Json, most: int) -> Json:
    upright = _is_upright(channels)
    along, value = ("x", "y") if upright else ("y", "x")
    groups: dict[Any, list[Any]] = {}
    for line in lines:
        groups.setdefault(line.get(along), []).append(line.get(value))
    found = [box(label, values, inclusive=True) for label, values in groups.items()]
    orientation = "vertical" if upright else "horizontal"
    return {"type": "box", "orientation": orientation, "boxes": [one for one in found if one][:most]}


def _heatmap(kind: str, lines: "list[Json]", channels: Json, view: Json, most: int) -> Json:
    """A table of colours, if each place has one; rectangles otherwise."""
    if not {"x", "y", "color"} <= set(channels) or "x2" in channels:
        return _other("rectangles", lines, channels, view, most)
    x, y = distinct(_column(lines, "x") or ()), distinct(_column(lines, "y") or ())
    places = {(line["x"], line["y"]): line["color"] for line in lines}
    if len(x) * len(y) > 20 * most:
        return _other(kind, lines, channels, view, most)
    return {"type": kind, **grid(most, [[places.get((across, up)) for across in x] for up in y], x, y)}


def _rule(_kind: str, lines: "list[Json]", channels: Json, view: Json, most: int) -> Json:
    """A line all across the view, or from place to place."""
    name = "x" if "x" in channels else "y"
    if ("x" in channels) == ("y" in channels) or len(distinct(line[name] for line in lines)) != 1:
        return _other("segments", lines, channels, view, most)
    return {"type": "reference_line", "orientation": "vertical" if name == "x" else "horizontal", name: lines[0][name]}


def _other(kind: str, lines: "list[Json]", channels: Json, _view: Json, most: int) -> Json:
    named = {name: _column(lines, name) for name in _OTHERS if field_of(channels.get(name)) or _is_set(channels, name)}
    color = _column(lines, "color") if channels.get("color", {}).get("type") == "quantitative" else None
    return {"type": kind, **columns(most, **named, color=color)}


def _is_set(channels: Json, name: str) -> bool:
    channel = channels.get(name, {})
    return (name in ("x", "y") and bool(channel)) or "aggregate" in channel or "datum" in channel


_READERS = {"bar": _bars, "pie": _pie, "box": _boxes, "heatmap": _heatmap, "rule": _rule}
