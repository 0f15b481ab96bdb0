"""Pickles values of a session: references by name where there is a name, everything else by value."""

import io
import pickle
import types
from collections.abc import Iterable
from functools import partial
from typing import Any

from .registry import Reducer, builder, reducer_of
from .safe import from_type, module_of, name_of
from .world import MAIN, MODULE, World

LARGE = 64 * 1024
_VALUES = frozenset((
    str, bytes, tuple, frozenset, int, float, complex, bool, type(None), range, slice, types.BuiltinFunctionType,
    types.ModuleType, types.CodeType, types.MethodType, type(...), type(NotImplemented),
))  # fmt: skip
_CYTHON = "cython_function_or_method"


class SessionPickler:
    """Writes one group, on one of pickle's two picklers. `own`: the names whose definitions are in it by value.

    What it finds out on the way: `strong`, the names that its pickle refers to; `weak`, those that its functions
    mention, and `stores`, to which attributes they assign; `files`, the cells that its code was compiled from;
    `buffers`, large ones, which are not in the pickle.
    """

    def __init__(self, file: io.BytesIO, world: World, own: "frozenset[str]") -> None:
        self.buffers: list[pickle.PickleBuffer] = []
        # Not a method: a pickler that refers to itself would keep all that it has seen until the next collection.
        super().__init__(file, 5, buffer_callback=partial(_take_buffer, self.buffers))  # type: ignore[call-arg]
        self.memo: Any = dict(world.seed())
        self.world = world
        self.own = own
        self._reducers: dict[type, Reducer | None] = {}
        self.strong: set[str] = set()
        self.weak: set[str] = set()
        self.stores: set[str] = set()
        self.files: set[str] = set()
        self.referenced: set[int] = set()
        self.by_value: set[int] = set()
        self.kept: list[Any] = []
        self.plains: dict[int, Any] = {}

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        try:
            reducer = self._reducers[kind]
        except KeyError:
            reducer = self._reducers[kind] = reducer_of(kind)
        if reducer is not None:
            return reducer(self, value)
        if module_of(kind) != MAIN:
            constant = self.world.constant(value)
            if constant is not None:
                return self.constant(value, *constant)
        return NotImplemented

    def kinds(self) -> "Iterable[type]":
        """The types of what was pickled, but for the plainest ones."""
        return self._reducers

    def refer(self, value: Any, name: str) -> Any:
        """By the name that it has in the session."""
        self.strong.add(name)
        self.referenced.add(id(value))
        return named, (name,)

    def library(self, value: Any) -> Any:
        """As Python does it: by module and name, which were found to lead to it."""
        self.referenced.add(id(value))
        return NotImplemented

    def constant(self, value: Any, module: str, path: str) -> Any:
        """By the place where a fresh process has it too."""
        self.referenced.add(id(value))
        self.needs_module(module)
        return constant, (module, path, name_of(type(value)))

    def needs_module(self, module: "str | None") -> None:
        """Something goes by its place in a module: if that is the session's own, it has to be loaded first."""
        if module in self.world.modules:
            self.strong.add(MODULE + module)

    def shareable(self) -> tuple[set[int], Any]:
        """Ids of the objects in the pickle whose identity counts, and what keeps them from being used anew."""
        objects = [value for _, value in self.memo.copy().values()]
        skip = {kind for kind in set(map(type, objects)) if _is_value(kind)}
        found = {id(value) for value in objects if type(value) not in skip}
        found -= self.referenced
        found.difference_update(self.world.seed())
        return found | self.by_value, objects


class FastPickler(SessionPickler, pickle.Pickler):
    """On pickle's own in C."""


_Slow: Any = vars(pickle)["_Pickler"]


class DeepPickler(SessionPickler, _Slow):  # type: ignore[misc]
    """On pickle's own in Python: from 3.12 on, the one in C has a limit to how deep it goes that nobody can raise."""

    def __init__(self, file: io.BytesIO, world: World, own: "frozenset[str]") -> None:
        super().__init__(file, world, own)
        plain = _Slow.save_reduce

        # A function, where pickle has a method: calling that with `*` takes a step in C, which counts to the limit.
        def save_reduce(*made: Any, obj: Any = None) -> None:
            plain(self, *made, obj=obj)

        self.save_reduce = save_reduce


def _take_buffer(buffers: list[pickle.PickleBuffer], buffer: pickle.PickleBuffer) -> bool:
    """Keep large ones; true lets the pickle have it."""
    with buffer.raw() as raw:
        if raw.nbytes < LARGE:
            return True
    buffers.append(buffer)
    return False


def _is_value(kind: type) -> bool:
    """Whether it makes no difference if two objects of the type are one or two: libraries' types that hash by value.

    And functions of Cython's, which go by their names as those of C do.
    """
    if kind in _VALUES or issubclass(kind, type) or (name_of(kind) == _CYTHON and module_of(kind) != MAIN):
        return True
    return module_of(kind) != MAIN and from_type(kind, "__hash__") not in (None, object.__hash__)


class Context:
    """Who answers the references of the pickle that is being loaded, and where the workspace is."""

    loader: Any = None
    home: str = "/"


@builder
def named(name: str) -> Any:
    """What a name of the session is bound to."""
    return Context.loader.value_of(name)


@builder
def constant(module: str, path: str, kind: str) -> Any:
    """An object that a library keeps. It must be of the type that it was."""
    found = Context.loader.module(module)
    for name in path.split("."):
        found = getattr(found, name)
    if name_of(type(found)) != kind:
        raise TypeError(f"{module}.{path} was a {kind} and is a {name_of(type(found))} now")
    return found
