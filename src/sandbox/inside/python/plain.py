"""Values of any library as plain JSON that every strict decoder accepts: no NaN, no odd keys, no huge numbers."""

import enum
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from .failures import clean

_DEEPEST = 60
_MOST_VALUES = 1_000_000
_MOST_CONTAINERS = 200_000  # the engine takes 250,000, and 64 levels of them
_LARGEST = 2**63
_MOST_STRING = 1000
_AS_NUMBERS = ("decimal", "fractions")


class TooMuch(Exception):
    """The value has more parts, or parts within parts, than are sent."""


def plain(value: object) -> Any:
    """Return `value` as None, bool, int, float, str, list or dict.

    Numbers that JSON has no sign for become null, dates ISO strings, arrays lists, and what is unknown its text.
    Raises `TooMuch`, and whatever the value's own code raises.
    """
    return _Plain().of(value, 0)


class _Plain:
    def __init__(self) -> None:
        self._left = _MOST_VALUES
        self._containers_left = _MOST_CONTAINERS

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise TooMuch(f"it has more than {_MOST_VALUES:,} values")
        if value is None or value is True or value is False:
            return value
        if isinstance(value, enum.Enum):
            return self.of(value.value, depth + 1)
        if isinstance(value, str):
            return clean(str(value))
        if isinstance(value, int):
            return int(value) if -_LARGEST <= value < _LARGEST else _digits(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        return self._parts(value, depth)

    def _parts(self, value: Any, depth: int) -> Any:
        if depth >= _DEEPEST:
            raise TooMuch(f"it has more than {_DEEPEST} levels")
        if isinstance(value, Mapping):
            self._count_container()
            return {_key(key): self.of(part, depth + 1) for key, part in value.items()}
        if isinstance(value, (list, tuple, AbstractSet, range)):
            self._count_container()
            return [self.of(part, depth + 1) for part in value]
        return self.of(_unwrapped(value), depth + 1)

    def _count_container(self) -> None:
        self._containers_left -= 1
        if self._containers_left < 0:
            raise TooMuch(f"it has more than {_MOST_CONTAINERS:,} lists and dicts")


def _unwrapped(value: Any) -> Any:
    """One step from what a library made to a value of Python's own."""
    kind = type(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    dtype = getattr(getattr(value, "dtype", None), "kind", "")
    if dtype in ("M", "m") and kind.__module__ == "numpy":
        return value.astype(f"{dtype}8[us]").tolist()  # tolist gives nanoseconds as integers
    if kind.__name__ == "NAType":
        return None
    if callable(getattr(kind, "tolist", None)):
        return value.tolist()
    return float(value) if kind.__module__ in _AS_NUMBERS else _time(value)


def _time(value: Any) -> Any:
    import datetime  # noqa: ICN001, PLC0415 - a zygote's start and most sessions do without it

    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat() if value == value else None  # noqa: PLR0124 - pandas' NaT is the one that differs
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return clean(str(value))[:_MOST_STRING]


def _key(key: object) -> str:
    if isinstance(key, bytes):
        return key.decode("utf-8", "replace")
    return clean(str(key))


def _digits(number: int) -> str:
    """A number that a decoder may refuse, as text; and one that Python itself refuses to write out, in hexadecimal."""
    return str(number) if number.bit_length() < 10_000 else hex(number)[:_MOST_STRING]
