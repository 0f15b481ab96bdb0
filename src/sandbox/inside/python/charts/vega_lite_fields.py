"""What the channels of a Vega-Lite view take from its rows: fields, bins, parts of dates, aggregates."""

import statistics
from collections.abc import Callable, Iterable
from typing import Any

Json = dict[str, Any]
_DISCRETE = ("nominal", "ordinal")
_SCALES = {"quantitative": "linear", "temporal": "datetime", "nominal": "categorical", "ordinal": "categorical"}
_DATE_PARTS = {"year": 4, "yearmonth": 7, "yearmonthdate": 10}


def field_of(channel: Any) -> "str | None":
    """The name of the field that a channel takes, without the escapes of dots and brackets."""
    field = channel.get("field") if isinstance(channel, dict) else None
    return field.replace("\\", "") if isinstance(field, str) else None


def is_discrete(channel: Any) -> bool:
    """Whether a channel tells groups apart rather than numbers."""
    return isinstance(channel, dict) and (channel.get("type") in _DISCRETE or bool(channel.get("bin")))


def distinct(values: "Iterable[Any]") -> "list[Any]":
    """Each value once, in order."""
    return list(dict.fromkeys(values))


def grouped(rows: "Iterable[Json]", key_of: "Callable[[Json], tuple[Any, ...]]") -> "dict[tuple[Any, ...], list[Json]]":
    """The rows by their keys, in the order in which those come first."""
    groups: dict[tuple[Any, ...], list[Json]] = {}
    for row in rows:
        groups.setdefault(tuple(hashable(part) for part in key_of(row)), []).append(row)
    return groups


def hashable(value: Any) -> Any:
    """A value of JSON as something that can tell groups apart."""
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def axis(channel: Json) -> Json:
    """Return what the chart says of an axis."""
    scale = channel.get("scale") or {}
    domain = scale.get("domain")
    return {
        "label": _label(channel),
        "scale": scale.get("type") or _SCALES.get(channel.get("type", ""), "linear"),
        "limits": domain if isinstance(domain, list) else None,
        **({"inverted": True} if scale.get("reverse") is True else {}),
    }


def _label(channel: Json) -> "str | None":
    axis = channel.get("axis") or {}
    for place in (axis, channel):
        if "title" in place:
            title = place["title"]
            return " ".join(map(str, title)) if isinstance(title, list) else title
    field, operation = field_of(channel), channel.get("aggregate")
    if operation == "count":
        return "Count of Records"
    if isinstance(operation, str):
        return f"{operation.capitalize()} of {field}"
    if channel.get("bin"):
        return f"{field} (binned)"
    unit = channel.get("timeUnit")
    return f"{field} ({unit})" if isinstance(unit, str) else field


def binned(channel: Json, rows: "list[Json]") -> "list[float] | None":
    """The edges of a channel's bins: round steps, no more of them than were asked for, as Vega makes them."""
    field, wanted = field_of(channel), channel.get("bin")
    numbers = [row[field] for row in rows if is_number(row.get(field))] if field else []
    if not wanted or not numbers:
        return None
    options = wanted if isinstance(wanted, dict) else {}
    low, high = options.get("extent") or (min(numbers), max(numbers))
    step = float(options.get("step") or _step(high - low or abs(low) or 1.0, options.get("maxbins", 10)))
    first = low // step * step
    count = max(1, -int(-(high - first) // step))
    return [first + number * step for number in range(min(count, 10_000) + 1)]


def _step(span: float, most: int) -> float:
    """The smallest of 1, 2 or 5 times a power of ten with which `span` has at most `most` steps."""
    step = 10.0 ** _exponent(span / most)
    while span / step > most:
        step *= 10
    for part in (5, 2):
        if span / (step / part) <= most:
            step /= part
    return step


def _exponent(value: float) -> int:
    exponent = 0
    while 10.0 ** (exponent + 1) <= value:
        exponent += 1
    while 10.0**exponent > value:
        exponent -= 1
    return exponent


def is_number(value: object) -> bool:
    """Whether a value of JSON is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def reader(channel: Json, rows: "list[Json]") -> "Callable[[Json], Any]":
    """Return what a channel makes of a row, before it is aggregated. A bin is told by its lower edge."""
    field = field_of(channel)
    if field is None:
        constant = channel.get("datum", channel.get("value"))
        return lambda _row: constant
    edges = binned(channel, rows)
    if edges is not None:
        return lambda row: _edge_below(edges, row.get(field))
    length = _DATE_PARTS.get(str(channel.get("timeUnit", "")))
    if length is not None:
        return lambda row: str(row.get(field))[:length]
    return lambda row: row.get(field)


def _edge_below(edges: "list[float]", value: Any) -> "float | None":
    if not is_number(value):
        return None
    return next((edge for edge in reversed(edges[:-1]) if value >= edge), edges[0])


def aggregated(table: "list[Json]", operations: "dict[str, Any]", rows: "list[Json]", fields: Json) -> "list[Json]":
    """Group the table by all that is not aggregated. `rows` are what each line of it was made from."""
    groups: dict[tuple[Any, ...], list[Json]] = {}
    kept = [name for name in (table[0] if table else ()) if name not in operations]
    for line, row in zip(table, rows, strict=True):
        groups.setdefault(tuple(line[name] for name in kept), []).append(row)
    return [
        dict(zip(kept, key, strict=True))
        | {name: aggregate(operation, fields[name], inside) for name, operation in operations.items()}
        for key, inside in groups.items()
    ]


def aggregate(operation: Any, field: "str | None", rows: "list[Json]") -> Any:
    """Return the aggregate of a field over some rows. Raises KeyError for one that is not known here."""
    if operation == "count":
        return len(rows)
    values = [row[field] for row in rows if field is not None and row.get(field) is not None]
    return AGGREGATES[operation](values) if values or operation in ("sum", "distinct", "valid") else None


AGGREGATES: "dict[Any, Callable[[list[Any]], Any]]" = {
    "count": len,
    "valid": len,
    "distinct": lambda values: len(set(values)),
    "sum": sum,
    "mean": statistics.fmean,
    "average": statistics.fmean,
    "median": statistics.median,
    "min": min,
    "max": max,
    "stdev": lambda values: statistics.stdev(values) if len(values) > 1 else None,
    "variance": lambda values: statistics.variance(values) if len(values) > 1 else None,
}
