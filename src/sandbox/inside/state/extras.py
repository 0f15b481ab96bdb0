"""What is saved like a variable and is none. Each goes by a name that no variable can have.

So it can share objects with variables, in the same groups: a handler that a logger has and a variable names is one.
"""

from typing import Any

from .own_modules import OwnModules
from .patches import PATCH, Patches
from .settings import FIGURES, LOGGERS, SETTINGS, SIGNALS, Settings
from .world import MODULE, World

_SHOWN = {LOGGERS.name: "loggers' settings", SIGNALS.name: "signals' handlers", FIGURES.name: "pyplot's figures"}


class Extras:
    """The session's own modules, what it has put into libraries, and settings that hold its objects."""

    def __init__(self, world: World) -> None:
        self._modules = OwnModules(world)
        self._patches = Patches(world)
        self._settings = Settings()

    def begin(self) -> None:
        """A fresh worker: all is as it should be."""
        self._modules.begin()
        self._settings.begin()

    @property
    def values(self) -> dict[str, Any]:
        return {**self._modules.values, **self._patches.values, **self._settings.values}

    def look(self, names: set[str], stores: frozenset[str], *, everything: bool) -> set[str]:
        """Find what there is now; return the names of what may have changed."""
        found = self._modules.look(everything=everything)
        found |= {name for name in self._modules.values if everything or _last(name) in names}
        found |= self._patches.look(names, stores, everything=everything)
        return found | self._settings.look(names, everything=everything)

    def entry(self, name: str) -> dict[str, Any]:
        """What a restore has to know beside the value."""
        return self._patches.entry(name)

    def put_back(self, name: str, entry: dict[str, Any], value: Any) -> None:
        """Make it so again, after all variables are there."""
        if name.startswith(MODULE):
            self._modules.add(name.removeprefix(MODULE), value)
        elif name.startswith(PATCH):
            self._patches.put_back(entry, value)
        else:
            self._settings.put_back(name, value)

    def settle(self) -> None:
        """A restore is done: what it has imported is nothing that the next execution has."""
        self._modules.settle()


def is_extra(name: str) -> bool:
    return name.startswith((MODULE, PATCH)) or name in SETTINGS


def order_of(entry: dict[str, Any]) -> int:
    """What is put back first: modules and settings, then what is in classes of libraries, then what is in modules."""
    place = entry.get("patch")
    return 0 if not place else 1 if place[1] else 2


def shown(name: str) -> str:
    """The name for people."""
    return _SHOWN.get(name, name.removeprefix(PATCH))


def _last(name: str) -> str:
    """How code reaches it: by its last part."""
    return name.rpartition(".")[2].rpartition(" ")[2]
