"""Asks types about themselves without running what their metaclasses or their authors have put in between."""

from typing import Any

_MODULE = type.__dict__["__module__"].__get__
_NAME = type.__dict__["__name__"].__get__
_QUALNAME = type.__dict__["__qualname__"].__get__
_MRO = type.__dict__["__mro__"].__get__
_DICT = type.__dict__["__dict__"].__get__
_FLAGS = type.__dict__["__flags__"].__get__
_HEAP = 1 << 9


def module_of(kind: type) -> "str | None":
    """The module that a class says it is from; None if it says something else."""
    try:
        found = _MODULE(kind)
    except AttributeError:
        return None
    return found if type(found) is str else None


def name_of(kind: type) -> str:
    return str(_NAME(kind))


def path_of(kind: type) -> str:
    """Its qualified name."""
    return str(_QUALNAME(kind))


def full_name(kind: type) -> str:
    return f"{module_of(kind)}.{_QUALNAME(kind)}"


def mro_of(kind: type) -> "tuple[type, ...]":
    found: tuple[type, ...] = _MRO(kind)
    return found


def dict_of(kind: type) -> Any:
    """What the class itself holds."""
    return _DICT(kind)


def is_heap(kind: type) -> bool:
    """Whether it was made by a `class` statement, or like it, and not in C."""
    return bool(_FLAGS(kind) & _HEAP)


def from_type(kind: type, name: str) -> Any:
    """An attribute as the class or its bases hold it, not bound; None if there is none."""
    for base in _MRO(kind):
        held = _DICT(base)
        if name in held:
            return held[name]
    return None
