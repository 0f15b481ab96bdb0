"""How much of many things, and of long ones, a `repr` shows."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

# How much of a text, and how many of several things, a `repr` shows.
_LONG_TEXT, _MOST_SHOWN = 60, 3


def first(items: Iterable[str]) -> str:
    """The first of several things."""
    shown = list(islice(items, _MOST_SHOWN + 1))
    return f"[{', '.join(shown[:_MOST_SHOWN])}{', ...' if len(shown) > _MOST_SHOWN else ''}]" if shown else ""


def brief(value: object) -> str:
    """A value, or what kind it is and its size."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if not isinstance(value, str):
        return type(value).__name__
    return repr(value) if len(value) <= _LONG_TEXT else f"{value[:_LONG_TEXT]!r}... ({len(value)} characters)"
