"""Instances of the session's own classes whose `__new__` or `__class__` would get in the way."""

from typing import Any

from ..pickler import SessionPickler
from ..registry import builder, reduces_if
from ..safe import from_type, is_heap, mro_of
from .classes import native_base

_TELLING = ("__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")


def _is_made_anew(kind: type) -> bool:
    """Whether Python code would run to make an instance, which knows nothing of pickles; or lies about its class."""
    if any(is_heap(_holder(kind, name)) for name in _TELLING):
        return False
    return is_heap(_holder(kind, "__new__")) or is_heap(_holder(kind, "__class__"))


def _holder(kind: type, name: str) -> type:
    return next((base for base in mro_of(kind) if name in type.__dict__["__dict__"].__get__(base)), object)


@reduces_if(_is_made_anew)
def _instance(_: SessionPickler, value: Any) -> Any:
    """With the memory that the class in C below makes, and the state as pickle has it."""
    kind = type(value)
    told = from_type(kind, "__getnewargs__")
    arguments = told(value) if told is not None else ()
    state = object.__getattribute__(value, "__getstate__")()
    items = iter(list.__iter__(value)) if issubclass(kind, list) else None
    pairs = iter(dict.items(value)) if issubclass(kind, dict) else None
    return make_instance, (kind, arguments), state, items, pairs


@builder
def make_instance(kind: Any, arguments: tuple[Any, ...]) -> Any:
    return native_base(kind).__new__(kind, *arguments)
