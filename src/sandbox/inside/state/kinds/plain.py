"""The standard library's objects that pickle has no way for, or not the right one."""

import gc
import types
from typing import Any

from ..lost import Lost, Placeholder, Refused, lost_of
from ..pickler import SessionPickler
from ..registry import builder, reduces, reduces_all
from ..world import MAIN


@reduces("builtins.property")
def _property(_: SessionPickler, value: property) -> Any:
    return property, (value.fget, value.fset, value.fdel, value.__doc__)


@reduces("builtins.staticmethod", "builtins.classmethod")
def _wrapped(_: SessionPickler, value: Any) -> Any:
    return type(value), (value.__func__,)


@reduces("builtins.mappingproxy")
def _proxy(_: SessionPickler, value: Any) -> Any:
    """With the very dict below it, so that its changes go on to show."""
    return types.MappingProxyType, (_only_referent(value),)


@reduces("builtins.dict_keys", "builtins.dict_values", "builtins.dict_items", "collections.odict_keys")
@reduces("collections.odict_values", "collections.odict_items", "odict_keys", "odict_values", "odict_items")
def _view(_: SessionPickler, value: Any) -> Any:
    return dict_view, (_only_referent(value), type(value).__name__.rpartition("_")[2])


def _only_referent(value: Any) -> Any:
    found = [one for one in gc.get_referents(value) if not isinstance(one, type)]
    if len(found) != 1:
        raise Refused(f"what a {type(value).__name__} is a view of is not to be had")
    return found[0]


@builder
def dict_view(held: Any, what: str) -> Any:
    return getattr(held, what)()


_MOST_MATCHES = 10_000


@reduces("re.Match")
def _match(_: SessionPickler, value: Any) -> Any:
    """By finding it again in the way in which it was found."""
    asked = (value.re, value.string, value.pos, value.endpos)
    for how in ("match", "search", "fullmatch"):
        again = match_again(how, *asked)
        if again is not None and again.regs == value.regs:
            return match_again, (how, *asked)
    found = zip(range(_MOST_MATCHES), value.re.finditer(*asked[1:]), strict=False)
    number = next((number for number, one in found if one.regs == value.regs), None)
    if number is None:
        raise Refused("a match that is not found again cannot be kept")
    return nth_match, (*asked, number)


@builder
def match_again(how: str, pattern: Any, text: Any, start: int, end: int) -> Any:
    return getattr(pattern, how)(text, start, end)


@builder
def nth_match(pattern: Any, text: Any, start: int, end: int, number: int) -> Any:
    found = pattern.finditer(text, start, end)
    for _ in range(number):
        next(found)
    return next(found)


@reduces("_struct.Struct")
def _structure(_: SessionPickler, value: Any) -> Any:
    return structure, (value.format,)


@builder
def structure(form: str) -> Any:
    import struct  # noqa: PLC0415

    return struct.Struct(form)


@reduces("_contextvars.ContextVar", "builtins.ContextVar")
def _context_variable(_: SessionPickler, value: Any) -> Any:
    import contextvars  # noqa: PLC0415

    missing = contextvars.Token.MISSING
    now = value.get(missing)
    try:
        default: tuple[Any, ...] = (contextvars.Context().run(value.get),)
    except LookupError:
        default = ()
    # Without a value of its own a variable answers with what it is asked with, and not with its default.
    held = contextvars.copy_context()
    return context_variable, (value.name, default, (now,) if value in held else ())


@builder
def context_variable(name: str, default: tuple[Any, ...], value: tuple[Any, ...]) -> Any:
    import contextvars  # noqa: PLC0415

    made: Any = contextvars.ContextVar(name, default=default[0]) if default else contextvars.ContextVar(name)
    if value:
        made.set(value[0])
    return made


@reduces_all("_ctypes._SimpleCData", "_ctypes.Array", "_ctypes.Structure", "_ctypes.Union")
def _c_data(_: SessionPickler, value: Any) -> Any:
    base = value._b_base_
    if base is not None:
        raise Refused("ctypes data that lie in another object's memory cannot be kept")
    if value._objects:
        raise Refused("ctypes data that hold pointers cannot be kept")
    return c_data, (type(value), bytes(value))


@builder
def c_data(kind: Any, data: bytes) -> Any:
    return kind.from_buffer_copy(data)


@reduces("typing.TypeVar", "typing.ParamSpec", "typing.TypeVarTuple")
def _type_variable(pickler: SessionPickler, value: Any) -> Any:
    name = pickler.world.name_of(value)
    if name is not None and name not in pickler.own:
        return pickler.refer(value, name)
    if value.__module__ != MAIN:
        return NotImplemented
    state: dict[str, Any] = {}
    if type(value).__name__ != "TypeVarTuple":
        state = {key: getattr(value, f"__{key}__") for key in ("bound", "covariant", "contravariant")}
        if getattr(value, "__infer_variance__", False):
            state["infer_variance"] = True
    has_default = getattr(value, "has_default", None)
    if has_default is not None and has_default():
        state["default"] = value.__default__
    return type_variable, (type(value), value.__name__, getattr(value, "__constraints__", ()), state)


@builder
def type_variable(kind: Any, name: str, constraints: Any, state: dict[str, Any]) -> Any:
    made = kind(name, *constraints, **state)
    made.__module__ = MAIN
    return made


@reduces("typing.NewType")
def _new_type(pickler: SessionPickler, value: Any) -> Any:
    name = pickler.world.name_of(value)
    if name is not None and name not in pickler.own:
        return pickler.refer(value, name)
    if value.__module__ != MAIN:
        return NotImplemented
    return new_type, (value.__qualname__, value.__supertype__), dict(vars(value))


@builder
def new_type(name: str, supertype: Any) -> Any:
    import typing  # noqa: PLC0415

    return typing.NewType(name, supertype)


@reduces(f"{Placeholder.__module__}.Placeholder")
def _placeholder(_: SessionPickler, value: Placeholder) -> Any:
    return placeholder, tuple(lost_of(value))


@builder
def placeholder(*lost: Any) -> Placeholder:
    return Placeholder(Lost(*lost))


@reduces("itertools.count", "itertools.cycle", "itertools.chain", "itertools.repeat", "itertools.islice")
@reduces("itertools.accumulate", "itertools.compress", "itertools.dropwhile", "itertools.takewhile")
@reduces("itertools.filterfalse", "itertools.groupby", "itertools.starmap", "itertools.zip_longest")
@reduces("itertools.product", "itertools.permutations", "itertools.combinations", "itertools._grouper")
@reduces("itertools.combinations_with_replacement", "itertools.tee", "itertools._tee", "itertools._tee_dataobject")
def _iterator(_: SessionPickler, value: Any) -> Any:
    """As Python does it, without telling the user that 3.14 will not."""
    import warnings  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return value.__reduce_ex__(5)
        except TypeError as error:
            raise Refused(f"an iterator of itertools cannot be kept by this Python: {error}") from None
