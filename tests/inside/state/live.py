"""A session in the process of the test: cells are run and saved, and their records applied to a mapping of parts."""

from __future__ import annotations

import json
import sys
import types
from typing import Any

from sandbox.inside.state import Delta, Lost, Saver


class Live:
    """Runs cells in `main` and keeps what a store would have."""

    def __init__(self, main: types.ModuleType) -> None:
        self.main = main
        self.saver = Saver(main)
        self.saver.begin()
        self.parts: dict[str, bytes] = {}
        self._number = 0

    def run(self, source: str) -> Delta:
        """Run a cell, save, and apply the delta; return it."""
        self._number += 1
        code = compile(source, f"<cell {self._number}>", "exec")
        try:
            exec(code, self.main.__dict__)
        finally:
            delta = self.saver.save(self._number, [code], source)
            self._take(delta)
        return delta

    def check(self, bad: dict[str, str] | None = None, *, whole: bool = True) -> list[Lost]:
        """What a spare worker finds that does not load. `trying` has the names that it took up, in order."""
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        self.trying: list[list[str]] = []
        try:
            saver = Saver(main)
            saver.begin()
            return saver.check(self.parts, whole=whole, trying=self.trying.append, bad=bad)
        finally:
            sys.modules["__main__"] = self.main

    def tried(self, lost: list[Lost]) -> Delta:
        """Tell the session what was found, and apply what it makes of it."""
        delta = self.saver.tried(self._number, lost)
        self._take(delta)
        return delta

    def _take(self, delta: Delta) -> None:
        for header, pieces in delta.records:
            self._apply(header, b"".join(bytes(memoryview(piece).cast("B")) for piece in pieces))

    def fresh(self) -> tuple[dict[str, Any], list[Lost]]:
        """The namespace of a fresh session that has restored the parts, and what it has lost."""
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        saver = Saver(main)
        saver.begin()
        return main.__dict__, saver.restore(self.parts)

    @property
    def index(self) -> dict[str, Any]:
        index: dict[str, Any] = json.loads(self.parts["index"])
        return index

    def _apply(self, header: dict[str, Any], payload: bytes) -> None:
        if "put" in header:
            assert len(payload) == header["size"]
            self.parts[header["put"]] = payload
        elif "drop" in header:
            del self.parts[header["drop"]]
        else:
            part = bytearray(self.parts[header["patch"]])
            assert len(part) == header["size"]
            for offset, length in header["ranges"]:
                part[offset : offset + length], payload = payload[:length], payload[length:]
            assert not payload
            self.parts[header["patch"]] = bytes(part)


def keys(delta: Delta) -> list[str]:
    """What a delta is about, without its sizes."""
    return [
        f"{verb} {header[verb]}" for header, _ in delta.records for verb in ("put", "patch", "drop") if verb in header
    ]
