"""Other libraries behind the face of a saver, so that the same corpus says what they keep."""

from __future__ import annotations

import io
import types
from collections.abc import Callable, Iterable, Mapping

from tests.state.harness.savers import Delta, Lost, Saver


class _Whole:
    """One part with everything. If that cannot be made, all names of the session are lost, and are said to be."""

    def __init__(self, main: types.ModuleType) -> None:
        self._main = main

    def begin(self) -> None: ...

    def save(self, number: int, codes: Iterable[types.CodeType], source: str) -> Delta:
        try:
            data = self.dump()
        except Exception as error:  # noqa: BLE001 - whatever the library says, it has not kept the session
            names = [name for name in self._main.__dict__ if not name.startswith("__")]
            return Delta([], [Lost(name, f"{type(error).__name__}: {error}") for name in names])
        return Delta([({"put": "group/1", "size": len(data)}, [data])], [])

    def restore(self, parts: Mapping[str, bytes]) -> list[Lost]:
        if "group/1" in parts:
            self.load(parts["group/1"])
        return []

    def check(self, parts: Mapping[str, bytes]) -> list[Lost]:
        return []

    def dump(self) -> bytes:
        raise NotImplementedError

    def load(self, data: bytes) -> None:
        raise NotImplementedError


class DillSession(_Whole):
    """dill.dump_module of the main module."""

    def dump(self) -> bytes:
        import dill

        file = io.BytesIO()
        dill.dump_module(file, self._main)
        return file.getvalue()

    def load(self, data: bytes) -> None:
        import dill

        dill.load_module(io.BytesIO(data), self._main)


class CloudpickleDict(_Whole):
    """cloudpickle of one dict of all names."""

    def dump(self) -> bytes:
        import cloudpickle

        held = {name: value for name, value in self._main.__dict__.items() if not name.startswith("__")}
        data: bytes = cloudpickle.dumps(held)
        return data

    def load(self, data: bytes) -> None:
        import pickle

        self._main.__dict__.update(pickle.loads(data))


PEERS: dict[str, Callable[[types.ModuleType], Saver]] = {"dill": DillSession, "cloudpickle": CloudpickleDict}
