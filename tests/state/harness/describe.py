"""A text of everything a namespace holds: types, values, and which objects are the same or share memory.

Two sessions that have gone the same way have the same text, whatever the addresses of their objects.
"""

from __future__ import annotations

import sys
import types
from typing import Any

_PLAIN = (int, float, complex, str, bytes, bool, type(None), range)


def describe(namespace: dict[str, Any]) -> str:
    """One line for each name, then what memory its arrays share."""
    walk = _Walk(namespace)
    names = sorted(name for name in namespace if not name.startswith("__"))
    lines = [f"{name} = {walk.text(namespace[name])}" for name in names]
    return "\n".join([*lines, *walk.shared()])


class _Walk:
    """Numbers objects in the order in which it first meets them."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._numbers: dict[int, int] = {}
        self._arrays: list[Any] = []
        self._kept: list[Any] = []

    def text(self, value: Any) -> str:
        if type(value) in _PLAIN:
            return repr(value)
        if type(value) in (tuple, frozenset):
            return f"{type(value).__name__}({', '.join(self._texts(value))})"
        if isinstance(value, types.ModuleType):
            return f"module {value.__name__}"
        if id(value) in self._numbers:
            return f"#{self._numbers[id(value)]}"
        self._kept.append(value)  # so that no later object gets its address
        number = self._numbers[id(value)] = len(self._numbers)
        return f"#{number} {self._inner(value)}"

    def shared(self) -> list[str]:
        """Which arrays share memory with which, by the order in which they were met."""
        if not self._arrays:
            return []
        shares = sys.modules["numpy"].shares_memory
        pairs = [
            (i, j)
            for j, one in enumerate(self._arrays)
            for i, other in enumerate(self._arrays[:j])
            if shares(one, other)
        ]
        return [f"arrays {i} and {j} share memory" for i, j in pairs]

    def _texts(self, values: Any) -> list[str]:
        texts = [self.text(value) for value in values]
        return sorted(texts) if isinstance(values, set | frozenset) else texts

    def _inner(self, value: Any) -> str:
        """What an object that has an identity holds."""
        if isinstance(value, dict):
            pairs = [f"{self.text(key)}: {self.text(one)}" for key, one in value.items()]
            return f"{type(value).__name__} {{{', '.join(pairs)}}}{self._attributes(value)}"
        if isinstance(value, list | set):
            return f"{type(value).__name__} [{', '.join(self._texts(value))}]{self._attributes(value)}"
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if type(value).__module__ == "numpy":
            return self._array(value)
        if isinstance(value, types.MethodType):
            return f"method {value.__func__.__qualname__} of {self.text(value.__self__)}"
        return f"{self.text(type(value))}{self._attributes(value)}"

    def _attributes(self, value: Any) -> str:
        held = getattr(value, "__dict__", None)
        return f" with {self._inner(dict(held))}" if held else ""

    def _function(self, function: types.FunctionType) -> str:
        code = function.__code__
        cells = [self.text(cell.cell_contents) for cell in function.__closure__ or ()]
        live = function.__globals__ is self._namespace
        parts = [function.__qualname__, code.co_filename, str(code.co_firstlineno), code.co_code.hex()]
        parts += [self.text(function.__defaults__), self.text(function.__kwdefaults__), f"cells {cells}"]
        return f"function {' '.join(parts)} {'live' if live else 'DETACHED'}{self._attributes(function)}"

    def _class(self, kind: type) -> str:
        if kind.__module__ != "__main__":
            return f"class {kind.__module__}.{kind.__qualname__}"
        held = {name: one for name, one in vars(kind).items() if not _is_made_by_type(one)}
        bases = [self.text(base) for base in kind.__bases__]
        return f"class {kind.__qualname__} {bases} {self._inner(held)}"

    def _array(self, value: Any) -> str:
        if not hasattr(value, "strides") or not value.shape:
            return f"{type(value).__name__} {value!r}"
        self._arrays.append(value)
        facts = (value.dtype.str, value.shape, value.strides, value.flags.writeable)
        items = self._texts(value.ravel().tolist()) if value.size <= 64 else [str(value.sum()), str(hash(value.tobytes()))]
        return f"array {len(self._arrays) - 1} {facts} [{', '.join(items)}]"


def _is_made_by_type(value: object) -> bool:
    return isinstance(value, types.GetSetDescriptorType | types.MemberDescriptorType)
