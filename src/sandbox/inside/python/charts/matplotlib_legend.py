"""Names that only the legend of a plot tells, by the colours of its entries."""

import sys
from typing import Any

_MOST_GROUPS = 50

Color = tuple[float, ...]


class Legend:
    """The legend of axes, or that they have none."""

    def __init__(self, axes: Any) -> None:
        legend = axes.get_legend()
        self.names = [text.get_text() for text in legend.get_texts()] if legend is not None else []
        colors = [color_of(handle) for handle in getattr(legend, "legend_handles", ())]
        self._by_color = dict(zip(colors, self.names, strict=False)) if len(set(colors)) == len(colors) else {}

    def name(self, color: "Color | None") -> "str | None":
        """The name of the entry with this colour. None if no entry has it, or the legend has a colour twice."""
        return None if color is None else self._by_color.get(color)

    def names_of(self, points: Any) -> "list[str | None] | None":
        """Each point's name, if the points of one collection have the colours of several entries."""
        colors = [_rounded(color) for color in points.get_facecolors()]
        if not 1 < len(set(colors)) <= _MOST_GROUPS or len(colors) != len(points.get_offsets()):
            return None
        return [self.name(color) for color in colors] if set(colors) <= set(self._by_color) else None

    def name_in_order(self, found: "list[dict[str, Any]]") -> None:
        """Give series the legend's names, if none of them has one and the legend has one for each."""
        series = [one for one in found if not one["type"].startswith("reference_")]
        if not any(one.get("name") for one in series) and len(self.names) == len(series):
            for one, name in zip(series, self.names, strict=True):
                one["name"] = name


def color_of(artist: Any) -> "Color | None":
    """The colour that tells an artist from others, or a container by the first of its artists."""
    if isinstance(artist, tuple):
        return color_of(artist[0]) if artist else None
    for method in ("get_markerfacecolor", "get_facecolor"):
        if hasattr(artist, method):
            to_rgba: Any = sys.modules["matplotlib.colors"].to_rgba_array
            found = to_rgba(getattr(artist, method)())
            return _rounded(found[0]) if len(found) else None
    return None


def _rounded(color: Any) -> Color:
    """Without the opacity, which the legend does not always share."""
    return tuple(round(float(part), 4) for part in color[:3])
