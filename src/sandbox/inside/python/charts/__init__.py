"""The data of figures as plain dicts, so that a program can read a plot without looking at it.

A chart is {"type", "title", "axes": {"x": axis, "y": axis}, "series": [series]}, and a figure with several of them
{"type": "figure", "title", "charts": [chart]}. An axis has "label", "scale" (linear, log, datetime, categorical, ...),
"limits", "inverted" if it runs the other way, and where the library tells them "ticks" and "tick_labels". A series
has "name", "type" and, by its type:

    line, scatter, area     x, y (area: also base; errors as y_low and y_high, x_low and x_high; colours as color)
    bar                     labels, values, orientation (stacked: bases; errors: low, high)
    histogram               edges, counts, orientation; or values, where the library counts only when it draws
    pie                     labels, values, angles in degrees, radius
    box                     orientation, boxes: label, min, first_quartile, median, third_quartile, max, outliers
    violin                  orientation, violins: label, min, median, max, mean
    heatmap                 z (rows of values), x, y
    image                   shape; reference_line and reference_span say where they are

Other types have the columns that their library gives them. The chart's type is that of its series, or "mixed". What
is left out is said: a series with "truncated" has every `every`-th of `count` points, a chart with "truncated" had
`series_count` series, "unread" names what is drawn but not in the data. Dates are ISO strings, NaN is null.
"""

import json
from collections.abc import Callable
from typing import Any

from ..plain import TooMuch, plain

_MOST_BYTES = 4_000_000
_POINTS = (5000, 500, 50)

Chart = dict[str, Any]


def of_matplotlib(figure: Any) -> "Chart | None":
    """Return the chart of a figure of matplotlib, or None if it has no axes or cannot be read."""
    from . import matplotlib_figures  # noqa: PLC0415 - each reader is for those who use its library

    return _read(figure, matplotlib_figures.chart)


def of_plotly(figure: "dict[str, Any]") -> "Chart | None":
    """Return the chart of plotly's JSON for a figure, or None if it has no traces or cannot be read."""
    from . import plotly_figures  # noqa: PLC0415

    return _read(figure, plotly_figures.chart)


def of_altair(specification: "dict[str, Any]") -> "Chart | None":
    """Return the chart of a Vega-Lite specification, or None if it has no marks or cannot be read."""
    from . import vega_lite  # noqa: PLC0415

    return _read(specification, vega_lite.chart)


def _read(figure: Any, chart_of: "Callable[[Any, int], Chart | None]") -> "Chart | None":
    """Read with as many points a series as make a chart that is not too large."""
    for most in _POINTS:
        try:
            chart = plain(chart_of(figure, most))
        except TooMuch:
            continue
        except Exception:  # noqa: BLE001 - a figure whose data cannot be read is shown without them
            return None
        if chart is None or len(json.dumps(chart)) <= _MOST_BYTES:
            return chart  # type: ignore[no-any-return]
    return None
