"""What is saved like a variable and is none: the session's own modules, what it has put into libraries, its loggers.

Each goes by a name that no variable can have, so that it shares objects with variables in the same groups.
"""

import site
import sys
import types
from collections.abc import Iterable
from typing import Any

from .safe import is_heap, module_of, mro_of, path_of
from .world import MAIN, MODULE, World, resolve

PATCH = "patch "
LOGGING = "logging "
SIGNALS = "signals "
_BY_OTHERS = frozenset(("sys.path", "sys.argv", "sys.modules", "os.environ", "sys.last_value", "sys.last_type",
                        "sys.last_traceback", "sys.last_exc", "warnings.filters"))  # fmt: skip
_LOGGING = frozenset("logging getLogger basicConfig dictConfig fileConfig setLevel addHandler removeHandler addFilter "
                     "propagate disabled handlers removeFilter".split())  # fmt: skip


class Extras:
    """Finds them, and puts them back."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._libraries: tuple[str, ...] = ()
        self._fresh: set[str] = set()
        self._count = 0
        self._patches: dict[str, tuple[str, str, str]] = {}
        self._loggers: dict[str, Any] = {}
        self._handlers: dict[int, Any] = {}
        self.values: dict[str, Any] = {}

    def begin(self) -> None:
        """A fresh worker: all that is loaded now belongs to libraries, and all that is set is as it should be."""
        roots = {sys.prefix, sys.base_prefix, sys.exec_prefix, *site.getsitepackages()}
        package = __name__.partition(".")[0]
        source = getattr(sys.modules.get(package), "__file__", None)
        if source:
            roots.add(source.rpartition("/")[0])
        self._libraries = tuple(root.rstrip("/") + "/" for root in roots)
        self._fresh = set(sys.modules)
        self._count = len(sys.modules)
        self._loggers = _loggers()
        self._handlers = _handlers()

    def look(self, names: "set[str]", stores: "frozenset[str]", everything: bool) -> "set[str]":
        """Find what there is now; return the names of what may have changed."""
        found = self._look_for_modules(everything)
        if stores:
            self._look_for_patches(names, stores)
        found |= {name for name in self.values if everything or _mentioned(name, names)}
        self._read_patches(found)
        if everything or not _LOGGING.isdisjoint(names):
            found |= self._difference(LOGGING, _loggers(), self._loggers)
        if everything or "signal" in names:
            found |= self._difference(SIGNALS, _handlers(), self._handlers)
        return found

    def _difference(self, name: str, now: dict[Any, Any], fresh: dict[Any, Any]) -> "set[str]":
        changed = {key: value for key, value in now.items() if fresh.get(key) != value}
        if not changed and name not in self.values:
            return set()
        self.values[name] = changed
        if not changed:
            del self.values[name]
        return {name}

    # --- modules ---------------------------------------------------------------------------------------------------

    def _look_for_modules(self, everything: bool) -> "set[str]":
        if len(sys.modules) == self._count and not everything:
            return set()
        self._count = len(sys.modules)
        found = set()
        for name, module in list(sys.modules.items()):
            if name not in self._fresh and type(name) is str:
                if self._is_own(name, module):
                    found.add(self.own_module(name, module))
                elif getattr(module, "__spec__", None) is not None:
                    self._fresh.add(name)
        for name in [name for name in self._world.modules if name not in sys.modules]:
            del self._world.modules[name]
            self.values.pop(MODULE + name, None)
            found.add(MODULE + name)
        return found

    def own_module(self, name: str, module: Any) -> str:
        """From now on this module is kept by value."""
        self._world.modules[name] = module
        self.values[MODULE + name] = module
        return MODULE + name

    def _is_own(self, name: str, module: Any) -> bool:
        """Whether the session has it from its workspace, or made it by hand."""
        if type(module) is not types.ModuleType or module is self._world.main:
            return False
        held = vars(module)
        if held.get("__spec__") is None:
            return any(module is value for value in self._world.namespace.values())
        file = held.get("__file__")
        if file is None:
            folders = list(held.get("__path__", ()))
            file = f"{folders[0]}/" if folders else None
        if not isinstance(file, str) or file.endswith((".so", ".pyd")):
            return False
        return not file.startswith(self._libraries) and "/site-packages/" not in file and "/dist-packages/" not in file

    # --- what was put into libraries -------------------------------------------------------------------------------

    def _look_for_patches(self, names: "set[str]", stores: "frozenset[str]") -> None:
        for module, path, holder in self._holders(names):
            held = vars(holder)
            for name in stores & held.keys():
                key = ".".join(filter(None, (module, path, name)))
                if key not in _BY_OTHERS and self._is_foreign(module, path, name, held[name]):
                    self._patches[PATCH + key] = (module, path, name)
                    self._world.patched.add((module, f"{path}.{name}" if path else name))

    def _holders(self, names: "set[str]") -> Iterable[tuple[str, str, Any]]:
        """Modules and classes of libraries that the code can reach by names that it mentions."""
        seen: set[int] = set()
        space = self._world.namespace
        waiting = [space[name] for name in names if name in space]
        waiting += [sys.modules[name] for name in names if name in sys.modules]
        waiting += [base for one in waiting for base in mro_of(type(one))[:-1]]
        while waiting:
            one = waiting.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            if issubclass(type(one), types.ModuleType) and vars(one).get("__name__") not in self._world.modules:
                if sys.modules.get(one.__name__) is one and one is not self._world.main:
                    yield one.__name__, "", one
                    waiting += [vars(one)[name] for name in names & vars(one).keys()]
            elif issubclass(type(one), type) and is_heap(one):
                module, path = module_of(one), path_of(one)
                if module not in (None, MAIN) and module not in self._world.modules and resolve(module, path) is one:
                    yield str(module), path, one
                    waiting += [vars(one)[name] for name in names & vars(one).keys()]

    def _is_foreign(self, module: str, path: str, name: str, value: Any) -> bool:
        """Whether something stands there that the library has not defined there itself."""
        value = _function_of(value)
        if issubclass(type(value), types.ModuleType) or type(value) in _OF_C:
            return False
        if type(value) is types.FunctionType and value.__globals__ is self._world.namespace:
            return True
        where = f"{path}.{name}" if path else name
        defined = issubclass(type(value), types.FunctionType | types.BuiltinFunctionType | type)
        return not (defined and value.__module__ == module and value.__qualname__ == where)

    def _read_patches(self, found: "set[str]") -> None:
        for name, (module, path, attribute) in list(self._patches.items()):
            holder = resolve(module, path) if path else sys.modules.get(module)
            held = vars(holder) if holder is not None else {}
            if attribute in held and self._is_foreign(module, path, attribute, held[attribute]):
                if self.values.get(name) is not held[attribute]:
                    self.values[name] = held[attribute]
                    found.add(name)
            else:
                del self._patches[name]
                if self.values.pop(name, None) is not None:
                    found.add(name)

    def loaded(self, names: "set[str]") -> None:
        """What a restore has imported is nothing that the next execution has."""
        self._fresh |= names - self._world.modules.keys()
        self._count = len(sys.modules)

    # --- back ------------------------------------------------------------------------------------------------------

    def entry(self, name: str) -> dict[str, Any]:
        """What a restore has to know beside the value."""
        return {"patch": list(self._patches[name])} if name in self._patches else {}

    def put_back(self, name: str, entry: dict[str, Any], value: Any) -> None:
        """Make it so again, after all variables are there."""
        if name.startswith(MODULE):
            self.own_module(name.removeprefix(MODULE), value)
        elif name.startswith(PATCH):
            module, path, attribute = entry["patch"]
            holder = resolve(module, path) if path else sys.modules[module]
            setattr(holder, attribute, value)
            self._patches[name] = (module, path, attribute)
            self._world.patched.add((module, f"{path}.{attribute}" if path else attribute))
            self.values[name] = vars(holder)[attribute]
        elif name == LOGGING:
            _set_loggers(value)
            self.values[name] = value
        elif name == SIGNALS:
            _set_handlers(value)
            self.values[name] = value


def shown(name: str) -> str:
    """The name for people."""
    return {LOGGING: "loggers' settings", SIGNALS: "signals' handlers"}.get(name, name.removeprefix(PATCH))


def is_extra(name: str) -> bool:
    return name.startswith((MODULE, PATCH, LOGGING, SIGNALS))


_OF_C = (
    types.GetSetDescriptorType, types.MemberDescriptorType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.ClassMethodDescriptorType, types.MethodWrapperType,
)  # fmt: skip


def _function_of(value: Any) -> Any:
    """The function that a class's attribute is made of."""
    if type(value) in (staticmethod, classmethod):
        return value.__func__
    return value.fget if type(value) is property else value


def _mentioned(name: str, names: "set[str]") -> bool:
    """Whether code that mentions `names` can change it: by its last part, which is how an attribute is reached."""
    return name.rpartition(".")[2].rpartition(" ")[2] in names


def _loggers() -> dict[str, Any]:
    module = sys.modules.get("logging")
    if module is None:
        return {}
    loggers = {"": module.root, **module.root.manager.loggerDict}
    return {name: _logger(one) for name, one in loggers.items() if isinstance(one, module.Logger)} | {
        " disabled": module.root.manager.disable
    }


def _logger(one: Any) -> dict[str, Any]:
    return {
        "level": one.level,
        "propagate": one.propagate,
        "disabled": one.disabled,
        "handlers": list(one.handlers),
        "filters": list(one.filters),
    }


def _set_loggers(value: dict[str, Any]) -> None:
    import logging  # noqa: PLC0415

    for name, state in value.items():
        if name == " disabled":
            logging.disable(state)
            continue
        one = logging.getLogger(name or None)
        one.setLevel(state["level"])
        one.propagate, one.disabled = state["propagate"], state["disabled"]
        one.handlers[:] = state["handlers"]
        one.filters[:] = state["filters"]


def _handlers() -> dict[int, Any]:
    """Handlers of signals, but for those that this package has set itself."""
    import signal  # noqa: PLC0415

    numbers = {int(one) for one in signal.valid_signals()} - {signal.SIGINT, signal.SIGKILL, signal.SIGSTOP}
    return {number: signal.getsignal(number) for number in sorted(numbers)}


def _set_handlers(value: dict[int, Any]) -> None:
    import signal  # noqa: PLC0415

    for number, handler in value.items():
        signal.signal(number, handler)
