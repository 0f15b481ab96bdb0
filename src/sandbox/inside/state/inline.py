"""Values that are small and plain enough to stand in the index itself."""

from typing import Any

_INTEGER = 1 << 63
_TEXT = 1000
_ALWAYS = (bool, type(None))


def is_inline(value: Any) -> bool:
    """Whether JSON keeps exactly this value: type, sign of zero and all."""
    kind = type(value)
    if kind is int:
        return bool(-_INTEGER <= value < _INTEGER)
    if kind is float:
        return bool(value - value == 0)  # neither infinite nor not a number
    if kind is str:
        return len(value) <= _TEXT
    return kind in _ALWAYS


def is_same(value: Any, old: Any) -> bool:
    """Whether an inline value needs no writing."""
    return value is old or (type(value) is type(old) and type(value) is not float and bool(value == old))
