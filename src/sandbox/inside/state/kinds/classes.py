"""Classes: by name where they have one, else as an empty class of the right shape that is filled afterwards.

Neither a metaclass's `__new__`, nor `__init_subclass__`, nor `__set_name__` runs again: what they did is in the
class already. Methods are put in first, since what else a class holds may be its own instances.
"""

import sys
import types
from typing import Any, NamedTuple

from ..lost import Refused
from ..pickler import SessionPickler
from ..registry import builder, reduces, reduces_all
from ..safe import dict_of, from_type, full_name, is_heap, module_of, mro_of, name_of, path_of
from ..world import MAIN, MODULE, resolve
from .functions import through_class

_MADE = (types.MemberDescriptorType, types.GetSetDescriptorType)
# What abc keeps beside the class, and what copyreg notes in it when an instance is pickled.
_LEFT_OUT = frozenset(("_abc_impl", "__abstractmethods__", "__slotnames__"))
_FIRST = (types.FunctionType, staticmethod, classmethod, property)


class Step(NamedTuple):
    """Some of a class's attributes, put in before what comes after it in the pickle is made."""

    holder: type
    attributes: dict[str, Any]


class AbstractStep(NamedTuple):
    """What abc.ABCMeta keeps about a class outside of it."""

    holder: type
    registered: list[type]


@reduces_all("builtins.type")
def _class(pickler: SessionPickler, kind: type) -> Any:
    name = pickler.world.name_of(kind)
    if name is not None and name not in pickler.own:
        return pickler.refer(kind, name)
    found = _by_place(pickler, kind) if id(kind) not in pickler.by_value else None
    return _by_value(pickler, kind) if found is None else found


def _by_place(pickler: SessionPickler, kind: type) -> Any:
    module, path = module_of(kind), path_of(kind)
    if module == MAIN:
        return through_class(pickler, kind, path)
    if module is None or MODULE + module in pickler.own:
        return None
    if resolve(module, path) is kind or kind in _UNNAMED:
        pickler.needs_module(module)
        return pickler.library(kind)
    if (module, path) in pickler.world.patched:
        return pickler.constant(kind, module, path)
    for holder in ("types", "_collections_abc"):
        for name, held in vars(sys.modules[holder]).items():
            if held is kind:
                return pickler.constant(kind, holder, name)
    if not is_heap(kind):
        raise Refused(f"the type {full_name(kind)} is inside of the interpreter and has no name to find it by")
    return None


_UNNAMED = (type(None), type(NotImplemented), type(...))


def _by_value(pickler: SessionPickler, kind: type) -> Any:
    pickler.by_value.add(id(kind))
    special = _special(kind)
    if special is not None:
        return special
    shape = {name: value for name, value in dict_of(kind).items() if _belongs_to_shape(kind, name, value)}
    shape["__qualname__"] = path_of(kind)
    arguments = (type(kind), name_of(kind), type.__dict__["__bases__"].__get__(kind), shape)
    return make_class, arguments, tuple(_steps(kind)), None, None, filled


def _belongs_to_shape(kind: type, name: str, value: Any) -> bool:
    """What cannot be put into a class later: names that its metaclass answers to itself."""
    if name in _SHAPE:
        return True
    if isinstance(value, _MADE) or name in _LEFT_OUT or name in _SETTABLE:
        return False
    return hasattr(type(from_type(type(kind), name)), "__set__")


_SHAPE = frozenset(("__module__", "__qualname__", "__doc__", "__slots__"))
_SETTABLE = frozenset(("__annotations__", "__type_params__", "__annotate__", "__annotate_func__"))


def _special(kind: Any) -> Any:
    """Arrays of ctypes are made by multiplication, structures by their fields: their memory's layout is not in them."""
    bases = {full_name(base) for base in mro_of(kind)[1:]}
    if "_ctypes.Array" in bases and hasattr(kind, "_type_"):
        return multiplied, (kind._type_, kind._length_)
    if bases & {"_ctypes.Structure", "_ctypes.Union"}:
        held = {name: value for name, value in dict_of(kind).items() if not _is_made(name, value)}
        return make_structure, (name_of(kind), kind.__bases__, held)
    return None


def _is_made(name: str, value: Any) -> bool:
    return isinstance(value, _MADE) or full_name(type(value)) == "_ctypes.CField" or name in {"__dict__", "__weakref__"}


def _steps(kind: type) -> "list[Step | AbstractStep]":
    held = {
        name: value
        for name, value in dict_of(kind).items()
        if name not in _LEFT_OUT and not isinstance(value, _MADE) and not _belongs_to_shape(kind, name, value)
    }
    first = {name: value for name, value in held.items() if isinstance(value, _FIRST)}
    rest = {name: value for name, value in held.items() if name not in first}
    if "_abc_impl" not in dict_of(kind):
        return [Step(kind, first), Step(kind, rest)]
    import _abc  # type: ignore[import-not-found] # noqa: PLC0415

    registered = [one for reference in _abc._get_dump(kind)[0] if (one := reference()) is not None]
    return [Step(kind, first), AbstractStep(kind, registered), Step(kind, rest)]


@reduces(f"{Step.__module__}.Step")
def _step(_: SessionPickler, step: Step) -> Any:
    return fill_class, (step.holder, step.attributes)


@reduces(f"{Step.__module__}.AbstractStep")
def _abstract(_: SessionPickler, step: AbstractStep) -> Any:
    return make_abstract, (step.holder, step.registered)


@builder
def make_class(metaclass: Any, name: str, bases: tuple[type, ...], shape: dict[str, Any]) -> type:
    """An empty class. The hook that its bases have for new classes is put aside meanwhile."""
    hook = next((base for one in bases for base in mro_of(one) if _has_hook(base)), object)
    if hook is object:
        return type.__new__(metaclass, name, bases, dict(shape))  # type: ignore[no-any-return]
    held = dict_of(hook)["__init_subclass__"]
    type.__setattr__(hook, "__init_subclass__", classmethod(_nothing))
    try:
        return type.__new__(metaclass, name, bases, dict(shape))  # type: ignore[no-any-return]
    finally:
        type.__setattr__(hook, "__init_subclass__", held)


def _has_hook(base: type) -> bool:
    return is_heap(base) and "__init_subclass__" in dict_of(base)


def _nothing(_: type) -> None:
    pass


@builder
def fill_class(kind: type, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        type.__setattr__(kind, name, value)


@builder
def make_abstract(kind: type, registered: list[type]) -> None:
    import _abc  # noqa: PLC0415

    _abc._abc_init(kind)
    for one in registered:
        _abc._abc_register(kind, one)


@builder
def filled(kind: type, steps: Any) -> None:
    """The steps were taken when they were read."""


@builder
def multiplied(kind: Any, length: int) -> Any:
    return kind * length


@builder
def make_structure(name: str, bases: tuple[Any, ...], held: dict[str, Any]) -> Any:
    return type(bases[0])(name, bases, held)


# --- enumerations ---------------------------------------------------------------------------------------------------


@reduces_all("enum.Enum")
def _member(pickler: SessionPickler, member: Any) -> Any:
    kind = type(member)
    if id(kind) not in pickler.by_value and not _is_own(pickler, kind):
        held = vars(member)
        name = held.get("_name_")
        if kind.__dict__["_member_map_"].get(name) is member:
            return enum_member, (kind, name)
        return enum_value, (kind, held["_value_"])
    return bare_member, (kind, _plain(member)), dict(vars(member)), None, None, set_member


def _is_own(pickler: SessionPickler, kind: type) -> bool:
    """Whether the class will be in this very pickle by value: it has no name, or the name is this group's."""
    if module_of(kind) != MAIN:
        return False
    name = pickler.world.name_of(kind)
    return name in pickler.own if name is not None else _by_place(pickler, kind) is None


_RAW: dict[Any, Any] = {int: int.__int__, str: str.__str__, float: float.__float__}


def _plain(member: Any) -> Any:
    """The value of the data type that the members are derived from, as a plain one."""
    data = type(member).__dict__["_member_type_"]
    if data is object:
        return None
    return _RAW[data](member) if data in _RAW else vars(member)["_value_"]


@builder
def enum_member(kind: Any, name: str) -> Any:
    return kind._member_map_[name]


@builder
def enum_value(kind: Any, value: Any) -> Any:
    return kind(value)


@builder
def bare_member(kind: Any, plain: Any) -> Any:
    """A member whose class is being filled and cannot look it up."""
    data = native_base(kind)
    return object.__new__(kind) if data is object else data.__new__(kind, plain)


def native_base(kind: type) -> Any:
    """The nearest class in C: it makes the memory of instances."""
    return next(base for base in mro_of(kind) if not is_heap(base))


@builder
def set_member(member: Any, state: dict[str, Any]) -> None:
    member.__dict__.update(state)
