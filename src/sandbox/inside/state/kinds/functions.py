"""Functions: by name where they have one, else by their code, with the live namespace as their globals."""

import builtins
import marshal
import sys
import types
from typing import Any

from ..names import read
from ..pickler import Context, SessionPickler
from ..registry import builder, reduces
from ..world import MAIN, resolve

# Of the formats, the last one whose bytes depend on the code alone and not on who else refers to its parts.
_MARSHAL = 2


@reduces("builtins.function")
def _function(pickler: SessionPickler, function: types.FunctionType) -> Any:
    name = pickler.world.name_of(function)
    if name is not None and name not in pickler.own:
        return pickler.refer(function, name)
    if function.__globals__ is not pickler.world.namespace:
        found = _by_place(pickler, function)
    else:
        found = through_class(pickler, function, function.__qualname__)
    return _by_value(pickler, function) if found is None else found


def _by_place(pickler: SessionPickler, function: types.FunctionType) -> Any:
    """By module and name, if those lead to the function, or did before the session put something else there."""
    module, path = function.__module__, function.__qualname__
    if module == MAIN or type(module) is not str or f"module {module}" in pickler.own:
        return None
    if resolve(module, path) is function:
        pickler.needs_module(module)
        return pickler.library(function)
    held = sys.modules.get(module)
    if (module, path) in pickler.world.patched and held is not None and function.__globals__ is vars(held):
        return pickler.constant(function, module, path)
    return None


def through_class(pickler: SessionPickler, value: Any, path: str) -> Any:
    """By way of the class that it is defined in, if that class has a name of its own in another group."""
    outer, _, name = path.rpartition(".")
    if not outer or outer.endswith("<locals>"):
        return None
    holder = resolve(MAIN, outer)
    known = pickler.world.name_of(holder) if issubclass(type(holder), type) else None
    if known is None or known in pickler.own or vars(holder).get(name) is not value:
        return None
    pickler.strong.add(known)
    pickler.referenced.add(id(value))
    return class_attribute, (holder, name)


def _by_value(pickler: SessionPickler, function: types.FunctionType) -> Any:
    closure = function.__closure__
    arguments = (function.__code__, _globals(pickler, function), function.__name__, closure)
    return make_function, arguments, _state(function), None, None, set_function


def _state(function: types.FunctionType) -> dict[str, Any]:
    state = {
        "defaults": function.__defaults__,
        "kwdefaults": function.__kwdefaults__,
        "qualname": function.__qualname__,
        "module": function.__module__,
        "doc": function.__doc__,
        "annotations": _annotations(function),
        "attributes": function.__dict__,
    }
    parameters = getattr(function, "__type_params__", ())
    return {**state, "type_params": parameters} if parameters else state


def _annotations(function: types.FunctionType) -> Any:
    """None where Python is to work them out when they are asked for (3.14), and has not yet."""
    if sys.version_info >= (3, 14) and getattr(function, "__annotate__", None) is not None:
        return None
    return function.__annotations__ or None


def _globals(pickler: SessionPickler, function: types.FunctionType) -> Any:
    """None for the session's namespace, the module for a module's, else the dict itself."""
    held = function.__globals__
    if held is pickler.world.namespace:
        return None
    module = sys.modules.get(held.get("__name__", ""))
    return module if module is not None and vars(module) is held else held


@reduces("builtins.code")
def _code(pickler: SessionPickler, code: types.CodeType) -> Any:
    found = read(code)
    pickler.weak |= found.names
    pickler.stores |= found.stores
    pickler.files.add(code.co_filename)
    return load_code, (marshal.dumps(code, _MARSHAL),)


@reduces("builtins.cell")
def _cell(_: SessionPickler, cell: types.CellType) -> Any:
    try:
        state: tuple[Any, ...] = (cell.cell_contents,)
    except ValueError:
        state = ()
    return make_cell, (), state, None, None, set_cell


@reduces("builtins.method")
def _method(_: SessionPickler, method: types.MethodType) -> Any:
    return types.MethodType, (method.__func__, method.__self__)


@reduces("builtins.builtin_function_or_method")
def _builtin(pickler: SessionPickler, function: Any) -> Any:
    holder = function.__self__
    if not isinstance(holder, types.ModuleType):
        return NotImplemented
    module, name = holder.__name__, function.__name__
    if vars(holder).get(name) is not function and (module, name) in pickler.world.patched:
        return pickler.constant(function, module, name)
    return NotImplemented


@builder
def make_function(code: types.CodeType, held: Any, name: str, closure: Any) -> types.FunctionType:
    namespace = Context.loader.world.namespace if held is None else held
    if isinstance(namespace, types.ModuleType):
        namespace = vars(namespace)
    namespace.setdefault("__builtins__", builtins)
    return types.FunctionType(code, namespace, name, None, closure)


@builder
def set_function(function: types.FunctionType, state: dict[str, Any]) -> None:
    function.__defaults__ = state["defaults"]
    function.__kwdefaults__ = state["kwdefaults"]
    function.__qualname__ = state["qualname"]
    function.__module__ = state["module"]
    function.__doc__ = state["doc"]
    if state["annotations"] is not None:
        function.__annotations__ = state["annotations"]
    function.__dict__.update(state["attributes"])
    if "type_params" in state:
        function.__type_params__ = state["type_params"]  # type: ignore[attr-defined]


@builder
def load_code(data: bytes) -> Any:
    return marshal.loads(data)  # noqa: S302 - in a worker, which runs the session's code anyway


@builder
def make_cell() -> types.CellType:
    return types.CellType()


@builder
def set_cell(cell: types.CellType, state: tuple[Any, ...]) -> None:
    if state:
        cell.cell_contents = state[0]


@builder
def class_attribute(holder: type, name: str) -> Any:
    return vars(holder)[name]
