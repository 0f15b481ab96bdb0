"""The session's own modules: those of its workspace, and those that it has made by hand. They are kept by value."""

import sys
import types
from typing import Any

from .world import MODULE, World

_NATIVE = (".so", ".pyd")


class OwnModules:
    """Finds them. `values` has each by its name in the index."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._libraries: tuple[str, ...] = ()
        self._others: set[str] = set()
        self._count = 0
        self._last: object = None
        self.values: dict[str, Any] = {}

    def begin(self) -> None:
        """A fresh worker: all that is loaded now belongs to libraries."""
        roots = {sys.prefix, sys.base_prefix, sys.exec_prefix}
        roots.add(__file__.rpartition("/state/")[0])  # ours, of which some are imported only when they are needed
        self._libraries = tuple(root.rstrip("/") + "/" for root in roots)
        self.settle()

    def settle(self) -> None:
        """What is loaded now and not known as the session's own is others'."""
        self._others.update(name for name in self._new() if name not in self._world.modules)
        self._count = len(sys.modules)

    def _new(self) -> list[Any]:
        """What was loaded since the last time: it comes last. Looking at the others would copy much memory."""
        found = []
        try:
            for name in reversed(sys.modules):
                if name is self._last:
                    break
                found.append(name)
        except RuntimeError:  # another thread imports meanwhile
            found = list(sys.modules)[::-1]
        if found:
            self._last = found[0]
        return found[::-1]

    def look(self, *, everything: bool) -> set[str]:
        """Find new ones, and those that are gone; return their names."""
        new = self._new()
        if not new and len(sys.modules) == self._count and not everything:
            return set()
        self._count = len(sys.modules)
        found = set()
        for name in list(sys.modules) if everything else new:
            module = sys.modules.get(name)
            if type(name) is str and name not in self._others and self._world.modules.get(name) is not module:
                if self._is_own(module):
                    found.add(self.add(name, module))
                elif getattr(module, "__spec__", None) is not None:
                    self._others.add(name)  # what was made by hand may still be bound to a name later
        for name in [name for name in self._world.modules if name not in sys.modules]:
            del self._world.modules[name], self.values[MODULE + name]
            found.add(MODULE + name)
        return found

    def add(self, name: str, module: Any) -> str:
        """From now on this module is kept by value."""
        self._world.modules[name] = module
        self.values[MODULE + name] = module
        return MODULE + name

    def _is_own(self, module: Any) -> bool:
        if type(module) is not types.ModuleType or module is self._world.main:
            return False
        held = vars(module)
        if held.get("__spec__") is None:
            return any(module is value for value in self._world.namespace.values())
        file = held.get("__file__")
        if file is None:  # a package without a file: where its first folder is
            folders = list(held.get("__path__", ()))
            file = f"{folders[0]}/" if folders else None
        if type(file) is not str or file.endswith(_NATIVE) or file.startswith(self._libraries):
            return False
        return "/site-packages/" not in file and "/dist-packages/" not in file
