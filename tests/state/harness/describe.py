"""A text of everything a namespace holds: types, values, and which objects are the same or share memory.

Two sessions that have gone the same way have the same text, whatever the addresses of their objects.
"""

from __future__ import annotations

import io
import sys
import types
from collections.abc import Callable
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
        shares = sys.modules["numpy"].may_share_memory
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
        texts: tuple[tuple[Any, Callable[[Any], str]], ...] = (
            (dict, self._dict),
            ((list, set), self._items),
            ((bytearray, memoryview), self._bytes),
            (io.IOBase, self._file),
            (types.FunctionType, self._function),
            ((types.MethodType, types.BuiltinMethodType), self._method),
            (type, self._class),
        )
        for kinds, text in texts:
            if isinstance(value, kinds):
                return text(value)
        if type(value).__module__ == "numpy":
            return self._array(value)
        return f"{self.text(type(value))}{self._attributes(value)}"

    def _dict(self, value: dict[Any, Any]) -> str:
        pairs = [f"{self.text(key)}: {self.text(one)}" for key, one in value.items()]
        return f"{type(value).__name__} {{{', '.join(pairs)}}}{self._attributes(value)}"

    def _items(self, value: Any) -> str:
        return f"{type(value).__name__} [{', '.join(self._texts(value))}]{self._attributes(value)}"

    def _bytes(self, value: bytearray | memoryview) -> str:
        """Their bytes; and of a view whose they are."""
        owner = f" of {self.text(value.obj)}" if isinstance(value, memoryview) else ""
        return f"{type(value).__name__} {bytes(value).hex()}{owner}"

    def _file(self, file: Any) -> str:
        place = "closed" if file.closed else f"at {file.tell()}"
        return f"{type(file).__name__} {getattr(file, 'name', '-')} {getattr(file, 'mode', '-')} {place}"

    def _attributes(self, value: Any) -> str:
        """What its dict holds, and its slots."""
        held = dict(getattr(value, "__dict__", None) or {})
        for kind in type(value).__mro__:
            members = {name: one for name, one in vars(kind).items() if type(one) is types.MemberDescriptorType}
            held |= {name: getattr(value, name) for name in members if _is_set(value, name)}
        return f" with {self._dict(held)}" if held and not isinstance(value, type) else ""

    def _method(self, method: Any) -> str:
        return f"method {method.__name__} of {self.text(method.__self__)}"

    def _function(self, function: types.FunctionType) -> str:
        code = function.__code__
        cells = [self.text(cell.cell_contents) if _is_full(cell) else "-" for cell in function.__closure__ or ()]
        live = function.__globals__ is self._namespace
        parts = [function.__qualname__, code.co_filename, str(code.co_firstlineno), code.co_code.hex()]
        parts += [self.text(function.__defaults__), self.text(function.__kwdefaults__), f"cells {cells}"]
        held = f" with {self._dict(function.__dict__)}" if function.__dict__ else ""
        return f"function {' '.join(parts)} {'live' if live else 'DETACHED'}{held}"

    def _class(self, kind: type) -> str:
        if kind.__module__ != "__main__":
            return f"class {kind.__module__}.{kind.__qualname__}"
        # copyreg leaves __slotnames__ on each class of which it has pickled an instance.
        made = {name for name, one in vars(kind).items() if _is_made_by_type(one)} | {"__slotnames__"}
        held = {name: one for name, one in sorted(vars(kind).items()) if name not in made}
        bases = [self.text(base) for base in kind.__bases__]
        return f"class {kind.__qualname__} {bases} {self._inner(held)}"

    def _array(self, value: Any) -> str:
        if not hasattr(value, "strides") or not value.shape:
            return f"{type(value).__name__} {value!r}"
        self._arrays.append(value)
        # Not its strides: a view of an array that nobody else holds may come back as an array of its own.
        facts = (value.dtype.str, value.shape, value.flags.writeable)
        items = (
            self._texts(value.ravel().tolist()) if value.size <= 64 else [str(value.sum()), str(hash(value.tobytes()))]
        )
        return f"array {len(self._arrays) - 1} {facts} [{', '.join(items)}]"


def _is_made_by_type(value: object) -> bool:
    return isinstance(value, types.GetSetDescriptorType | types.MemberDescriptorType)


def _is_set(value: Any, name: str) -> bool:
    try:
        getattr(value, name)
    except AttributeError:
        return False
    return True


def _is_full(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - reading it is what tells
    except ValueError:
        return False
    return True
