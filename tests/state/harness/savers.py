"""What saves and restores in a worker: the product's Saver, or a deliberately poor one that proves the harness."""

from __future__ import annotations

import importlib
import io
import pickle
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.inside.state.parts import Extent, Parts, Place


def parts(layout: dict[str, Any], payload: bytes, fds: Sequence[int]) -> Parts:
    """The parts of a manifest: small ones from the payload, large ones where they lie in the pack file."""
    small, large, start = {}, {}, 0
    for key, one in layout.items():
        if one["extents"] is None:
            small[key] = payload[start : start + one["size"]]
            start += one["size"]
        else:
            extents = [Extent(offset, fds[0], at, length) for offset, at, length in one["extents"]]
            large[key] = Place(one["size"], extents)
    return Parts(small, large)


class Saver(Protocol):
    """The face of what is tested."""

    def begin(self) -> None: ...
    def save(self, number: int, codes: Iterable[types.CodeType], source: str) -> Any: ...
    def restore(self, parts: Any) -> Iterable[Any]: ...
    def check(self, parts: Any, *, whole: bool) -> Iterable[Any]: ...


@dataclass(frozen=True, slots=True)
class Lost:
    name: str
    reason: str


@dataclass(slots=True)
class Delta:
    records: list[tuple[dict[str, Any], list[bytes]]] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)


class StateLost(NameError):
    """What the control raises for a name that it could not keep."""


class Placeholder:
    """Raises when it is used."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_Placeholder__name", name)

    def __getattribute__(self, attribute: str) -> Any:
        name = object.__getattribute__(self, "_Placeholder__name")
        raise StateLost(f"{name} was lost")


def _raise(self: Any, *_: object) -> Any:
    return self.anything


_SPECIAL = "call str repr bool iter len add eq getitem hash next setattr format"
for _one in _SPECIAL.split():
    setattr(Placeholder, f"__{_one}__", _raise)


class PickleEach:
    """The control: one pickle for each name, in one part. It loses aliases and ambient state silently."""

    def __init__(self, main: types.ModuleType) -> None:
        self._main = main
        self._there = False

    def begin(self) -> None:
        self._main.__dict__.setdefault("__builtins__", __builtins__)

    def save(self, number: int, codes: Iterable[types.CodeType], source: str) -> Delta:
        values: dict[str, bytes] = {}
        lost = []
        for name, value in names_of(self._main).items():
            try:
                values[name] = _pickled(value)
            except Exception as error:  # noqa: BLE001 - that is how a pickle says no
                lost.append(Lost(name, f"{type(error).__name__}: {error}"))
        data = pickle.dumps((values, [one.name for one in lost]))
        return Delta([({"put": "group/1", "size": len(data)}, [data])], lost)

    def restore(self, parts: Mapping[str, bytes]) -> list[Lost]:
        values, lost = pickle.loads(parts["group/1"]) if "group/1" in parts else ({}, [])
        self._main.__dict__.update({name: pickle.loads(data) for name, data in values.items()})
        self._main.__dict__.update({name: Placeholder(name) for name in lost})
        return [Lost(name, "") for name in lost]

    def check(self, parts: Mapping[str, bytes], *, whole: bool) -> list[Lost]:
        return []


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, types.ModuleType):
            return importlib.import_module, (value.__name__,)
        return NotImplemented


def _pickled(value: object) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


def make_saver(kind: str, main: types.ModuleType) -> Saver:
    """The saver that is asked for: `product`, `control`, or a peer's."""
    if kind == "control":
        return PickleEach(main)
    if kind != "product":
        from tests.state.harness import peers

        return peers.PEERS[kind](main)
    saver: Saver = importlib.import_module("sandbox.inside.state").Saver(main)
    return saver


def names_of(main: types.ModuleType) -> dict[str, Any]:
    """What a session has put into its namespace; without what every module has."""
    given = {*vars(types.ModuleType("given")), "__builtins__"}
    return {name: value for name, value in vars(main).items() if name not in given}


def lost_names(lost: Iterable[Any]) -> dict[str, str]:
    """Names with their reasons, as text."""
    return {str(one.name): str(one.reason) for one in lost}
