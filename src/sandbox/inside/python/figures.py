"""The matplotlib backend of a session, and how its figures become pictures.

matplotlib imports this module by the name in MPLBACKEND; the session imports it once there is a figure to show.
Either way matplotlib is loaded already, and nothing here is imported without it. Figures are drawn by Agg. What
`show` does to them is said in hooks.py, for every backend that has no window, this one included.
"""

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Iterator
from typing import Any

_bases: Any = importlib.import_module("matplotlib.backend_bases")
_helpers: Any = importlib.import_module("matplotlib._pylab_helpers")
_transforms: Any = importlib.import_module("matplotlib.transforms")

FigureCanvas: Any = importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg
FigureManager: Any = _bases.FigureManagerBase

# Drawing takes about ten bytes a pixel, of a memory limit that is 1 GB by default.
_MOST_PIXELS = 25_000_000
_LONGEST_SIDE = 30_000
_PADDING = 0.1


def take_open() -> "list[Any]":
    """Close the figures that pyplot holds open; return them in the order of their numbers."""
    gcf = _helpers.Gcf
    managers = [gcf.figs[number] for number in sorted(gcf.figs)]
    figures = [manager.canvas.figure for manager in managers]
    for manager in managers:
        gcf.destroy(manager)
    return figures


def close(figure: Any) -> None:
    """Let pyplot forget the figure, if it is one of pyplot's."""
    for manager in list(_helpers.Gcf.figs.values()):
        if manager.canvas.figure is figure:
            _helpers.Gcf.destroy(manager)


def is_empty(figure: Any) -> bool:
    """Whether there is nothing on the figure, not even axes."""
    return all(child is figure.patch for child in figure.get_children())


def draw(figure: Any) -> "tuple[bytes, str]":
    """Return the figure as PNG with its edges cut close, and a note if that took another resolution than its own."""
    width, height = (float(inches) for inches in figure.get_size_inches())
    own = float(figure.dpi)
    dpi = _affordable(width, height, own)
    with _quietly():
        try:
            if dpi != own:
                figure.dpi = dpi  # layout draws on a canvas of the figure's size
            picture = _print(figure, _edges(figure, width, height, dpi), dpi)
        finally:
            if dpi != own:
                figure.dpi = own
    note = f"drawn with {dpi:.3g} dots per inch: with {own:.4g} it would have more than {_MOST_PIXELS:,} pixels"
    return picture, "" if dpi == own else note


def _print(figure: Any, box: Any, dpi: float) -> bytes:
    buffer = io.BytesIO()
    figure.canvas.print_figure(
        buffer,
        format="png",
        dpi=dpi,
        bbox_inches=box,
        facecolor=figure.get_facecolor(),
        edgecolor=figure.get_edgecolor(),
    )
    return buffer.getvalue()


def _affordable(width: float, height: float, dpi: float) -> float:
    pixels = width * height * dpi * dpi
    most = min(1.0, (_MOST_PIXELS / pixels) ** 0.5, _LONGEST_SIDE / (max(width, height) * dpi)) if pixels else 1.0
    return dpi * most


def _edges(figure: Any, width: float, height: float, dpi: float) -> Any:
    """Return the part of the figure's plane that has something on it, in inches, or all of the figure.

    The latter if something lies so far out that a picture with it would be too large, such as a text that was
    placed by mistake.
    """
    figure.draw_without_rendering()
    box = figure.get_tightbbox().padded(_PADDING)
    if box.width > 0 and box.height > 0 and _affordable(box.width, box.height, dpi) == dpi:
        return box
    return _transforms.Bbox.from_bounds(0, 0, width, height)


@contextlib.contextmanager
def _quietly() -> "Iterator[None]":
    """Print warnings of drawing, such as about a glyph that no font has, without a line of this file as their place."""
    seen: set[str] = set()

    def show(message: "Warning | str", category: "type[Warning]", *_place: object, **_more: object) -> None:
        text = f"{category.__name__}: {message}\n"
        if text not in seen:
            seen.add(text)
            sys.stderr.write(text)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
