"""Other libraries behind the face of a saver, so that the same corpus says what they keep."""

from __future__ import annotations

import io
import json
import types
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from tests.state.harness.savers import Delta, Lost, Placeholder, Saver, names_of


class _Whole:
    """One part with everything. If that cannot be made, all names of the session are lost, and are said to be."""

    def __init__(self, main: types.ModuleType) -> None:
        self._main = main

    def begin(self) -> None: ...

    def save(self, number: int, codes: Iterable[types.CodeType], source: str) -> Delta:
        try:
            data = self.dump()
        except Exception as error:  # noqa: BLE001 - whatever the library says, it has not kept the session
            names = list(names_of(self._main))
            lost = [Lost(name, f"{type(error).__name__}: {error}") for name in names]
            return Delta([_put("cells", json.dumps(names).encode()), _put("group/1", b"")], lost)
        return Delta([_put("cells", b"[]"), _put("group/1", data)], [])

    def restore(self, parts: Mapping[str, bytes]) -> list[Lost]:
        if parts.get("group/1"):
            self.load(parts["group/1"])
        lost = json.loads(parts.get("cells", b"[]"))
        self._main.__dict__.update({name: Placeholder(name) for name in lost})
        return [Lost(name, "") for name in lost]

    def check(self, parts: Mapping[str, bytes], *, whole: bool) -> list[Lost]:
        return []

    def dump(self) -> bytes:
        raise NotImplementedError

    def load(self, data: bytes) -> None:
        raise NotImplementedError


def _put(key: str, data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    return {"put": key, "size": len(data)}, [data]


class DillSession(_Whole):
    """dill.dump_module of the main module."""

    def dump(self) -> bytes:
        file = io.BytesIO()
        import_module("dill").dump_module(file, self._main)
        return file.getvalue()

    def load(self, data: bytes) -> None:
        import_module("dill").load_module(io.BytesIO(data), self._main)


class CloudpickleDict(_Whole):
    """cloudpickle of one dict of all names."""

    def dump(self) -> bytes:
        data: bytes = import_module("cloudpickle").dumps(names_of(self._main))
        return data

    def load(self, data: bytes) -> None:
        import pickle

        self._main.__dict__.update(pickle.loads(data))


PEERS: dict[str, Callable[[types.ModuleType], Saver]] = {"dill": DillSession, "cloudpickle": CloudpickleDict}
