"""What the readers share: columns of bounded length, and charts put together from series."""

from collections.abc import Sized
from typing import Any

MOST_SERIES = 100


def columns(most: int, **named: Any) -> "dict[str, Any]":
    """Return columns of equal length, of at most `most` entries; those that are None are left out.

    Of longer ones every n-th entry is taken, so that a curve keeps its shape.
    """
    given = {name: column for name, column in named.items() if column is not None}
    count = max((len(column) for column in given.values()), default=0)
    every = -(-count // most) or 1
    taken = {name: list(column[::every]) for name, column in given.items()}
    return {**taken, **truncated(count, every)}


def truncated(count: int, every: int) -> "dict[str, Any]":
    """What a series says that has only every n-th of its points."""
    return {"truncated": True, "count": count, "every": every} if every > 1 else {}


def grid(most: int, rows: Any, x: Any, y: Any) -> "dict[str, Any]":
    """Return the columns of a heatmap: rows of values, and the places of columns and rows if they are known."""
    height, width = len(rows), max((len(row) for row in rows), default=0)
    every = 1
    while -(-height // every) * -(-width // every) > most:
        every += 1
    result: dict[str, Any] = {"z": [list(row[::every]) for row in rows[::every]]}
    for name, places, size in (("x", x, width), ("y", y, height)):
        if isinstance(places, Sized) and len(places) == size:
            result[name] = list(places[::every])  # type: ignore[index]
    return {**result, **truncated(height * width, every)}


def chart(title: Any, axes: "dict[str, Any]", series: "list[dict[str, Any]]", **more: Any) -> "dict[str, Any]":
    """Return a chart of these series, with the type that they have together."""
    kinds = {one["type"] for one in series}
    drawn = {kind for kind in kinds if not kind.startswith("reference_")} or kinds
    result = {
        "type": "empty" if not drawn else drawn.pop() if len(drawn) == 1 else "mixed",
        "title": title or None,
        "axes": axes,
        "series": series[:MOST_SERIES],
    }
    if len(series) > MOST_SERIES:
        result |= {"truncated": True, "series_count": len(series)}
    return result | {name: value for name, value in more.items() if value}


def figure(title: Any, charts: "list[dict[str, Any]]") -> "dict[str, Any] | None":
    """Return the only chart with the figure's title if it has none, several as a figure, and None for none."""
    if not charts:
        return None
    if len(charts) == 1:
        return {**charts[0], "title": charts[0]["title"] or title or None}
    result: dict[str, Any] = {"type": "figure", "title": title or None, "charts": charts[:MOST_SERIES]}
    if len(charts) > MOST_SERIES:
        result |= {"truncated": True, "chart_count": len(charts)}
    return result


def box(label: Any, values: "list[Any]", *, inclusive: bool = False) -> "dict[str, Any] | None":
    """Return a box of raw values, or None for none: quartiles by linear interpolation, whiskers to 1.5 of the box.

    `inclusive`: the least and the greatest value stand for the shares 0 and 1, as in Vega. Otherwise the n-th of N
    values stands for the share (n - 0.5) / N, as in plotly.js.
    """
    ordered = sorted(value for value in values if isinstance(value, (int, float)) and value == value)  # noqa: PLR0124
    if not ordered:
        return None
    low, median, high = (_quantile(ordered, share, inclusive=inclusive) for share in (0.25, 0.5, 0.75))
    reach = 1.5 * (high - low)
    inside = [value for value in ordered if low - reach <= value <= high + reach]
    return {
        "label": label,
        "min": min(inside),
        "first_quartile": low,
        "median": median,
        "third_quartile": high,
        "max": max(inside),
        "outliers": [value for value in ordered if not low - reach <= value <= high + reach][:MOST_SERIES],
    }


def _quantile(ordered: "list[float]", share: float, *, inclusive: bool) -> float:
    count = len(ordered)
    place = share * (count - 1) if inclusive else min(max(share * count - 0.5, 0.0), count - 1.0)
    below = int(place)
    above = min(below + 1, count - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
