"""What the index tells people about a value. Nothing of the user's is called: no `repr`, no property, no `len`."""

import sys
from typing import Any

_TEXT = 80
_SHOWN = (int, float, complex, bool, type(None))
_SIZED = (list, tuple, dict, set, frozenset)


def facts(value: Any) -> dict[str, Any]:
    """Shape and short text, where there is something to say."""
    kind = type(value)
    if kind is str:
        return {"text": _cut(repr(value) if len(value) <= _TEXT else repr(value[:_TEXT]))}
    if kind in _SHOWN:
        return {"text": _cut(_number(value))}
    if kind in _SIZED:
        return {"shape": [len(value)]}
    if kind in {bytes, bytearray}:
        return {"shape": [len(value)]}
    return _of_library(value, kind.__module__)


def _number(value: Any) -> str:
    if type(value) is int and value.bit_length() > 512:
        return f"an integer of {value.bit_length()} bits"
    return repr(value)


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else text[:_TEXT] + "..."


def _of_library(value: Any, module: Any) -> dict[str, Any]:
    """Arrays of numpy and frames of pandas and polars, and nothing that is derived from them."""
    name = type(value).__name__
    if module == "numpy" and name == "ndarray":
        return {"shape": list(value.shape), "text": str(value.dtype)[:_TEXT]}
    if name in {"DataFrame", "Series"} and isinstance(module, str) and module.partition(".")[0] in {"pandas", "polars"}:
        held = sys.modules.get(module)
        if getattr(held, name, None) is type(value):
            return {"shape": list(value.shape)}
    return {}
