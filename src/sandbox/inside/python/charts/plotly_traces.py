"""Reads single traces of plotly."""

from typing import Any

from .series import MOST_SERIES, box, columns, grid

_COLUMNS = (
    "x", "y", "z", "r", "theta", "a", "b", "c", "lat", "lon", "locations", "ids", "labels", "parents", "values",
    "open", "high", "low", "close", "measure", "u", "v", "w", "i", "j", "k", "text",
)  # fmt: skip

Json = dict[str, Any]


def describe_trace(trace: Json, layout: Json, most: int) -> Json:
    """Return the trace's series."""
    kind = str(trace.get("type", "scatter"))
    read = _READERS.get(kind, _other)
    return {"name": trace.get("name") or None, **read(trace, layout, most)}


def _points(trace: Json, _layout: Json, most: int) -> Json:
    y, x = _list(trace.get("y")), _list(trace.get("x"))
    count = len(y or x or ())
    x = _counted(trace, "x", count) if x is None else x
    y = _counted(trace, "y", count) if y is None else y
    marker = trace.get("marker") or {}
    return {
        "type": _type_of_points(trace, count),
        **columns(
            most,
            x=x,
            y=y,
            color=_list(marker.get("color")),
            size=_list(marker.get("size")),
            text=_list(trace.get("text")),
            **_errors(trace, "x", x),
            **_errors(trace, "y", y),
        ),
    }


def _type_of_points(trace: Json, count: int) -> str:
    if trace.get("stackgroup") or trace.get("fill", "none") != "none":
        return "area"
    mode = trace.get("mode") or ("lines+markers" if count < 20 else "lines")
    return "line" if "lines" in mode else "scatter"


def _counted(trace: Json, letter: str, count: int) -> "list[Any] | None":
    first, step = trace.get(f"{letter}0", 0), trace.get(f"d{letter}", 1)
    if not isinstance(first, (int, float)) or not isinstance(step, (int, float)):
        return None
    return [first + number * step for number in range(count)]


def _errors(trace: Json, letter: str, values: "list[Any] | None") -> Json:
    described = trace.get(f"error_{letter}") or {}
    above = _list(described.get("array"))
    below = _list(described.get("arrayminus")) or above
    if not values or above is None or below is None or described.get("visible") is False:
        return {}
    return {
        f"{letter}_low": [_plus(value, error, -1) for value, error in zip(values, below, strict=False)],
        f"{letter}_high": [_plus(value, error, 1) for value, error in zip(values, above, strict=False)],
    }


def _plus(value: Any, error: Any, sign: int) -> "float | None":
    known = isinstance(value, (int, float)) and isinstance(error, (int, float))
    return value + sign * error if known else None


def _bars(trace: Json, _layout: Json, most: int) -> Json:
    upright = trace.get("orientation", "v") == "v"
    along, value = ("x", "y") if upright else ("y", "x")
    values = _list(trace.get(value)) or []
    errors = _errors(trace, value, values)
    return {
        "type": "bar",
        "orientation": "vertical" if upright else "horizontal",
        **columns(
            most,
            labels=_list(trace.get(along)) or list(range(len(values))),
            values=values,
            bases=_list(trace.get("base")),
            text=_list(trace.get("text")),
            low=errors.get(f"{value}_low"),
            high=errors.get(f"{value}_high"),
        ),
    }


def _histogram(trace: Json, _layout: Json, most: int) -> Json:
    """The values themselves: plotly counts them when it draws. With both axes given, one weighs or groups the other."""
    upright = trace.get("orientation", "v" if _list(trace.get("x")) is not None else "h") == "v"
    along, weight = ("x", "y") if upright else ("y", "x")
    result: Json = {"type": "histogram", "orientation": "vertical" if upright else "horizontal"}
    if trace.get("histfunc"):
        result["function"] = trace["histfunc"]
    for key in ("histnorm", f"nbins{along}", f"{along}bins"):
        if trace.get(key):
            result[key] = trace[key]
    return result | columns(most, values=_list(trace.get(along)) or [], weights=_list(trace.get(weight)))


def _boxes(trace: Json, _layout: Json, most: int) -> Json:
    lying = _list(trace.get("x")) is not None and _list(trace.get("y")) is None
    upright = trace.get("orientation", "h" if lying else "v") == "v"
    values = _list(trace.get("y" if upright else "x")) or []
    groups = _list(trace.get("x" if upright else "y"))
    result: Json = {"type": "box", "orientation": "vertical" if upright else "horizontal"}
    if _list(trace.get("median")):
        return result | {"boxes": _given_boxes(trace, groups)[:most]}
    found = [box(label, inside) for label, inside in _grouped(trace, groups, values).items()]
    return result | {"boxes": [one for one in found if one][:most]}


def _given_boxes(trace: Json, labels: "list[Any] | None") -> "list[Json]":
    keys = {
        "min": "lowerfence",
        "first_quartile": "q1",
        "median": "median",
        "third_quartile": "q3",
        "max": "upperfence",
    }
    given = {name: _list(trace.get(key)) or [] for name, key in keys.items()}
    named = labels or [trace.get("name")] * len(given["median"])
    return [
        {"label": label, **{name: part[number] if number < len(part) else None for name, part in given.items()}}
        for number, label in enumerate(named[: len(given["median"])])
    ]


def _violins(trace: Json, layout: Json, most: int) -> Json:
    found = _boxes(trace, layout, most)
    boxes = found.pop("boxes")
    return {**found, "type": "violin", "violins": boxes}


def _grouped(trace: Json, groups: "list[Any] | None", values: "list[Any]") -> "dict[Any, list[Any]]":
    if not groups or len(groups) != len(values):
        return {trace.get("name") or None: values}
    found: dict[Any, list[Any]] = {}
    for group, value in zip(groups, values, strict=True):
        found.setdefault(str(group) if isinstance(group, (list, dict)) else group, []).append(value)
    return found


def _pie(trace: Json, layout: Json, most: int) -> Json:
    """As drawn: without what a click in the legend has hidden, equal labels together."""
    labels, values = _list(trace.get("labels")), _list(trace.get("values"))
    hidden = set(layout.get("hiddenlabels") or ())
    slices: dict[Any, float] = {}
    for number in range(len(labels or values or ())):
        label = labels[number] if labels and number < len(labels) else number
        value = 1 if values is None else values[number] if number < len(values) else 0
        if isinstance(value, (int, float)) and value >= 0 and label not in hidden:
            slices[label] = slices.get(label, 0) + value
    total = sum(slices.values()) or 1
    named, sizes = list(slices), list(slices.values())
    angles = [360 * size / total for size in sizes]
    return {"type": "pie", **columns(most, labels=named, values=sizes, angles=angles), "radius": 1.0}


def _heatmap(trace: Json, layout: Json, most: int) -> Json:
    kind = {"heatmapgl": "heatmap", "image": "image", "surface": "surface"}.get(trace["type"], trace["type"])
    rows = trace.get("z")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        return _other(trace, layout, most)
    if kind == "image":
        return {"type": "image", "shape": [len(rows), len(rows[0]) if rows else 0]}
    return {"type": kind, **grid(most, rows, _list(trace.get("x")), _list(trace.get("y")))}


def _table(trace: Json, _layout: Json, most: int) -> Json:
    header = _list((trace.get("header") or {}).get("values")) or []
    cells = _list((trace.get("cells") or {}).get("values")) or []
    return {
        "type": "table",
        "header": header[:MOST_SERIES],
        "columns": [column[:most] for column in cells[:MOST_SERIES]],
    }


def _sankey(trace: Json, _layout: Json, most: int) -> Json:
    node, link = trace.get("node") or {}, trace.get("link") or {}
    flows = columns(most, **{key: _list(link.get(key)) for key in ("source", "target", "value")})
    return {"type": "sankey", "labels": (_list(node.get("label")) or [])[:most], **flows}


def _other(trace: Json, _layout: Json, most: int) -> Json:
    found = {name: _list(trace.get(name)) for name in _COLUMNS}
    value = {"value": trace["value"]} if isinstance(trace.get("value"), (int, float)) else {}
    return {"type": str(trace.get("type", "scatter")), **columns(most, **found), **value}


def _list(value: Any) -> "list[Any] | None":
    return value if isinstance(value, list) else None


_READERS = {
    "scatter": _points,
    "scattergl": _points,
    "bar": _bars,
    "histogram": _histogram,
    "box": _boxes,
    "violin": _violins,
    "pie": _pie,
    "funnelarea": _pie,
    "heatmap": _heatmap,
    "heatmapgl": _heatmap,
    "contour": _heatmap,
    "surface": _heatmap,
    "image": _heatmap,
    "table": _table,
    "sankey": _sankey,
}
