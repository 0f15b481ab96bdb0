"""Reads a figure of matplotlib from what is drawn on its axes, whichever library plotted it."""

from typing import Any

from . import series
from .matplotlib_artists import READERS, Plane
from .matplotlib_axis import class_names
from .matplotlib_groups import bars, boxes, error_lines, errorbar, pies, stem, violins
from .matplotlib_legend import color_of
from .notes import PART

_CONTAINERS = {"BarContainer": bars, "ErrorbarContainer": errorbar, "StemContainer": stem}
_FURNITURE = {"Axis", "Spine", "Text", "Legend", "OffsetBox", "Axes", "Table", "Shadow"}


def chart(figure: Any, most: int) -> "dict[str, Any] | None":
    """Return the figure's chart with at most `most` points a series."""
    planes = [Plane(axes, most) for axes in figure.axes if axes.get_visible() and _colored_by(axes) is None]
    groups = _twins(planes)
    charts = [_chart(group) for group in groups]
    for axes in figure.axes:
        for group, one in zip(groups, charts, strict=True):
            if _colored_by(axes) is group[0].axes:
                one["axes"]["color"] = Plane(axes, most).describe_longer()
    suptitle = (
        figure.get_suptitle() if hasattr(figure, "get_suptitle") else getattr(figure._suptitle, "get_text", str)()
    )
    return series.figure(suptitle, charts)


def _colored_by(axes: Any) -> Any:
    """Of a colour bar's axes: the axes that its colours are on."""
    return getattr(getattr(getattr(axes, "_colorbar", None), "mappable", None), "axes", None)


def _twins(planes: "list[Plane]") -> "list[list[Plane]]":
    """Planes that lie on each other, with one axis in common, belong to one chart."""
    groups: list[list[Plane]] = []
    for plane in planes:
        found = next((group for group in groups if group[0].is_twin_of(plane)), None)
        if found is None:
            groups.append([plane])
        else:
            found.append(plane)
    return groups


def _chart(planes: "list[Plane]") -> "dict[str, Any]":
    first = planes[0]
    axes = first.describe()
    found, unread = _series(first)
    for number, plane in enumerate(planes[1:], start=2):
        own = "y" if first.shares_x_with(plane) else "x"
        axes[f"{own}{number}"] = plane.describe()[own]
        more, unread_more = _series(plane)
        found += [{**one, "axis": f"{own}{number}"} for one in more]
        unread += unread_more
    title = next(filter(None, (plane.title for plane in planes)), None)
    if {one["type"] for one in found} == {"pie"}:
        return series.chart(title, {}, found, unread=sorted(set(unread)))
    notes = [note for plane in planes for note in plane.texts()]
    projection = "" if first.projection == "rectilinear" else first.projection
    return series.chart(title, axes, found, projection=projection, texts=notes, unread=sorted(set(unread)))


def _series(plane: Plane) -> "tuple[list[dict[str, Any]], list[str]]":
    """Read everything on the plane, in the order in which it was drawn; name what cannot be read."""
    found: list[dict[str, Any]] = []
    unread: list[str] = []
    taken: set[int] = set()
    for read, thing, parts in _things(plane):
        if any(id(part) in taken for part in parts):
            continue
        taken |= {id(part) for part in parts}
        known, one = _attempt(read, thing, plane)
        if one is not None:
            if one["name"] is None and "group" not in one:
                one["name"] = plane.legend.name(color_of(thing))
            found.append(one)
        elif not known:
            unread.append(type(thing).__name__)
    plane.legend.name_in_order(found)
    return found, unread


def _attempt(read: Any, thing: Any, plane: Plane) -> "tuple[bool, dict[str, Any] | None]":
    """Whether `thing` can be read, and its series if it has data."""
    if read is None:
        return False, None
    try:
        return True, read(thing, plane)
    except Exception:  # noqa: BLE001 - one artist that is not as expected must not cost the others
        return False, None


def _things(plane: Plane) -> Any:
    """Yield what is to be read: a reader, the artist or container, and its artists."""
    containers: dict[int, Any] = {}
    for container in plane.axes.containers:
        read = next((_CONTAINERS[name] for name in class_names(container) if name in _CONTAINERS), None)
        parts = container.get_children()
        if read is bars:
            parts += container.errorbar.get_children() if container.errorbar is not None else []
            parts += error_lines(container, plane).values()
        if read is not None:
            containers |= {id(part): (read, container, parts) for part in parts}
    wedges = pies(plane)
    for artist in plane.artists():
        if id(artist) in containers:
            yield containers[id(artist)]
        elif id(artist) in wedges:
            yield wedges[id(artist)]
        elif not hasattr(artist, PART) and not class_names(artist) & _FURNITURE and artist.get_visible():
            yield _reader(artist), artist, [artist]
    yield from ((read, plane.axes, []) for read in (boxes, violins))


def _reader(artist: Any) -> Any:
    return next((READERS[kind.__name__] for kind in type(artist).__mro__ if kind.__name__ in READERS), None)
