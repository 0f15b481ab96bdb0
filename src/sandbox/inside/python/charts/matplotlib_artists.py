"""Reads single artists of matplotlib: lines, points, areas, images."""

import sys
from typing import Any

from .matplotlib_axis import Axis
from .matplotlib_legend import Legend
from .series import columns, grid

_MOST_TEXTS = 100
_LONGEST_TEXT = 200


class Plane:
    """Axes of matplotlib, and what the positions on them stand for."""

    def __init__(self, axes: Any, most: int) -> None:
        self.axes = axes
        self.most = most
        self.x = Axis(axes.xaxis)
        self.y = Axis(axes.yaxis)
        self.projection = str(axes.name)
        self.legend = Legend(axes)

    @property
    def title(self) -> "str | None":
        return next((title for place in ("center", "left", "right") if (title := self.axes.get_title(loc=place))), None)

    def describe(self) -> "dict[str, Any]":
        axes = {"x": self.x.describe(), "y": self.y.describe()}
        return {**axes, "z": Axis(self.axes.zaxis).describe()} if hasattr(self.axes, "zaxis") else axes

    def describe_longer(self) -> "dict[str, Any]":
        """Of a colour bar: the axis that has numbers."""
        box = self.axes.get_window_extent()
        return (self.x if box.width > box.height else self.y).describe()

    def shares_x_with(self, other: "Plane") -> bool:
        return bool(self.axes.get_shared_x_axes().joined(self.axes, other.axes))

    def is_twin_of(self, other: "Plane") -> bool:
        shares = self.shares_x_with(other) or self.axes.get_shared_y_axes().joined(self.axes, other.axes)
        return bool(shares) and self.axes.get_position().bounds == other.axes.get_position().bounds

    def artists(self) -> "list[Any]":
        return [artist for artist in self.axes.get_children() if artist is not self.axes.patch]

    def follows_data(self, artist: Any) -> "tuple[bool, bool]":
        """Whether its x and its y are data, and not parts of the axes' size."""
        x, y = artist.get_transform().contains_branch_seperately(self.axes.transData)
        return bool(x), bool(y)

    def texts(self) -> "list[dict[str, Any]]":
        """What is written on the plane, and where."""
        found = []
        for text in self.axes.texts[:_MOST_TEXTS]:
            written = text.get_text()[:_LONGEST_TEXT]
            if written and text.get_visible():
                x, y = getattr(text, "xy", None) or text.get_position()
                found.append({"text": written, "x": x, "y": y})
        return found


def name_of(artist: Any) -> "str | None":
    """The name that was given to it: matplotlib's own begin with an underscore."""
    label = str(artist.get_label() or "")
    return None if not label or label.startswith("_") else label


def read_line(line: Any, plane: Plane) -> "dict[str, Any] | None":
    """A line, or points that were plotted as one."""
    x, y = _filled(line.get_xdata(orig=False)), _filled(line.get_ydata(orig=False))
    if not len(x) or line.get_transform() is None:
        return None
    if hasattr(line, "get_data_3d"):
        return _series(line, _line_type(line), plane, *line.get_data_3d())
    follows = plane.follows_data(line)
    if follows == (False, True):
        return _reference(line, "horizontal", y=plane.y.values(y[:1])[0])
    if follows == (True, False):
        return _reference(line, "vertical", x=plane.x.values(x[:1])[0])
    if follows == (False, False):
        return None
    return {
        "name": name_of(line),
        "type": _line_type(line),
        **columns(plane.most, x=plane.x.values(x, line.get_xdata()), y=plane.y.values(y, line.get_ydata())),
    }


def _line_type(line: Any) -> str:
    bare = line.get_linestyle() in ("None", "none", "", " ")
    return "scatter" if bare and line.get_marker() not in ("None", "none", "", " ", None) else "line"


def _reference(artist: Any, orientation: str, **where: Any) -> "dict[str, Any]":
    return {"name": name_of(artist), "type": "reference_line", "orientation": orientation, **where}


def read_points(points: Any, plane: Plane) -> "dict[str, Any] | None":
    """What scatter draws."""
    x, y = _filled(points.get_offsets()).reshape(-1, 2).T
    if not len(x):
        return None
    color, sizes = points.get_array(), points.get_sizes()
    return {
        "name": name_of(points),
        "type": "scatter",
        **columns(
            plane.most,
            x=plane.x.values(x),
            y=plane.y.values(y),
            color=None if color is None or len(color) != len(x) else _filled(color),
            size=sizes if len(sizes) == len(x) > 1 else None,
            group=plane.legend.names_of(points) if color is None else None,
        ),
    }


def read_points_3d(points: Any, plane: Plane) -> "dict[str, Any]":
    """What scatter draws in space."""
    return _series(points, "scatter", plane, *(_filled(column) for column in points._offsets3d))


def read_area(area: Any, plane: Plane) -> "dict[str, Any] | None":
    """What fill_between draws: an outline that goes along one curve and comes back along the other."""
    if area.get_array() is not None and len(area.get_offsets()) > 1:
        return _read_hexagons(area, plane)
    along: list[Any] = []
    first: list[Any] = []
    second: list[Any] = []
    sideways = getattr(area, "t_direction", "x") == "y"
    for path in area.get_paths():
        half = (len(path.vertices) - 3) // 2
        going, coming = path.vertices[1 : half + 1], path.vertices[half + 2 : 2 * half + 2][::-1]
        place, value = (1, 0) if sideways else (0, 1)
        if half < 1 or not (going[:, place] == coming[:, place]).all():
            return None
        along += going[:, place].tolist()
        first += going[:, value].tolist()
        second += coming[:, value].tolist()
    if not along:
        return None
    # The curve is the one that is not the base line: stacked areas are drawn from below.
    curve, base = (second, first) if sum(map(abs, second)) > sum(map(abs, first)) else (first, second)
    places = (plane.y if sideways else plane.x).values(along)
    named = {"x": curve, "y": places} if sideways else {"x": places, "y": curve}
    return {"name": name_of(area), "type": "area", **columns(plane.most, **named, base=base if any(base) else None)}


def _read_hexagons(area: Any, plane: Plane) -> "dict[str, Any]":
    x, y = _filled(area.get_offsets()).reshape(-1, 2).T
    values = columns(plane.most, x=plane.x.values(x), y=plane.y.values(y), values=_filled(area.get_array()))
    return {"name": name_of(area), "type": "hexbin", **values}


def read_segments(lines: Any, plane: Plane) -> "dict[str, Any] | None":
    """Many short lines, as one with gaps."""
    numpy: Any = sys.modules["numpy"]
    gap = numpy.full((1, 2), numpy.nan)
    parts = [part for segment in lines.get_segments() for part in (segment, gap)]
    if not parts:
        return None
    x, y = numpy.concatenate(parts[:-1]).T
    return {"name": name_of(lines), "type": "segments", **columns(plane.most, x=plane.x.values(x), y=plane.y.values(y))}


def read_mesh(mesh: Any, plane: Plane) -> "dict[str, Any]":
    """What pcolormesh draws."""
    edges = mesh.get_coordinates()
    rows = _filled(mesh.get_array()).reshape(edges.shape[0] - 1, edges.shape[1] - 1)
    x, y = (edges[0, 1:, 0] + edges[0, :-1, 0]) / 2, (edges[1:, 0, 1] + edges[:-1, 0, 1]) / 2
    return {"name": name_of(mesh), "type": "heatmap", **grid(plane.most, rows, plane.x.values(x), plane.y.values(y))}


def read_image(image: Any, plane: Plane) -> "dict[str, Any]":
    """What imshow draws: values, or a picture."""
    numpy: Any = sys.modules["numpy"]
    rows = _filled(image.get_array())
    if rows.ndim != 2:
        return {"name": name_of(image), "type": "image", "shape": list(rows.shape)}
    left, right, bottom, top = image.get_extent()
    if image.origin == "upper":
        bottom, top = top, bottom
    height, width = rows.shape
    x = left + (numpy.arange(width) + 0.5) * (right - left) / width
    y = bottom + (numpy.arange(height) + 0.5) * (top - bottom) / height
    return {"name": name_of(image), "type": "heatmap", **grid(plane.most, rows, plane.x.values(x), plane.y.values(y))}


def read_contours(contours: Any, _plane: Plane) -> "dict[str, Any]":
    """What contour and contourf draw."""
    return {"name": None, "type": "contour", "levels": list(contours.levels), "filled": bool(contours.filled)}


def read_arrows(arrows: Any, plane: Plane) -> "dict[str, Any]":
    """What quiver draws."""
    x, y = plane.x.values(arrows.X), plane.y.values(arrows.Y)
    return {"name": None, "type": "quiver", **columns(plane.most, x=x, y=y, u=arrows.U, v=arrows.V)}


def read_steps(steps: Any, _plane: Plane) -> "dict[str, Any]":
    """What stairs draws."""
    values, edges, _ = steps.get_data()
    orientation = getattr(steps, "orientation", "vertical")
    return {
        "name": name_of(steps),
        "type": "histogram",
        "orientation": orientation,
        "edges": list(edges),
        "counts": list(values),
    }


def read_outline(polygon: Any, plane: Plane) -> "dict[str, Any] | None":
    """A polygon. That of a histogram without bars goes up and down at the edges of its bins."""
    x, y = _filled(polygon.get_xy()).T
    name = name_of(polygon)
    if plane.follows_data(polygon) != (True, True):
        return _span(polygon, plane, [x.min(), x.max()], [y.min(), y.max()])
    for orientation, bins in (("vertical", _bins(x, y)), ("horizontal", _bins(y, x))):
        if bins:
            return {"name": name, "type": "histogram", "orientation": orientation, "edges": bins[0], "counts": bins[1]}
    return {"name": name, "type": "polygon", **columns(plane.most, x=plane.x.values(x), y=plane.y.values(y))}


def _bins(along: Any, up: Any) -> "tuple[Any, Any] | None":
    """The edges and heights of steps, if the outline has them, up to where it ends or turns back."""
    end = int(along.argmax())
    starts, heights = along[0 : end + 1 : 2], up[1 : end + 1 : 2]
    steps = (
        end >= 2 and end % 2 == 0 and (along[1:end:2] == starts[:-1]).all() and (up[2 : end + 1 : 2] == heights).all()
    )
    return (starts, heights) if steps and (starts[1:] > starts[:-1]).all() else None


def read_span(rectangle: Any, plane: Plane) -> "dict[str, Any] | None":
    """A rectangle that is no bar: a range of one axis, all along the other."""
    x, y = rectangle.get_x(), rectangle.get_y()
    return _span(rectangle, plane, [x, x + rectangle.get_width()], [y, y + rectangle.get_height()])


def _span(artist: Any, plane: Plane, x: "list[float]", y: "list[float]") -> "dict[str, Any] | None":
    span = {"name": name_of(artist), "type": "reference_span"}
    match plane.follows_data(artist):
        case (True, False):
            return {**span, "orientation": "vertical", "x": plane.x.values(x)}
        case (False, True):
            return {**span, "orientation": "horizontal", "y": plane.y.values(y)}
    return None


def _series(artist: Any, kind: str, plane: Plane, x: Any, y: Any, z: Any) -> "dict[str, Any]":
    return {"name": name_of(artist), "type": kind, **columns(plane.most, x=x, y=y, z=z)}


def _filled(values: Any) -> Any:
    """An array of floats, with NaN where a value is masked."""
    numpy: Any = sys.modules["numpy"]
    return numpy.ma.filled(numpy.ma.asarray(values).astype(float), numpy.nan)


READERS = {
    "Line2D": read_line,
    "Path3DCollection": read_points_3d,
    "PathCollection": read_points,
    "Quiver": read_arrows,
    "ContourSet": read_contours,
    "PolyCollection": read_area,
    "LineCollection": read_segments,
    "QuadMesh": read_mesh,
    "AxesImage": read_image,
    "StepPatch": read_steps,
    "Polygon": read_outline,
    "Rectangle": read_span,
}
