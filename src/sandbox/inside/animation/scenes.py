"""From the code of an animation to the scenes that are to be rendered."""

import linecache
import sys
import types
from collections.abc import Sequence
from typing import Any

from .trouble import FILE, NoScene, SceneAmbiguous, SceneNotFound

_MODULE = "animation"


def load(code: str) -> types.ModuleType:
    """Run the code as a module of its own, which is not `__main__`. Raises whatever it raises."""
    linecache.cache[FILE] = (len(code), None, [f"{line}\n" for line in code.split("\n")], FILE)
    module = types.ModuleType(_MODULE)
    module.__file__ = FILE
    sys.modules[_MODULE] = module
    exec(compile(code, FILE, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    return module


def scenes(module: types.ModuleType, base: Any) -> "dict[str, Any]":
    """The scenes that the code itself defines, in its order, by name: not what only others are made of."""
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, base)]
    return {
        one.__name__: one
        for one in found
        if one.__module__ == _MODULE and one.construct is not base.construct  # type: ignore[attr-defined]
    }


def chosen(found: "dict[str, Any]", wanted: "Sequence[str]", every: bool) -> "list[Any]":
    """The scenes that are wanted: those named, or all, or the only one. Raises what says which there are."""
    there = ", ".join(found)
    if not found:
        raise NoScene("the code has no scene: define a class, such as `class Demo(Scene)`, with a method `construct`")
    if unknown := [name for name in wanted if name not in found]:
        raise SceneNotFound(f"the code has no scene {', '.join(unknown)}; it has: {there}")
    if not wanted and not every and len(found) > 1:
        raise SceneAmbiguous(f"the code has several scenes: {there}. Name one, or ask for all")
    return [found[name] for name in wanted or found]
