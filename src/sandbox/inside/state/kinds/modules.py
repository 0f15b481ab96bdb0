"""Modules: those of libraries by name, the session's own by what they hold, without running their files again."""

import builtins
import os
import sys
import types
from typing import Any

from ..pickler import Context, SessionPickler
from ..registry import builder, reduces_all
from ..world import MODULE

_NOT_KEPT = frozenset(("__builtins__", "__loader__", "__spec__", "__cached__"))


@reduces_all("builtins.module")
def _module(pickler: SessionPickler, module: types.ModuleType) -> Any:
    name = module.__name__
    known = sys.modules.get(name) is module
    if known and MODULE + name not in pickler.own:
        pickler.referenced.add(id(module))
        pickler.needs_module(name)
        return import_module, (name,)
    state = {key: value for key, value in vars(module).items() if key not in _NOT_KEPT}
    has_file = vars(module).get("__spec__") is not None and isinstance(vars(module).get("__file__"), str)
    return make_module, (name, known, has_file), state, None, None, fill_module


@builder
def import_module(name: str) -> Any:
    return Context.loader.module(name)


@builder
def make_module(name: str, known: bool, has_file: bool) -> Any:
    made = types.ModuleType(name)
    vars(made)["__builtins__"] = builtins
    if known:
        sys.modules[name] = made
    return made


@builder
def fill_module(made: types.ModuleType, state: dict[str, Any]) -> None:
    vars(made).update(state)
    path = state.get("__file__")
    if isinstance(path, str) and os.path.exists(path) and sys.modules.get(made.__name__) is made:
        from importlib.util import spec_from_file_location  # noqa: PLC0415

        folders = list(state["__path__"]) if "__path__" in state else None
        made.__spec__ = spec_from_file_location(made.__name__, path, submodule_search_locations=folders)
        made.__loader__ = made.__spec__.loader if made.__spec__ is not None else None
