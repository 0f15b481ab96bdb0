"""Reads what matplotlib draws as several artists: bars, histograms, pies, boxes, violins, error bars."""

import sys
from typing import Any

from .matplotlib_artists import Plane, name_of, read_line
from .matplotlib_legend import color_of
from .notes import BODY, BOX, VALUE, VIOLIN
from .series import columns

_MOST_OUTLIERS = 200
_MOST_BINS = 5000


def bars(container: Any, plane: Plane) -> "dict[str, Any] | None":
    """Bars, or a histogram: bars that touch each other on an axis of numbers."""
    upright = container.orientation != "horizontal"
    boxes = [_edges(bar, upright=upright) for bar in container.patches]
    if not boxes:
        return None
    starts, widths, bases, values = zip(*boxes, strict=True)
    common = {
        "name": name_of(container) or name_of(container.patches[0]),
        "orientation": "vertical" if upright else "horizontal",
    }
    axis = plane.x if upright else plane.y
    if axis.is_numeric and len(boxes) <= _MOST_BINS and _touching(starts, widths):
        counted = {"type": "histogram", "edges": [*starts, starts[-1] + widths[-1]], "counts": values}
        return {**common, **counted, **({"bases": bases} if any(bases) else {})}
    centers = [start + width / 2 for start, width in zip(starts, widths, strict=True)]
    low, high = _errors_of(container, plane, upright=upright)
    cut = columns(
        plane.most,
        labels=axis.labels(centers),
        values=values,
        bases=bases if any(bases) else None,
        low=low if len(low) == len(values) else None,
        high=high if len(high) == len(values) else None,
    )
    return {**common, "type": "bar", **cut}


def _errors_of(container: Any, plane: Plane, *, upright: bool) -> "tuple[list[Any], list[Any]]":
    """The lower and upper ends of the bars' errors."""
    if container.errorbar is not None:
        return _ends(container.errorbar, upright=upright)
    lines = error_lines(container, plane)
    ends = [
        sorted(float(end) for end in (line.get_ydata(orig=False) if upright else line.get_xdata(orig=False)))
        for number in range(len(container.patches))
        if (line := lines.get(number)) is not None
    ]
    return [low for low, _ in ends], [high for _, high in ends]


def error_lines(container: Any, plane: Plane) -> "dict[int, Any]":
    """Lines that are drawn along the middle of bars, as some libraries draw errors, by the bar's number."""
    upright = container.orientation != "horizontal"
    edges = (_edges(bar, upright=upright) for bar in container.patches)
    middles = {round(start + width / 2, 6): number for number, (start, width, _, _) in enumerate(edges)}
    found = {}
    for line in plane.axes.lines:
        x, y = line.get_xdata(orig=False), line.get_ydata(orig=False)
        along = x if upright else y
        if len(x) == len(y) == 2 and along[0] == along[1] and plane.follows_data(line) == (True, True):
            number = middles.get(round(float(along[0]), 6))
            if number is not None:
                found[number] = line
    return found


def _edges(bar: Any, *, upright: bool) -> "tuple[float, float, float, float]":
    x, y, width, height = bar.get_x(), bar.get_y(), bar.get_width(), bar.get_height()
    found = (x, width, y, height) if upright else (y, height, x, width)
    return tuple(float(number) for number in found)  # type: ignore[return-value]


def _touching(starts: "tuple[float, ...]", widths: "tuple[float, ...]") -> bool:
    """Whether each bar begins where the last one ended. Bars of width 1 around whole numbers are counts of those."""
    if len(starts) < 2 or all(w == 1 and (s + 0.5).is_integer() for s, w in zip(starts, widths, strict=True)):
        return False
    slack = 1e-6 * abs(starts[-1] + widths[-1] - starts[0])
    ends = [start + width for start, width in zip(starts, widths, strict=True)]
    return all(abs(end - start) <= slack for end, start in zip(ends, starts[1:], strict=False))


def _ends(errors: Any, *, upright: bool) -> "tuple[list[float], list[float]]":
    """The lower and upper ends of error bars in one direction."""
    place = 1 if upright else 0
    segments = [segment for lines in (errors.lines[2] if errors else ()) for segment in lines.get_segments()]
    segments = [segment for segment in segments if len(segment) == 2 and segment[0][1 - place] == segment[1][1 - place]]
    return [float(s[:, place].min()) for s in segments], [float(s[:, place].max()) for s in segments]


def errorbar(container: Any, plane: Plane) -> "dict[str, Any] | None":
    """Points or a line with errors."""
    line = container.lines[0]
    found = read_line(line, plane) if line is not None else None
    if found is None:
        return None
    found["name"] = name_of(container) or found["name"]
    for name, has, upright in (("y", container.has_yerr, True), ("x", container.has_xerr, False)):
        low, high = _ends(container, upright=upright) if has else ([], [])
        if low and "truncated" not in found and len(low) == len(found["x"]):
            found |= {f"{name}_low": low, f"{name}_high": high}
    return found


def stem(container: Any, plane: Plane) -> "dict[str, Any] | None":
    """Points with a line each to the base."""
    found = read_line(container.markerline, plane)
    return None if found is None else {**found, "type": "stem", "name": name_of(container)}


def pies(plane: Plane) -> "dict[int, tuple[Any, Any, list[Any]]]":
    """Return pies by their first wedge, as a reader takes them. Rings have radii of their own."""
    rings: dict[float, list[Any]] = {}
    for patch in plane.axes.patches:
        if type(patch).__name__ == "Wedge":
            rings.setdefault(round(float(patch.r), 6), []).append(patch)
    return {id(wedges[0]): (_read_pie, wedges, wedges) for wedges in rings.values()}


def _read_pie(wedges: "list[Any]", plane: Plane) -> "dict[str, Any]":
    angles = [float(wedge.theta2 - wedge.theta1) for wedge in wedges]
    values = [getattr(wedge, VALUE, angle / 360) for wedge, angle in zip(wedges, angles, strict=True)]
    labels = [name_of(wedge) for wedge in wedges]
    legend = plane.axes.get_legend()
    if legend is not None and not any(labels) and len(legend.get_texts()) == len(labels):
        labels = [text.get_text() for text in legend.get_texts()]
    cut = columns(plane.most, labels=labels, values=values, angles=angles)
    return {"name": None, "type": "pie", **cut, "radius": float(wedges[0].r)}


def boxes(_axes: Any, plane: Plane) -> "dict[str, Any] | None":
    """All boxes of the plane, as they were noted when they were drawn."""
    anchors = [line for line in plane.axes.lines if hasattr(line, BOX)]
    if not anchors:
        return None
    upright = len(set(anchors[0].get_ydata(orig=False))) == 1
    places = [(a.get_xdata(orig=False) if upright else a.get_ydata(orig=False)).mean() for a in anchors]
    labels = (plane.x if upright else plane.y).labels(places)
    found = [_box(label, anchor, plane) for label, anchor in zip(labels, anchors, strict=True)]
    orientation = "vertical" if upright else "horizontal"
    return {"name": None, "type": "box", "orientation": orientation, "boxes": found[: plane.most]}


def _box(label: Any, anchor: Any, plane: Plane) -> "dict[str, Any]":
    noted = getattr(anchor, BOX)
    outliers = noted["fliers"] if noted["fliers"] is not None else ()
    result = {
        "label": label,
        "min": noted["whislo"],
        "first_quartile": noted["q1"],
        "median": noted["med"],
        "third_quartile": noted["q3"],
        "max": noted["whishi"],
        "outliers": list(outliers[:_MOST_OUTLIERS]),
    }
    group = plane.legend.name(color_of(getattr(anchor, BODY, None)))
    result |= {name: value for name, value in (("mean", noted["mean"]), ("group", group)) if value is not None}
    return {**result, "outlier_count": len(outliers)} if len(outliers) > _MOST_OUTLIERS else result


def violins(_axes: Any, plane: Plane) -> "dict[str, Any] | None":
    """All violins of the plane, as they were noted when they were drawn."""
    bodies = [body for body in plane.axes.collections if hasattr(body, VIOLIN)]
    if not bodies:
        return None
    numpy: Any = sys.modules["numpy"]
    upright = getattr(bodies[0], "t_direction", "y") == "y"
    outlines = [numpy.concatenate([path.vertices for path in body.get_paths()]) for body in bodies]
    sides = [outline[:, 0 if upright else 1] for outline in outlines]
    labels = (plane.x if upright else plane.y).labels([(side.min() + side.max()) / 2 for side in sides])
    found = [{"label": label, **getattr(body, VIOLIN)} for label, body in zip(labels, bodies, strict=True)]
    orientation = "vertical" if upright else "horizontal"
    return {"name": None, "type": "violin", "orientation": orientation, "violins": found[: plane.most]}
