"""Reads a checkpoint back: groups in the order in which they need each other, what is damaged named and left out."""

import importlib
import io
import pickle
from collections.abc import Callable, Iterable
from typing import Any

from . import kinds  # noqa: F401 - the builders
from .index import Stored
from .kinds.sets import arrange
from .lost import Refused, type_name, why
from .memory import bring
from .pickler import Context
from .world import MAIN, MODULE, World

_KEYS = (int, float, str, type(None))


class LoadedBuffer:
    """A large buffer, and where it lies now."""

    __slots__ = ("mapped", "number", "view")

    def __init__(self, number: int, view: memoryview, *, mapped: bool) -> None:
        self.number = number
        self.view = view
        self.mapped = mapped


class Loaded:
    """What a group's pickle gave."""

    __slots__ = ("buffers", "data", "values", "whole")

    def __init__(self, values: dict[str, Any], data: bytes, buffers: list[LoadedBuffer]) -> None:
        self.values = values
        self.data = data
        self.buffers = buffers
        self.whole = True


class Loader:
    """Loads groups of one checkpoint. `found` hears of each value as soon as it is there."""

    def __init__(self, world: World, stored: Stored, parts: Any, found: Callable[[str, Any], object]) -> None:
        self.world = world
        self._stored = stored
        self._parts = parts
        self._found = found
        self.groups: dict[int, Loaded] = {}
        self.failed: dict[str, str] = {}
        self._tried: set[int] = set()
        self._loading: list[int] = []
        self._moved: dict[int, Any] = {}
        self._inline = {name for name, entry in stored.names.items() if "value" in entry}
        self._names: dict[Any, dict[str, dict[str, Any]]] = {}
        for name, entry in stored.names.items():
            if "group" in entry and isinstance(entry["group"], _KEYS):  # a damaged one may be anything
                self._names.setdefault(entry["group"], {})[name] = entry

    def load(self, number: int) -> None:
        """Load a group. Which of its names could not be had is in `failed` afterwards."""
        if number in self._tried:
            return
        self._tried.add(number)
        self._loading.append(number)
        outer, Context.loader = Context.loader, self
        try:
            self.groups[number] = loaded = self._load_or_rescue(number)
            for name, value in loaded.values.items():
                self._found(name, value)
        except BaseException as error:  # noqa: BLE001 - a damaged part can raise anything, and so can the user's code
            self.failed.update(dict.fromkeys(self.names_of(number), why(error)))
        finally:
            Context.loader = outer
            self._loading.pop()

    def fail(self, name: str, reason: str) -> None:
        """A name is known not to load, with all of its group."""
        number = self._stored.names[name].get("group")
        if number is not None:
            self._tried.add(number)
            self.failed.update(dict.fromkeys(self.names_of(number), reason))

    def refuse(self, name: str, reason: str) -> None:
        """A name was loaded, and must not be taken."""
        loaded = self.groups[self._stored.names[name]["group"]]
        loaded.values = {one: value for one, value in loaded.values.items() if one != name}
        loaded.whole = False
        self.failed[name] = reason

    def _load_or_rescue(self, number: int) -> Loaded:
        """All of it; if that fails and it has several names, those of them that hold nothing that fails."""
        try:
            return self._load_whole(number)
        except Exception as error:
            if len(self.names_of(number)) < 2:
                raise
            return self._rescue(number, why(error))

    def _load_whole(self, number: int) -> Loaded:
        loaded = self._load(number, self.unpickle)
        if loaded.values.keys() != self.names_of(number).keys():
            raise ValueError("a group's pickle has other names than its index")
        wrong = self._of_wrong_type(loaded.values)
        if wrong:
            raise TypeError(next(iter(wrong.values())))
        return loaded

    def _rescue(self, number: int, reason: str) -> Loaded:
        loaded = self._load(number, self._unpickle_some)
        expected = self.names_of(number)
        if not loaded.values.keys() <= expected.keys() or not loaded.values:
            raise Refused(reason)
        self.failed.update({name: reason for name in expected if name not in loaded.values})
        loaded.whole = False
        return loaded

    def names_of(self, number: Any) -> dict[str, dict[str, Any]]:
        """The names of a group, with their entries."""
        return self._names.get(number, {}) if isinstance(number, _KEYS) else {}

    def _of_wrong_type(self, values: dict[str, Any]) -> dict[str, str]:
        """Names whose values came back as something else, and as what."""
        found = {}
        for name, value in values.items():
            expected = str(self._stored.names[name].get("type"))
            if not _is_as_expected(type_name(value), expected):
                found[name] = f"{name} was a {expected} and came back as a {type_name(value)}"
        return found

    def value_of(self, name: str) -> Any:
        """For references in pickles: load the group of a name if that has not been done. Raises Refused."""
        number = self._stored.names.get(name, {}).get("group")
        if number is None:
            raise Refused(f"it refers to {name}, which is not in the checkpoint")
        if number in self._loading:
            raise Refused(f"it and {name} refer to each other")
        self.load(number)
        if name in self.failed:
            raise Refused(f"it refers to {name}, which was lost: {self.failed[name]}")
        return self.groups[number].values[name]

    def module(self, name: str) -> Any:
        """A module by its name, the session's own as they were."""
        self.need_module(name)
        return importlib.import_module(name)

    def moved(self, data: memoryview, array: Any) -> None:
        """A buffer was copied into an array, where it lies from now on."""
        self._moved[id(data)] = array

    def need_module(self, name: str) -> None:
        if MODULE + name in self._stored.names and self._stored.names[MODULE + name].get("group") not in self._loading:
            self.value_of(MODULE + name)

    def _load(self, number: int, unpickle: Callable[[bytes, list[memoryview]], Any]) -> Loaded:
        entry = self._stored.groups[number]
        data = self._parts[f"group/{number}"]
        buffers = [self._buffer(*layout) for layout in entry.get("buffers", ())]
        values = unpickle(data, [buffer.view for buffer in buffers])
        for buffer in buffers:
            array = self._moved.pop(id(buffer.view), None)
            if array is not None:
                buffer.view = memoryview(array.reshape(-1).view("u1"))
        if type(values) is not dict:
            raise ValueError("a group's pickle is not a group")
        return Loaded(values, data, buffers)

    def _unpickle_some(self, data: bytes, buffers: list[memoryview]) -> Any:
        """Values that hold nothing that could not be made."""
        from .tolerant import TolerantUnpickler, without_broken  # noqa: PLC0415 - rarely needed

        find = _Unpickler(b"", self, ()).find_class
        unpickler = TolerantUnpickler(self.world.primer + data, buffers, find, self.world.fixed)
        unpickler.load()
        values = unpickler.load()
        for name in self._of_wrong_type(values):
            unpickler.broken[id(values[name])] = values[name]
        return without_broken(values, unpickler.broken, {id(one) for one in self.world.fixed})

    def unpickle(self, data: bytes, buffers: Iterable[memoryview] = ()) -> Any:
        """One pickle of the session's."""
        outer, Context.loader = Context.loader, self
        try:
            unpickler = _Unpickler(data, self, buffers)
            found = unpickler.load()
            for value, *order in unpickler.rest():
                arrange(value, *order)
            return found
        finally:
            Context.loader = outer

    def _buffer(self, number: int, size: int, pad: int) -> LoadedBuffer:
        view, mapped = bring(self._parts, f"buffer/{number}")
        if len(view) != size + pad:
            raise ValueError(f"a buffer has {len(view) - pad} bytes and should have {size}")
        return LoadedBuffer(number, view[pad:], mapped=mapped)


def _is_as_expected(found: str, expected: str) -> bool:
    """Whether a type's name is right.

    Its last part, since an array type of ctypes says that it is from whoever made the first one. And what iterates
    over a dict iterates over a list when Python has pickled it.
    """
    last, wanted = found.rpartition(".")[2], expected.rpartition(".")[2]
    return last == wanted or (last == "list_iterator" and wanted.endswith("iterator"))


class _Unpickler(pickle.Unpickler):
    """Finds the session's own modules and classes where they are."""

    def __init__(self, data: bytes, loader: Loader, buffers: Iterable[memoryview]) -> None:
        self._file = io.BytesIO(loader.world.primer + data)
        super().__init__(self._file, buffers=buffers)
        self._loader = loader
        self._primed = False
        self.load()
        self._primed = True

    def rest(self) -> Any:
        """The second pickle of a group that has sets, if it has one."""
        return self.load() if self._file.tell() < self._file.getbuffer().nbytes else ()

    def persistent_load(self, number: int) -> Any:
        if self._primed:
            raise pickle.UnpicklingError("a persistent reference, which no pickle of a session has")
        return self._loader.world.fixed[number]

    def find_class(self, module: str, name: str) -> Any:
        if module == MAIN:
            first, _, rest = name.partition(".")
            found = self._loader.value_of(first)
            for part in rest.split(".") if rest else ():
                found = getattr(found, part)
            return found
        self._loader.need_module(module)
        return super().find_class(module, name)
