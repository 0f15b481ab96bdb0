"""A process with a session that a peer saves after each cell: `python saved_session.py dill|kishu DIRECTORY`.

It runs with the interpreter of the peers' environment, so it imports nothing of ours. Requests and answers are lines
of JSON on standard input and on what was standard output, which cells do not get.
"""

from __future__ import annotations

import json
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

_DUMP = "session.pkl"


class Session(Protocol):
    def run(self, code: str) -> float:
        """Run a cell and save; return the seconds that saving took, before the cell and after it."""

    def stored(self) -> int:
        """The bytes of all restore points so far."""

    def restore(self, directory: Path) -> float:
        """Load what was saved last into a directory over what is there; return the seconds that it took."""

    def evaluate(self, expression: str) -> str:
        """The text of a value in the session; nothing is saved."""


class Dill:
    """A whole dump for each cell: each is a restore point of its own, and only the last is kept on the disk here."""

    def __init__(self, directory: Path) -> None:
        # dill takes the main module when it is imported: an empty one, without this program's names.
        self._main = sys.modules["__main__"] = types.ModuleType("__main__")
        import dill

        self._dill, self._path, self._stored = dill, directory / _DUMP, 0

    def run(self, code: str) -> float:
        exec(compile(code, "<cell>", "exec"), self._main.__dict__)
        self._path.unlink(missing_ok=True)
        begin = time.perf_counter()
        self._dill.dump_session(self._path)
        seconds = time.perf_counter() - begin
        self._stored += self._path.stat().st_size
        self._settle()
        return seconds

    def _settle(self) -> None:
        """Wait for the disk, which dill does not: else it would be busy with the dump in another side's turn."""
        with self._path.open("rb") as file:
            os.fsync(file.fileno())

    def stored(self) -> int:
        return self._stored

    def restore(self, directory: Path) -> float:
        begin = time.perf_counter()
        self._dill.load_session(directory / _DUMP)
        return time.perf_counter() - begin

    def evaluate(self, expression: str) -> str:
        return repr(eval(expression, self._main.__dict__))


class Kishu:
    """Its hooks around the cells of an IPython shell, as it installs them itself, but without a browser's notebook."""

    def __init__(self, directory: Path) -> None:
        notebook = directory / "session.ipynb"
        # Before its import, which reads them. The test mode is what does without a browser, and names its commits.
        os.environ |= {
            "KISHU_PATH_ROOT": str(directory),
            "IPYTHONDIR": str(directory),
            "ENV_KISHU_TEST_MODE": "1",
            "TEST_NOTEBOOK_PATH": str(notebook),
        }
        from IPython.core.interactiveshell import InteractiveShell
        from kishu import jupyterint
        from kishu.notebook_id import NotebookId

        jupyterint.enclosing_platform = lambda: "jupyterlab"  # it would ask the browser
        notebook.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
        self._shell: Any = InteractiveShell.instance()
        self._kishu: Any = jupyterint.KishuForJupyter(NotebookId("session", notebook, "none"), ip=self._shell)
        self._shell.user_ns[jupyterint.KISHU_INSTRUMENT] = self._kishu
        self._seconds, self._failed = 0.0, ""
        self._shell.events.register("pre_run_cell", self._timed(self._kishu.pre_run_cell))
        self._shell.events.register("post_run_cell", self._timed(self._kishu.post_run_cell))

    def _timed(self, hook: Callable[[Any], None]) -> Callable[[Any], None]:
        def timed(told: Any) -> None:
            begin = time.perf_counter()
            try:
                hook(told)
            except Exception as error:  # noqa: BLE001 - the shell would print it and go on
                self._failed = f"{type(error).__name__}: {error}"
            self._seconds += time.perf_counter() - begin

        return timed

    def run(self, code: str) -> float:
        self._seconds = 0.0
        result = self._shell.run_cell(code, store_history=True)
        if self._failed or not result.success:
            raise RuntimeError(self._failed or f"the cell failed: {result.error_in_exec or result.error_before_exec}")
        return self._seconds

    def stored(self) -> int:
        return sum(path.stat().st_size for path in self._kishu.database_path().parent.glob("*.kishudb*"))

    def restore(self, directory: Path) -> float:
        raise RuntimeError(f"kishu goes back within a session that runs, and loads none from {directory}")

    def evaluate(self, expression: str) -> str:
        return repr(eval(expression, dict(self._shell.user_ns)))


def serve(session: Session, answers: int) -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = _answer(session, request)
        except Exception as error:  # noqa: BLE001 - whoever asked is told, and ends us
            answer = {"error": f"{type(error).__name__}: {error}"}
        os.write(answers, json.dumps(answer).encode() + b"\n")


def _answer(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    match request["do"]:
        case "run":
            seconds = session.run(request["code"])
            return {"seconds": seconds, "stored": session.stored()}
        case "restore":
            return {"seconds": session.restore(Path(request["directory"]))}
        case _:
            return {"text": session.evaluate(request["expression"])}


def main(peer: str, directory: str) -> None:
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what cells print and show
    session: Session = Dill(Path(directory)) if peer == "dill" else Kishu(Path(directory))
    os.write(answers, b"{}\n")
    serve(session, answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
