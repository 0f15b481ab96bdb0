"""What a session's pickles refer to by name: its namespace, its definitions, its modules, the libraries' constants."""

import builtins
import contextlib
import importlib
import os
import sys
import types
import weakref
from typing import Any

from .safe import dict_of, full_name, module_of

MAIN = "__main__"
MODULE = "module "
"""Names of a session's own modules begin so in the index: no variable that code can write does."""
_DEFINED_BY_TYPING = frozenset(
    f"typing.{name}" for name in ("TypeVar", "ParamSpec", "TypeVarTuple", "NewType", "TypeAliasType")
)


class _Nothing:
    """Takes the place of something that is not there."""


class World:
    """The live side of references. One for each worker."""

    def __init__(self, main: types.ModuleType) -> None:
        self.main = main
        self.namespace: dict[str, Any] = main.__dict__
        self.modules: dict[str, types.ModuleType] = {}
        self.patched: set[tuple[str, str]] = set()
        # Weakly: when the last name of something goes, it has to go too, with all that it holds.
        self._defined: dict[str, weakref.ref[Any]] = {}
        self._names: dict[int, str] = {}
        self._constants: dict[type, dict[int, str]] = {}
        self._seed: dict[int, tuple[int, Any]] = {}
        self.fixed: list[Any] = []
        self.primer = b""
        """A pickle that fills an unpickler's memo with `fixed`: assigning to the memo does not work in C."""

    def begin(self) -> None:
        """Note the objects that every worker has and that go by number in pickles: the order is a format."""
        filters = sys.modules["warnings"].filters if "warnings" in sys.modules else None
        streams = [sys.__stdin__, sys.__stdout__, sys.__stderr__]
        own = [self.namespace, sys.path, sys.argv, sys.modules, os.environ, builtins.__dict__]
        fixed: dict[int, Any] = {}
        for one in [*own, *streams, filters, self.main]:
            # There must be no gap: what is not here, or here twice, is an object that nobody has.
            kept = _Nothing() if one is None or id(one) in fixed else one
            fixed[id(kept)] = kept
        self._seed = {number: (position, one) for position, (number, one) in enumerate(fixed.items())}
        self.fixed = list(fixed.values())
        # Each of them: its number, itself, noted in the memo, away.
        steps = [b"K%cQ\x940" % number for number in range(len(fixed))]
        self.primer = b"\x80\x05" + b"".join(steps) + b"N."

    def seed(self) -> dict[int, tuple[int, Any]]:
        """The memo that a pickler begins with."""
        return self._seed

    # --- definitions: functions, classes and type variables that a name of the session is bound to -----------

    def define(self, name: str, value: Any) -> bool:
        """Note what `name` is bound to now. True: it was a definition, and is not that one any more."""
        known = self._defined.get(name)
        old = None if known is None else known()
        if known is not None and old is value:
            return False
        if known is not None:
            del self._defined[name]
            self._names = {key: one for key, one in self._names.items() if one != name}
        if is_definition(value, self.namespace):
            self._defined[name] = weakref.ref(value)
            if self.name_of(value) is None:
                self._names[id(value)] = name
        return known is not None

    def name_of(self, value: Any) -> "str | None":
        """The name that a definition goes by in other groups' pickles."""
        name = self._names.get(id(value))
        return name if name is not None and self.namespace.get(name) is value else None

    # --- libraries -------------------------------------------------------------------------------------------------

    def constant(self, value: Any) -> "tuple[str, str] | None":
        """Module and name, if `value` is an object that the library of its type keeps at its top level."""
        kind = type(value)
        known = self._constants.get(kind)
        if known is None:
            known = self._constants[kind] = _constants(kind)
        name = known.get(id(value))
        module = module_of(kind)
        if name is None or module is None or module in self.modules or vars(sys.modules[module]).get(name) is not value:
            return None
        return module, name


def is_definition(value: Any, namespace: dict[str, Any]) -> bool:
    """Whether other groups refer to such a value by name, if it is bound to one."""
    kind = type(value)
    if kind is types.FunctionType:
        return value.__globals__ is namespace or value.__module__ == MAIN
    if issubclass(kind, type):
        return module_of(value) == MAIN
    return full_name(kind) in _DEFINED_BY_TYPING and value.__module__ == MAIN


def resolve(module: "str | None", path: str) -> Any:
    """The object at a dotted path below a loaded module; the module itself if there is none."""
    missing = found = _module(module)
    for name in path.split("."):
        if found is None or name == "<locals>":
            return missing
        held = dict_of(found) if issubclass(type(found), type) else _vars(found)
        found = held.get(name)
    return found


def _module(name: "str | None") -> Any:
    """A module; one that its package brings in when it is asked for is brought in."""
    found = sys.modules.get(name or "")
    if found is None and name and name.partition(".")[0] in sys.modules:
        with contextlib.suppress(ImportError):
            found = importlib.import_module(name)
    return found


def _vars(value: Any) -> Any:
    return value.__dict__ if type(value) is types.ModuleType or issubclass(type(value), types.ModuleType) else {}


def _constants(kind: type) -> dict[int, str]:
    module = module_of(kind)
    held = sys.modules.get(module or "")
    if module in (MAIN, None, "builtins") or type(held) is not types.ModuleType:
        return {}
    return {id(value): name for name, value in list(vars(held).items()) if type(value) is kind}
