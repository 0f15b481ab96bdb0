"""The numbers behind boxes, violins and pies, noted on what matplotlib draws from them.

A drawn box has corners and lines, but no sign which outliers are its own, and a wedge has an angle but no value.
The notes are plain data on the artists themselves: they live as long as those, and are stored along with them.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

BOX = "_sandbox_box"
BODY = "_sandbox_body"
VIOLIN = "_sandbox_violin"
VALUE = "_sandbox_value"
PART = "_sandbox_part"
_BOX_KEYS = ("label", "whislo", "q1", "med", "q3", "whishi", "fliers", "mean")
_VIOLIN_KEYS = ("min", "mean", "median", "max")

Note = Callable[[Any, Any], None]


def noting(method: "Callable[..., Any]", parameter: str, note: Note) -> "Callable[..., Any]":
    """Return a method of Axes that does what `method` does, and notes its first `parameter` on its result."""

    @functools.wraps(method)
    def draw(self: Any, *arguments: Any, **options: Any) -> Any:
        drawn = method(self, *arguments, **options)
        # A plot is as good without a note: what is drawn here may be of a version that returns something else.
        with contextlib.suppress(Exception):
            note(arguments[0] if arguments else options[parameter], drawn)
        return drawn

    return draw


def note_boxes(stats: Any, drawn: Any) -> None:
    """Of `Axes.bxp`: each box's numbers go to its median line, which every box has; and where its body is."""
    _note(stats, drawn, drawn["medians"], BOX, _BOX_KEYS)
    for median, body in zip(drawn["medians"], drawn["boxes"], strict=False):
        setattr(median, BODY, body)


def note_violins(stats: Any, drawn: Any) -> None:
    """Of `Axes.violin`: to the violin's body."""
    _note(stats, drawn, drawn["bodies"], VIOLIN, _VIOLIN_KEYS)


def note_pie(values: Any, drawn: Any) -> None:
    """Of `Axes.pie`: to each wedge its value."""
    wedges = drawn[0]
    if isinstance(values, str) or len(values) != len(wedges):
        return
    for wedge, value in zip(wedges, values, strict=True):
        setattr(wedge, VALUE, value)


def _note(stats: Any, drawn: Any, anchors: Any, name: str, keys: "tuple[str, ...]") -> None:
    for artists in drawn.values():
        for artist in artists if isinstance(artists, list) else [artists]:
            setattr(artist, PART, True)
    for anchor, numbers in zip(anchors, stats, strict=False):
        setattr(anchor, name, {key: numbers.get(key) for key in keys})
