"""Values as MIME bundles, by the conventions of notebooks."""

import base64
import builtins

from .channel import Channel
from .failures import clean, cut
from .streams import Streams

_MOST_TEXT = 1_000_000
_MOST_BYTES = 16 * 1024 * 1024
_REPRESENTATIONS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_latex_": "text/latex",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
    "_repr_pdf_": "application/pdf",
}


class Display:
    """Sends values to the engine as results."""

    def __init__(self, channel: Channel, streams: Streams) -> None:
        self._channel = channel
        self._streams = streams

    def begin(self, number: int) -> None:
        """A cell starts."""

    def end(self, value: object, *, shown: bool) -> None:
        """A cell ends; `value` is its last expression's, if it is `shown`."""
        if shown:
            self.hook(value)

    def hook(self, value: object) -> None:
        if value is not None:
            builtins._ = value  # type: ignore[attr-defined]
            self._streams.out.flush()
            self._channel.send({"event": "result", "main": True, "data": bundle(value)})

    def display(self, *values: object, **_options: object) -> None:
        """Show each value now, as a notebook does."""
        for value in values:
            self._streams.out.flush()
            self._channel.mark({"event": "result", "main": False, "data": bundle(value)})


def bundle(value: object) -> "dict[str, object]":
    data: dict[str, object] = {"text/plain": cut(repr(value), _MOST_TEXT)}
    for method, mime in _REPRESENTATIONS.items():
        found = getattr(value, method, None)
        if found is None or isinstance(value, type):
            continue
        content = found()
        if isinstance(content, bytes):
            data[mime] = base64.b64encode(content).decode()
        elif isinstance(content, str):
            data[mime] = clean(content)
    return data
