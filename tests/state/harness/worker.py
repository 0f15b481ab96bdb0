"""A worker of the harness: runs cells in a module `__main__`, saves after each, restores; answers one socket."""

from __future__ import annotations

import sys
import traceback
import types
from collections.abc import Sequence
from typing import Any

from tests.state.harness.describe import describe
from tests.state.harness.link import Link
from tests.state.harness.savers import lost_names, make_saver
from tests.state.harness.savers import parts as make_parts

from sandbox.inside.python.cells import Cell, Cells

# Each has to raise for a name whose value was lost. (What merely loads a name cannot be caught in a plain dict.)
TOUCHES = [
    *("{}.attribute", "{}()", "str({})", "repr({})", "bool({})", "iter({})", "len({})", "hash({})", "next({})"),
    *("{} + 1", "{} == 1", "{}[0]", "isinstance({}, int)", "{}.attribute = 1", "f'{{{}}}'", "{0} in [1]"),
]


class Worker:
    """Serves requests until the socket closes. A request's name is a method's."""

    def __init__(self, link: Link, saver: str) -> None:
        self._link = link
        self.main = types.ModuleType("__main__")
        sys.modules["__main__"] = self.main
        self._cells = Cells()
        self._saver = make_saver(saver, self.main)

    def serve(self) -> None:
        while True:
            message, payload, fds = self._link.receive()
            try:
                answer, pieces = getattr(self, message.pop("do"))(**message, payload=payload, fds=fds)
            except BaseException:  # noqa: BLE001 - the harness reports it as its own failure, with where
                answer, pieces = {"broken": traceback.format_exc(limit=-12)}, []
            self._link.send(answer, pieces)

    def begin(self, **_: object) -> tuple[dict[str, Any], list[Any]]:
        self._saver.begin()
        return {}, []

    def run(self, source: str, number: int, **_: object) -> tuple[dict[str, Any], list[Any]]:
        """Run a cell without saving."""
        return self._run(source, number)[0], []

    def run_and_save(self, source: str, number: int, **_: object) -> tuple[dict[str, Any], list[Any]]:
        answer, codes = self._run(source, number)
        delta = self._saver.save(number, codes, source)
        records = list(delta.records)
        answer |= {"records": [header for header, _ in records], "lost": lost_names(delta.lost)}
        return answer, [piece for _, pieces in records for piece in pieces]

    def restore(self, parts: dict[str, Any], payload: bytes, fds: Sequence[int]) -> tuple[dict[str, Any], list[Any]]:
        return {"lost": lost_names(self._saver.restore(make_parts(parts, payload, fds)))}, []

    def check(
        self, parts: dict[str, Any], payload: bytes, fds: Sequence[int], *, whole: bool = False
    ) -> tuple[dict[str, Any], list[Any]]:
        return {"lost": lost_names(self._saver.check(make_parts(parts, payload, fds), whole=whole))}, []

    def check_whole(self, **given: Any) -> tuple[dict[str, Any], list[Any]]:
        return self.check(**given, whole=True)

    def touch(self, name: str, **_: object) -> tuple[dict[str, Any], list[Any]]:
        """Use a lost name in every way; answer which did not raise StateLost with the name in its text."""
        quiet = [touch for touch in TOUCHES if not self._is_loud(touch.format(name), name)]
        return {"quiet": quiet}, []

    def describe(self, **_: object) -> tuple[dict[str, Any], list[Any]]:
        return {}, [describe(self.main.__dict__).encode()]

    def _is_loud(self, statement: str, name: str) -> bool:
        try:
            exec(statement, self.main.__dict__)
        except BaseException as error:  # noqa: BLE001
            return type(error).__name__ == "StateLost" and name in str(error)
        return False

    def _run(self, source: str, number: int) -> tuple[dict[str, Any], list[types.CodeType]]:
        cell = Cell(None, None)
        try:
            cell, _ = self._cells.get(source, f"<cell {number}>", str(number))
            self._execute(cell)
            error = None
        except BaseException as raised:  # noqa: BLE001 - whatever a cell raises is its result
            error = _failure(raised, f"<cell {number}>")
        return {"error": error}, [code for code in cell if code is not None]

    def _execute(self, cell: Cell) -> None:
        for code in cell:
            if code is not None:
                exec(code, self.main.__dict__)


def _failure(error: BaseException, filename: str) -> dict[str, Any]:
    """What a cell raised, and the line of the cell that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == filename]
    try:
        text = str(error)
    except Exception as unprintable:  # noqa: BLE001 - it is the user's code
        text = f"(its text raised {type(unprintable).__name__})"
    return {"type": type(error).__name__, "text": text[:2000], "line": lines[0] if lines else None}
