"""Which objects are pickled in a way of our own, and what builds them again.

A stored pickle names its builders as `sandbox_state.<name>`, whatever the file is that they are in today: sessions
outlive the product's versions. So a builder's name and arguments are a format: add new ones, never change one.
Types are named, not imported: what a session has not loaded must not be loaded for it.
"""

import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .safe import full_name, module_of, mro_of

if TYPE_CHECKING:
    from .pickler import SessionPickler

ALIAS = "sandbox_state"
_module = types.ModuleType(ALIAS)
sys.modules[ALIAS] = _module

Reducer = Callable[["SessionPickler", Any], Any]
_F = TypeVar("_F", bound=Callable[..., Any])
_exact: dict[str, Reducer] = {}
_families: dict[str, Reducer] = {}
_by_test: "list[tuple[Callable[[type], bool], Reducer]]" = []
_known: "dict[type, Reducer | None]" = {}
_MOST = 4096


def builder(function: _F) -> _F:
    """Let stored pickles call this function."""
    function.__module__ = ALIAS
    setattr(_module, function.__name__, function)
    return function


def reduces(*names: str) -> "Callable[[Reducer], Reducer]":
    """Pickle objects of exactly these types (`module.qualname`) with the function."""

    def register(function: Reducer) -> Reducer:
        _exact.update(dict.fromkeys(names, function))
        return function

    return register


def reduces_all(*names: str) -> "Callable[[Reducer], Reducer]":
    """Pickle objects of these types, and of types derived from them, with the function."""

    def register(function: Reducer) -> Reducer:
        _families.update(dict.fromkeys(names, function))
        return function

    return register


def reduces_if(test: Callable[[type], bool]) -> "Callable[[Reducer], Reducer]":
    """Pickle objects of the session's own classes with the function where the class passes a test."""

    def register(function: Reducer) -> Reducer:
        _by_test.append((test, function))
        return function

    return register


def reducer_of(kind: type) -> "Reducer | None":
    """The function for objects of a type; None if Python's own way will do."""
    try:
        return _known[kind]
    except KeyError:
        if len(_known) >= _MOST:
            _known.clear()
        found = _find(kind)
        if module_of(kind) != "__main__":  # the session's own classes are not to be kept alive
            _known[kind] = found
        return found


def _find(kind: type) -> "Reducer | None":
    found = _exact.get(full_name(kind))
    if found is None:
        found = next((one for base in mro_of(kind) if (one := _families.get(full_name(base))) is not None), None)
    if found is None and module_of(kind) == "__main__":
        found = next((reducer for test, reducer in _by_test if test(kind)), None)
    return found
