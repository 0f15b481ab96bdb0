"""Figures of the libraries that draw: how each becomes a MIME bundle, and its data as a chart.

Nothing is imported for a library that the session has not loaded by itself.
"""

import importlib
import io
import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from . import charts
from .mime import Bundle

Show = Callable[[Any, Bundle], "dict[str, Any] | None"]


class Library(NamedTuple):
    """A kind of figure: the class `name` of `module`. `leaves_open`: a session keeps such figures until shown."""

    module: str
    name: str
    show: Show
    leaves_open: bool = False

    def made(self, value: object) -> bool:
        """Whether `value` is a figure of this kind."""
        kind = getattr(sys.modules.get(self.module), self.name, None)
        return isinstance(kind, type) and isinstance(value, kind)


def shower_of(value: object) -> "Library | None":
    """Return the library that made `value`, if that is a figure."""
    return next((library for library in _LIBRARIES if library.made(value)), None)


def _show_matplotlib(figure: Any, bundle: Bundle) -> "dict[str, Any] | None":
    from . import figures  # noqa: PLC0415 - it loads matplotlib's drawing

    bundle.add_repr(figure)
    if not figures.is_empty(figure):
        with bundle.reporting("the figure could not be drawn"):
            picture, note = figures.draw(figure)
            bundle.add("image/png", picture)
            if note:
                bundle.note(note)
    return charts.of_matplotlib(figure)


def _show_plotly(figure: Any, bundle: Bundle) -> "dict[str, Any] | None":
    """Take a figure of plotly, or a dict that describes one."""
    bundle.add_repr(figure)
    io_of_plotly = importlib.import_module("plotly.io")
    described: dict[str, Any] = {}
    with bundle.reporting("the figure has no JSON"):
        described = json.loads(io_of_plotly.to_json(figure, validate=False))
        bundle.add("application/vnd.plotly.v1+json", described)
    with bundle.reporting("the figure has no HTML"):
        bundle.add("text/html", io_of_plotly.to_html(figure, include_plotlyjs="cdn", validate=False))
    return charts.of_plotly(described)


def _show_altair(chart: Any, bundle: Bundle) -> "dict[str, Any] | None":
    bundle.add_repr(chart)
    described: dict[str, Any] = {}
    with bundle.reporting("the chart has no JSON"):
        described = chart.to_dict()
        bundle.add(_vega_lite_type(chart), described)
        bundle.add("text/html", chart.to_html())
    return charts.of_altair(described)


def _vega_lite_type(chart: Any) -> str:
    """The MIME type that the chart's version of altair has for its JSON."""
    module = next(kind.__module__ for kind in type(chart).__mro__ if kind.__name__ == ALTAIR.name)
    display = sys.modules.get(f"{module.rpartition('.')[0]}.display")
    return str(getattr(display, "VEGALITE_MIME_TYPE", "application/vnd.vegalite.v5+json"))


def _show_image(image: Any, bundle: Bundle) -> None:
    bundle.add_repr(image)
    with bundle.reporting("the image could not be drawn"):
        if image.width and image.height:
            bundle.add("image/png", _png(image))


def _png(image: Any) -> bytes:
    if image.mode not in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"):
        image = image.convert(sys.modules["PIL.Image"].getmodebase(image.mode))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _show_bokeh(model: Any, bundle: Bundle) -> None:
    bundle.add_repr(model)
    with bundle.reporting("the plot has no HTML"):
        was_free = model.document is None
        bundle.add("text/html", importlib.import_module("bokeh.embed").file_html(model, "cdn"))
        if was_free and model.document is not None:
            model.document.remove_root(model)  # else it could not become a part of a layout any more


MATPLOTLIB = Library("matplotlib.figure", "Figure", _show_matplotlib, leaves_open=True)
PLOTLY = Library("plotly.basedatatypes", "BaseFigure", _show_plotly)
ALTAIR = Library("altair", "TopLevelMixin", _show_altair)
PILLOW = Library("PIL.Image", "Image", _show_image)
BOKEH = Library("bokeh.models.ui.ui_element", "UIElement", _show_bokeh)
_LIBRARIES = (MATPLOTLIB, PLOTLY, ALTAIR, PILLOW, BOKEH)
