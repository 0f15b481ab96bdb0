"""Which values are not known to load, because code of the session, or of a library that nobody has tried, makes them.

What pickles need not load: a `__setstate__` raises, a `__reduce__` names what only this process has, an `append` of a
list's subclass wants an attribute that comes later. Such a value is loaded in a spare worker as soon as it is saved,
and once for its type: `holds` in its index entry says which types are to come back with it, until they have.
"""

import copyreg
import sys
import types
import weakref
from collections.abc import Iterable
from typing import Any, NamedTuple

from .registry import reducer_of
from .safe import dict_of, full_name, module_of, mro_of

# Those of the survival corpus, and what they are made of.
_TRIED = (
    "numpy pandas pyarrow scipy sklearn joblib matplotlib mpl_toolkits PIL polars networkx sympy mpmath dateutil pytz "
    "pydantic pydantic_core plotly _plotly_utils sandbox_state"
)
# Its mocks make themselves a class each.
_NOT_KNOWN = frozenset(("__main__", "unittest"))
_KNOWN = frozenset((*sys.stdlib_module_names, *_TRIED.split())) - _NOT_KNOWN
# What may run when an object is made again, whichever way it was reduced in.
_ALWAYS = (
    "__reduce_ex__", "__reduce__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__", "__hash__",
)  # fmt: skip
_PLAINLY = ("__new__", "__getattr__", "__getattribute__", "__setattr__")
_ITEMS = ("append", "extend", "__setitem__")
MACHINERY = frozenset((*_ALWAYS, *_PLAINLY, *_ITEMS, "__init__"))
"""Attributes of a class by which its objects are made again."""
_OF_CELLS = "<cell "
_MOST_FAILING = 1000


class Pending(NamedTuple):
    """A name that is to be tried: its entry in the index, and the types in it that are not known to load."""

    entry: dict[str, Any]
    kinds: list[type]


class Proofs:
    """What is known of a session's types. `pending` are the names of the last save that are to be tried."""

    def __init__(self) -> None:
        # By id and weakly: the session's own classes are not to be kept alive.
        self._sound: dict[int, weakref.ref[type]] = {}
        # By the digest of a group's pickle, why names in it do not load: as long as it is the same, they do not.
        self._failing: dict[bytes, dict[str, str]] = {}
        self.pending: dict[str, Pending] = {}

    def unproven(self, kinds: Iterable[type]) -> list[type]:
        """Those of the types that were not seen to load, and whose objects are made by code that nobody knows."""
        sound = self._sound
        new = [kind for kind in kinds if id(kind) not in sound]
        return self._judge(new) if new else new

    def _judge(self, kinds: list[type]) -> list[type]:
        found = []
        for kind in kinds:
            if _is_made_by_others(kind):
                found.append(kind)
            else:
                self._note(kind)
        return found

    def _note(self, kind: type) -> None:
        key, drop = id(kind), self._sound.pop
        self._sound[key] = weakref.ref(kind, lambda _: drop(key, None))

    def forget(self) -> None:
        """Code has changed how objects of a class are made again: all is to be looked at, and tried, anew."""
        self._sound.clear()

    def await_trial(self, name: str, entry: dict[str, Any], kinds: list[type]) -> None:
        """A name is in the checkpoint that is being made, and holds types that were not seen to load."""
        entry["holds"] = sorted({full_name(kind) for kind in kinds})
        self.pending[name] = Pending(entry, kinds)

    def failing(self, digest: bytes, names: "frozenset[str]") -> dict[str, str]:
        """Why names do not load from the group with this pickle, as far as that is known."""
        known = self._failing.get(digest) if self._failing else None
        return {name: why for name, why in known.items() if name in names} if known else {}

    def fails(self, digest: bytes, name: str, reason: str) -> None:
        """A name was not to be loaded from the group with this pickle."""
        if len(self._failing) >= _MOST_FAILING:
            self._failing.clear()
        self._failing.setdefault(digest, {})[name] = reason

    def settle(self, lost: Iterable[str]) -> dict[str, Pending]:
        """The trial is over. All that was to be tried, but for these, needs no other trial; return it."""
        pending, self.pending = self.pending, {}
        well = {name: one for name, one in pending.items() if name not in set(lost)}
        if well:
            self._failing.clear()  # it may be what others need
        for one in well.values():
            for kind in one.kinds:
                self._note(kind)
        return well


def missing(holds: Any, kinds: Iterable[type]) -> list[str]:
    """The types that an index entry says are in a value, and that are not in what was loaded."""
    found = set(map(full_name, kinds))
    return [one for one in holds if isinstance(one, str) and one not in found] if isinstance(holds, list) else []


def _is_made_by_others(kind: type) -> bool:
    if _is_known(module_of(kind)) and copyreg.dispatch_table.get(kind) is None:
        return False
    plainly = reducer_of(kind) is None
    names = (*_ALWAYS, *_PLAINLY) if plainly else _ALWAYS
    if any(_is_foreign(kind, name) for name in names) or _is_registered(kind):
        return True
    called = plainly and any(_holder(kind, name) is not object for name in ("__reduce__", "__reduce_ex__"))
    if called and _is_foreign(kind, "__init__"):
        return True
    return (called or issubclass(kind, list | dict)) and any(_is_foreign(kind, name) for name in _ITEMS)


def _is_registered(kind: type) -> bool:
    reduce: Any = copyreg.dispatch_table.get(kind)
    return reduce is not None and not _is_known(getattr(reduce, "__globals__", {}).get("__name__", "builtins"))


def _is_foreign(kind: type, name: str) -> bool:
    """Whether an attribute is code of the session or of a library that is not known."""
    holder = _holder(kind, name)
    value = dict_of(holder).get(name)
    if value is None or _is_known(module_of(holder)):
        return False
    function = value.__func__ if type(value) in (staticmethod, classmethod) else value
    if type(function) is not types.FunctionType:
        return module_of(holder) is not None  # else it is the interpreter's, or Cython's
    file = function.__code__.co_filename
    if name == "__hash__" and file.startswith("<") and not file.startswith(_OF_CELLS):
        return False  # generated: it hashes what its dataclass holds
    return not _is_known(function.__globals__.get("__name__"))


def _holder(kind: type, name: str) -> type:
    return next((base for base in mro_of(kind) if name in dict_of(base)), object)


def _is_known(module: Any) -> bool:
    if type(module) is not str:
        return False
    return module.partition(".")[0] in _KNOWN or module.startswith("namedtuple_")
