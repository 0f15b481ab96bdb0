"""One value as a MIME bundle, by the conventions of notebooks, and no larger than the engine takes."""

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from .failures import clean, cut, describe
from .plain import TooMuch, plain

TEXT = "text/plain"
MB = 1_000_000
_MOST_TEXT = MB
_MOST_ITEMS = 100_000
_MOST_BINARY = 16 * MB
_MOST_MARKUP = 16 * MB
_MOST_JSON = 8 * MB
_MOST_TOGETHER = 28 * MB  # a frame may have 32 MiB
_MOST_TYPES = 32
_CUT = ("text/plain", "text/markdown", "text/latex")
_MIME_NAME = re.compile(r"[\w.+-]{1,100}/[\w.+;= -]{1,90}")
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
_CANARY = "_sandbox_asks_for_a_method_that_nothing_has_"
_WITHOUT_METHODS = (str, int, float, bool, bytes, list, tuple, dict, set, frozenset, type(None))


class Bundle:
    """Collects representations. What cannot be had or sent is said: in `problems`, or in a line below the text."""

    def __init__(self, include: "Collection[str] | None" = None, exclude: "Collection[str] | None" = None) -> None:
        self.data: dict[str, Any] = {}
        self.problems: list[str] = []
        self._include, self._exclude = include or None, exclude or ()
        self._notes: list[str] = []
        self._left = _MOST_TOGETHER

    @property
    def weight(self) -> int:
        """How many bytes it takes to send, about."""
        return _MOST_TOGETHER - self._left

    def ask(self, value: Any) -> None:
        """Take every representation that `value` offers. Its plain text is always among them."""
        offered: dict[str, Any] = {}
        if has_methods(value):
            with self.reporting(f"{_name(value)}._repr_mimebundle_ failed"), contextlib.suppress(NotImplementedError):
                offered = _offered(value, self._include, self._exclude)
            for method, mime in _REPRESENTATIONS.items():
                if mime not in offered and self._wanted(mime) and (found := method_of(value, method)) is not None:
                    with self.reporting(f"{_name(value)}.{method} failed"), contextlib.suppress(NotImplementedError):
                        offered[mime] = _without_metadata(found())
        if offered.get(TEXT) is None:
            self.add_repr(value)
        self.add_all(offered)

    def add_all(self, data: "dict[str, Any]") -> None:
        """Take a bundle that user code made."""
        for mime, content in data.items():
            if content is not None and (mime == TEXT or self._wanted(mime)):
                self.add(mime, content)

    def add_repr(self, value: Any) -> None:
        """Take the value's repr as its plain text."""
        self.add(TEXT, self._repr(value))

    def note(self, text: str) -> None:
        """Say something in a line of its own below the plain text."""
        self._notes.append(f"[{text}]")

    def add(self, mime: str, content: Any) -> None:
        """Take one representation, in the form in which it is sent."""
        with self.reporting(f"{mime!s:.100} is not shown"):
            if not isinstance(mime, str) or not _MIME_NAME.fullmatch(mime) or len(self.data) >= _MOST_TYPES:
                raise ValueError(f"{mime!r:.200} is not a MIME type, or one of more than {_MOST_TYPES}")
            try:
                self._put(mime, *sendable(mime, content))
            except TooMuch as why:
                self.note(f"{mime} left out: {why}")

    @contextlib.contextmanager
    def reporting(self, what: str) -> "Iterator[None]":
        """Turn what is raised within into a problem, after `what`: the value's other representations still count."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the value's own code raises what it likes
            self.problems.append(f"{what}:\n{describe(error)['traceback']}")

    def finish(self) -> "dict[str, Any]":
        """Return the data, its plain text first."""
        text = self.data.pop(TEXT, "")
        return {TEXT: "\n".join([text, *self._notes]) if text else "\n".join(self._notes), **self.data}

    def _wanted(self, mime: str) -> bool:
        return (self._include is None or mime in self._include) and mime not in self._exclude

    def _put(self, mime: str, content: Any, weight: int) -> None:
        most = min(_most_bytes(mime), self._left)
        if weight > most:
            self.note(f"{mime} left out: it has {weight / MB:.1f} MB as it is sent, and {most / MB:.1f} MB fit")
            return
        self._left -= weight
        self.data[mime] = content

    def _repr(self, value: Any) -> str:
        with self.reporting(f"the repr() of {_name(value)} failed"):
            return bounded_repr(value)
        return f"<{_name(value)} object at {id(value):#x}, whose repr() raised>"


def has_methods(value: object) -> bool:
    """Whether `value` may be asked. A class is not its instance, and what answers to any name has no methods."""
    if type(value) in _WITHOUT_METHODS or isinstance(value, type):
        return False
    try:
        return getattr(value, _CANARY, None) is None
    except Exception:  # noqa: BLE001 - its __getattr__ does not even raise AttributeError
        return False


def method_of(value: object, name: str) -> Any:
    """Return the method, or None if `value` has none of that name or refuses to tell."""
    try:
        found = getattr(value, name, None)
    except Exception:  # noqa: BLE001 - a property that raises is a representation that is not there
        return None
    return found if callable(found) else None


def _offered(value: Any, include: "Collection[str] | None", exclude: "Collection[str]") -> "dict[str, Any]":
    method = method_of(value, "_repr_mimebundle_")
    if method is None:
        return {}
    found = _without_metadata(method(include=include, exclude=exclude or None))
    if found is not None and not isinstance(found, dict):
        raise TypeError(f"_repr_mimebundle_ returned {_name(found)}, not a dict")
    return {
        mime: content
        for mime, content in (found or {}).items()
        if (not include or mime in include or mime == TEXT) and mime not in exclude
    }


def _without_metadata(content: Any) -> Any:
    return content[0] if isinstance(content, tuple) and len(content) == 2 else content


def bounded_repr(value: Any) -> str:
    """Like repr, but of a value that is known to be huge only as much as will be kept is written out."""
    kind = type(value)
    if kind in (str, bytes, bytearray) and len(value) > _MOST_TEXT:
        half = _MOST_TEXT // 2
        return f"{value[:half]!r}\n... {len(value) - 2 * half:,} left out ...\n{value[-half:]!r}"
    if kind in (list, tuple, set, frozenset, dict) and len(value) > _MOST_ITEMS:
        most = _MOST_ITEMS // 10
        pairs = value.items() if kind is dict else value
        some = kind(item for item, _ in zip(pairs, range(most), strict=False))
        return f"{cut(repr(some), _MOST_TEXT)}\n... {len(value) - most:,} of {len(value):,} items left out ..."
    return repr(value)


def sendable(mime: str, content: Any) -> "tuple[Any, int]":
    """Return `content` as the engine takes it, and how many bytes of JSON that is. Raises TypeError and ValueError."""
    if is_binary(mime):
        encoded = _base64(content)
        return encoded, len(encoded)
    if not is_json(mime):
        text = _text(content)
        text = cut(text, _MOST_TEXT) if mime in _CUT else clean(text)
        return text, len(text) if len(text) < 1000 else len(json.dumps(text))
    value = plain(content)
    return value, len(json.dumps(value))


def _most_bytes(mime: str) -> int:
    if is_binary(mime):
        return _MOST_BINARY * 4 // 3
    if is_json(mime):
        return _MOST_JSON
    return _MOST_TOGETHER if mime in _CUT else _MOST_MARKUP


def is_binary(mime: str) -> bool:
    """Whether the engine decodes it from base64."""
    kinds = ("image/", "audio/", "video/", "application/pdf", "application/octet")
    return mime.startswith(kinds) and "svg" not in mime


def is_json(mime: str) -> bool:
    """Whether it is an object rather than text."""
    return mime.startswith("application/") and mime.endswith("json")


def _base64(content: Any) -> str:
    if isinstance(content, (bytes, bytearray, memoryview)):
        return base64.b64encode(content).decode("ascii")
    if not isinstance(content, str):
        raise TypeError(f"it is {_name(content)}, not bytes")
    try:
        return base64.b64encode(base64.b64decode("".join(content.split()), validate=True)).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"it is a str, and not the base64 of bytes: {error}") from None


def _text(content: Any) -> str:
    if isinstance(content, bytes):
        return content.decode("utf-8", "replace")
    if isinstance(content, list) and all(isinstance(line, str) for line in content):
        return "".join(content)
    if not isinstance(content, str):
        raise TypeError(f"it is {_name(content)}, not str")
    return content


def _name(value: object) -> str:
    return type(value).__name__
