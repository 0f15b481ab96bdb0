"""Loads a group in which one object cannot be made: the names that hold it are lost, and the others are not."""

import gc
import io
import pickle
import types
from collections.abc import Callable, Iterable
from typing import Any

_MOST = 2_000_000
_BUILD, _REDUCE, _NEWOBJ = pickle.BUILD[0], pickle.REDUCE[0], pickle.NEWOBJ[0]


class Broken:
    """Stands where an object should be that could not be made."""


_Slow: Any = vars(pickle)["_Unpickler"]
Find = Callable[[str, str], Any]


class TolerantUnpickler(_Slow):  # type: ignore[misc]
    """pickle's own in Python, slower, with steps that may fail. `broken` are the objects of which one has."""

    def __init__(self, data: bytes, buffers: Iterable[Any], find: Find, fixed: list[Any]) -> None:
        super().__init__(io.BytesIO(data), buffers=buffers)
        self.broken: dict[int, Any] = {}
        self._find = find
        self._fixed = fixed

    def find_class(self, module: str, name: str) -> Any:
        return self._find(module, name)

    def persistent_load(self, number: int) -> Any:
        return self._fixed[number]

    def _or_broken(self, step: Callable[[Any], None], *, in_place: bool) -> None:
        """Take a step. If it fails, the object on the stack is broken, or another is put there that is."""
        depth = len(self.stack)
        try:
            step(self)
        except Exception:  # noqa: BLE001 - the user's code may raise anything, and the strict load has said what
            del self.stack[depth - 1 :]
            if not in_place:
                self.stack[-1] = Broken()
            self.broken[id(self.stack[-1])] = self.stack[-1]

    def load_build(self) -> None:
        self._or_broken(_Slow.load_build, in_place=True)

    def load_reduce(self) -> None:
        self._or_broken(_Slow.load_reduce, in_place=False)

    def load_newobj(self) -> None:
        self._or_broken(_Slow.load_newobj, in_place=False)

    dispatch = {  # noqa: RUF012
        **_Slow.dispatch,
        _BUILD: load_build,
        _REDUCE: load_reduce,
        _NEWOBJ: load_newobj,
    }


def without_broken(values: dict[str, Any], broken: dict[int, Any], outside: set[int]) -> dict[str, Any]:
    """Those values that hold nothing that is broken."""
    return {name: value for name, value in values.items() if not _reaches(value, broken, outside)}


def _reaches(value: Any, broken: dict[int, Any], outside: set[int]) -> bool:
    seen = set(outside)
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if id(one) in broken or len(seen) > _MOST:
            return True
        if id(one) in seen or issubclass(type(one), types.ModuleType):
            continue
        seen.add(id(one))
        waiting.extend(gc.get_referents(one))
    return False
