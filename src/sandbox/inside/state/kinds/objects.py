"""Instances of the session's own classes that would get in the way of being looked at, or made."""

from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from ..pickler import SessionPickler
from ..registry import builder, reduces_if
from ..safe import dict_of, from_type, is_heap, mro_of
from .classes import native_base

_TELLING = ("__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")
_INTERFERING = ("__new__", "__class__", "__getattr__", "__getattribute__", "__setattr__", "__dict__")


def _interferes(kind: type) -> bool:
    """Whether Python code would run when an instance is looked at or made, which knows nothing of pickles."""
    if any(is_heap(_holder(kind, name)) for name in _TELLING):
        return False
    return any(_is_code(kind, name) for name in _INTERFERING)


def _is_code(kind: type, name: str) -> bool:
    """Whether a class of Python has the name; `__dict__` as Python itself puts it there does not count."""
    holder = _holder(kind, name)
    return is_heap(holder) and type(dict_of(holder)[name]) is not GetSetDescriptorType


def _holder(kind: type, name: str) -> type:
    return next((base for base in mro_of(kind) if name in dict_of(base)), object)


@reduces_if(_interferes)
def _instance(_: SessionPickler, value: Any) -> Any:
    """With the memory that the class in C below makes, and what it holds, without asking it."""
    kind = type(value)
    told = from_type(kind, "__getnewargs__")
    arguments = told(value) if told is not None else ()
    items = list.__iter__(value) if issubclass(kind, list) else None
    pairs = iter(dict.items(value)) if issubclass(kind, dict) else None
    if issubclass(kind, set):
        arguments = (list(set.__iter__(value)),)
    own = from_type(kind, "__getstate__")
    if is_heap(_holder(kind, "__getstate__")):
        return make_instance, (kind, arguments), [own(value)], items, pairs, set_instance
    return make_instance, (kind, arguments), _state(value, kind), items, pairs, set_instance


def _state(value: Any, kind: type) -> tuple[Any, dict[str, Any]]:
    """Its dict, and its slots."""
    held = next((dict_of(base)["__dict__"] for base in mro_of(kind) if _has_plain_dict(base)), None)
    slots = {}
    for base in mro_of(kind):
        for name, one in dict_of(base).items():
            if type(one) is MemberDescriptorType and is_heap(base):
                try:
                    slots[name] = one.__get__(value)
                except AttributeError:
                    continue
    return (dict(held.__get__(value)) if held is not None else None), slots


def _has_plain_dict(base: type) -> bool:
    return type(dict_of(base).get("__dict__")) is GetSetDescriptorType


@builder
def make_instance(kind: Any, arguments: tuple[Any, ...]) -> Any:
    native = native_base(kind)
    made = native.__new__(kind, *arguments)
    if native is set:
        set.__init__(made, *arguments)
    return made


@builder
def set_instance(made: Any, state: Any) -> None:
    kind = type(made)
    told = from_type(kind, "__setstate__")
    if isinstance(state, list):  # what its own __getstate__ has said
        state = state[0] if told is not None or isinstance(state[0], tuple) else (state[0], {})
        if told is not None:
            told(made, state)
            return
    held, slots = state
    if told is not None:
        told(made, (held, slots) if slots else held)
        return
    if held is not None:
        place = next(dict_of(base)["__dict__"] for base in mro_of(kind) if _has_plain_dict(base))
        place.__get__(made).update(held)
    for name, value in (slots or {}).items():
        from_type(kind, name).__set__(made, value)
