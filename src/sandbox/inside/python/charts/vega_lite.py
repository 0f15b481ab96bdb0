"""Reads a Vega-Lite specification, as altair writes it: its views, and what is the same for several of them."""

from typing import Any

from . import series
from .vega_lite_fields import axis, distinct, field_of, grouped
from .vega_lite_marks import describe_mark

Json = dict[str, Any]
_FACETS = ("row", "column", "facet")
_OPERATORS = ("hconcat", "vconcat", "concat")


def chart(specification: Json, most: int) -> "Json | None":
    """Return the specification's chart with at most `most` points a series."""
    views = _views(specification, {"datasets": specification.get("datasets", {}), "transform": []})
    return series.figure(_title(specification), [_chart(title, layers, most) for title, layers in views])


def _views(spec: Json, outer: Json) -> "list[tuple[str | None, list[Json]]]":
    """Each view's title, and its layers: single marks with everything that they inherit."""
    own = _inherited(spec, outer)
    for operator in _OPERATORS:
        if operator in spec:
            return [view for inner in spec[operator] for view in _views(inner, own)]
    if "repeat" in spec:
        return [view for inner in _repeated(spec) for view in _views(inner, own)]
    if "facet" in spec and "spec" in spec:
        facet = spec["facet"] if "field" not in spec["facet"] else {"facet": spec["facet"]}
        inner = {**spec["spec"], "encoding": {**spec["spec"].get("encoding", {}), **facet}}
        return _views(inner, own)
    layers = _layers(spec, own)
    return [(value, part) for value, part in _faceted(layers, _title(spec))] if layers else []


def _inherited(spec: Json, outer: Json) -> Json:
    return {
        "datasets": outer["datasets"],
        "data": spec.get("data", outer.get("data")),
        "transform": [*outer["transform"], *spec.get("transform", [])],
        "encoding": {**outer.get("encoding", {}), **spec.get("encoding", {})},
    }


def _layers(spec: Json, own: Json) -> "list[Json]":
    if "layer" in spec:
        return [layer for inner in spec["layer"] for layer in _layers(inner, _inherited(inner, own))]
    if "mark" not in spec:
        return []
    mark = spec["mark"] if isinstance(spec["mark"], dict) else {"type": spec["mark"]}
    named = {key: spec[key] for key in ("name",) if key in spec}
    return [{**own, **named, "mark": mark, "rows": _rows(own)}]


def _rows(view: Json) -> "list[Json]":
    data = view.get("data") or {}
    values = data.get("values") if "values" in data else view["datasets"].get(data.get("name"))
    return [row if isinstance(row, dict) else {"data": row} for row in values] if isinstance(values, list) else []


def _repeated(spec: Json) -> "list[Json]":
    """The inner view once for each field, with the field's name in its place."""
    repeat = spec["repeat"] if isinstance(spec["repeat"], dict) else {"repeat": spec["repeat"]}
    views: list[Any] = [spec.get("spec", {})]
    for place, fields in repeat.items():
        views = [_replaced(view, {"repeat": place}, field) for view in views for field in fields]
    return views


def _replaced(value: Any, what: Json, field: Any) -> Any:
    if value == what:
        return field
    if isinstance(value, dict):
        return {key: _replaced(part, what, field) for key, part in value.items()}
    return [_replaced(part, what, field) for part in value] if isinstance(value, list) else value


def _faceted(layers: "list[Json]", title: "str | None") -> "list[tuple[str | None, list[Json]]]":
    """One view for each value of the fields that views are laid out by."""
    encoding = layers[0]["encoding"]
    fields = [field for name in _FACETS if (field := field_of(encoding.get(name)))]
    if not fields:
        return [(title, layers)]
    by_layer = [grouped(layer["rows"], lambda row: tuple(row.get(field) for field in fields)) for layer in layers]
    return [
        (
            ", ".join(str(part) for part in key),
            [{**layer, "rows": groups.get(key, [])} for layer, groups in zip(layers, by_layer, strict=True)],
        )
        for key in by_layer[0]
    ]


def _chart(title: "str | None", layers: "list[Json]", most: int) -> Json:
    found = [one for layer in layers for one in describe_mark(layer, most)]
    axes: Json = {}
    for layer in layers:
        for name in ("x", "y"):
            if name not in axes and layer["encoding"].get(name):
                axes[name] = axis(layer["encoding"][name])
    steps = [next(iter(set(step) - {"as"}), "") for layer in layers for step in layer["transform"]]
    sources = [str(layer["data"]["url"]) for layer in layers if "url" in (layer.get("data") or {})]
    return series.chart(title, axes, found, not_applied=distinct(steps), sources=distinct(sources))


def _title(spec: Json) -> "str | None":
    title = spec.get("title")
    text = title.get("text") if isinstance(title, dict) else title
    return " ".join(map(str, text)) if isinstance(text, list) else text or None
