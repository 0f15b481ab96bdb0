"""What a session has put into libraries: `module.name = ...`, attributes of their classes, entries of their registries.

Which attributes code assigns to is read off it, and which modules and classes it can reach by the names in it. What
stands there now is kept if the library has not defined it there itself. Code that calls something with "register"
in its name may have put a definition of the session where no assignment shows it.
"""

import gc
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

from .safe import dict_of, is_heap, module_of, mro_of, path_of
from .world import MAIN, World, is_definition, resolve

PATCH = "patch "
_OF_OTHERS = frozenset((
    "sys.path", "sys.argv", "sys.modules", "os.environ", "sys.last_value", "sys.last_type", "sys.last_traceback",
    "sys.last_exc", "warnings.filters",
))  # fmt: skip
_OF_C = (
    types.GetSetDescriptorType, types.MemberDescriptorType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.ClassMethodDescriptorType, types.MethodWrapperType,
)  # fmt: skip
_MOST_ENTRIES = 2000
_ABSENT = object()
_ENTRIES, _VIRTUAL = "entries", "virtual"


class Place(NamedTuple):
    """Where something was put. `how`: in a dict that stands there, or as virtual subclasses of an abstract class."""

    module: str
    path: str
    name: str
    how: str = ""

    @property
    def full(self) -> str:
        return ".".join(filter(None, self[:3]))

    def holder(self) -> Any:
        """The module or class; None if it is not loaded."""
        return resolve(self.module, self.path) if self.path else sys.modules.get(self.module)


class Patches:
    """Finds them. `values` has each by its name in the index."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._places: dict[str, Place] = {}
        self._new: set[str] = set()
        self._classes: dict[tuple[str, str], type] = {}
        self.values: dict[str, Any] = {}

    def look(self, names: set[str], stores: frozenset[str], *, everything: bool) -> set[str]:
        """Find new ones; return the names of those that may have changed."""
        registers = "copyreg" in names or any("register" in name for name in names)
        if stores or registers:
            # Twice, if a class was replaced: what is in the old one is found when that is known.
            count = -1
            while count != len(self._world.patched):
                count = len(self._world.patched)
                for module, path, holder in self._holders(names):
                    self._look_at(module, path, holder, stores)
                    if registers:
                        self._look_for_registered(module, path, holder)
        found, self._new = self._new, set()
        found |= {key for key, place in self._places.items() if everything or place.how or place.name in names}
        return self._read(found)

    def _look_at(self, module: str, path: str, holder: Any, stores: frozenset[str]) -> None:
        held = vars(holder)
        for name in stores & held.keys():
            place = Place(module, path, name)
            if place.full not in _OF_OTHERS and self._is_foreign(place, held[name]):
                self.add(place)

    def add(self, place: Place) -> str:
        """Keep what stands there from now on."""
        key = PATCH + place.full
        if key not in self._places:
            self._places[key] = place
            self._new.add(key)
        if not place.how:
            self._world.patched.add((place.module, ".".join(filter(None, place[1:3]))))
        return key

    def _look_for_registered(self, module: str, path: str, holder: Any) -> None:
        """Definitions of the session in a library's dicts, and in attributes of its classes."""
        if path and self._virtual(holder):
            self.add(Place(module, path, "", _VIRTUAL))
        for name, value in list(vars(holder).items()):
            if path:
                if type(value) not in _OF_C and self._refers_to_session(value):
                    self.add(Place(module, path, name))
            elif type(value) is dict and len(value) <= _MOST_ENTRIES and self._added(value):
                self.add(Place(module, path, name, _ENTRIES))
            elif issubclass(type(value), type) and (place := self._place_of(value)) is not None:
                self._look_for_registered(*place, value)

    def _virtual(self, holder: type) -> list[type]:
        """Classes of the session that were registered with an abstract class."""
        if "_abc_impl" not in vars(holder):
            return []
        import _abc  # type: ignore[import-not-found] # noqa: PLC0415

        found = [one for reference in _abc._get_dump(holder)[0] if (one := reference()) is not None]
        return [one for one in found if is_definition(one, self._world.namespace)]

    def _added(self, held: dict[Any, Any]) -> list[tuple[Any, Any]]:
        """Entries that have a definition of the session in them."""
        space = self._world.namespace
        pairs = list(held.items())
        return [
            (key, value)
            for key, value in pairs
            if is_definition(value, space) or is_definition(key, space) or _any_definition(key, space)
        ]

    def _refers_to_session(self, value: Any) -> bool:
        near = gc.get_referents(value)
        far = [one for inner in near if type(inner) is dict for one in inner.values()]
        return any(is_definition(one, self._world.namespace) for one in (value, *near, *far))

    def _holders(self, names: set[str]) -> Iterator[tuple[str, str, Any]]:
        """Modules and classes of libraries that code can reach by the names that it mentions."""
        seen: set[int] = set()
        space = self._world.namespace
        waiting = [space[name] for name in names if name in space]
        waiting += [sys.modules[name] for name in names if name in sys.modules]
        waiting += [base for one in waiting for base in mro_of(type(one))[:-1]]
        waiting += [base for one in waiting if issubclass(type(one), type) for base in mro_of(one)[1:-1]]
        while waiting:
            one = waiting.pop()
            place = self._place_of(one) if id(one) not in seen else None
            seen.add(id(one))
            if place is not None:
                yield (*place, one)
                held = vars(one)
                waiting += [held[name] for name in names & held.keys()]

    def _place_of(self, holder: Any) -> "tuple[str, str] | None":
        """A library's module or class by its place; None for everything else."""
        if issubclass(type(holder), types.ModuleType):
            name = holder.__dict__.get("__name__")
            known = sys.modules.get(name) is holder and holder is not self._world.main
            return (name, "") if known and name not in self._world.modules else None
        if not issubclass(type(holder), type) or not is_heap(holder):
            return None
        module = module_of(holder)
        path = path_of(holder)
        if module in (None, MAIN) or module in self._world.modules:
            return None
        # One that the session has replaced is where it was when a restore puts things back.
        if resolve(module, path) is not holder and (module, path) not in self._world.patched:
            return None
        self._classes[str(module), path] = holder
        return str(module), path

    def _is_foreign(self, place: Place, value: Any) -> bool:
        """Whether something stands there that the library has not defined there itself."""
        value = _function_of(value)
        if issubclass(type(value), types.ModuleType) or type(value) in _OF_C:
            return False
        if type(value) is types.FunctionType and value.__globals__ is self._world.namespace:
            return True
        if not issubclass(type(value), types.FunctionType | types.BuiltinFunctionType | type):
            return True
        where = ".".join(filter(None, place[1:3]))
        return not (value.__module__ == place.module and value.__qualname__ == where)

    def _read(self, found: set[str]) -> set[str]:
        """What stands there now, of these."""
        for key in list(found):
            value = self._value(self._places[key])
            if value is _ABSENT:
                del self._places[key]
                self.values.pop(key, None)
            else:
                self.values[key] = value
        return found

    def _value(self, place: Place) -> Any:
        holder = self._classes.get(place[:2]) or place.holder()
        if holder is None:
            return _ABSENT
        if place.how == _VIRTUAL:
            return self._virtual(holder) or _ABSENT
        value = vars(holder).get(place.name, _ABSENT)
        if place.how == _ENTRIES:
            return (self._added(value) or _ABSENT) if type(value) is dict else _ABSENT
        return value if value is not _ABSENT and self._is_foreign(place, value) else _ABSENT

    # --- back ------------------------------------------------------------------------------------------------------

    def entry(self, key: str) -> dict[str, Any]:
        """What a restore has to know beside the value."""
        return {"patch": list(self._places[key])} if key in self._places else {}

    def put_back(self, entry: dict[str, Any], value: Any) -> None:
        place = Place(*entry["patch"])
        holder = place.holder()
        if place.path and holder is not None:
            self._classes[place[:2]] = holder
        if place.how == _VIRTUAL:
            for one in value:
                holder.register(one)
        elif place.how == _ENTRIES:
            vars(holder)[place.name].update(value)
        else:
            setattr(holder, place.name, value)
            names = dict_of(holder).get("_accessors") if place.path else None
            if type(names) is set:  # pandas keeps the names of what is registered
                names.add(place.name)
        self.values[self.add(place)] = value


def _any_definition(key: Any, space: dict[str, Any]) -> bool:
    """Whether a key is a tuple that has a definition in it."""
    return type(key) is tuple and any(is_definition(one, space) for one in key)


def _function_of(value: Any) -> Any:
    """The function that a class's attribute is made of."""
    if type(value) in (staticmethod, classmethod):
        return value.__func__
    return value.fget if type(value) is property else value
