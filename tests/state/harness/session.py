"""A session that is run, killed and taken back at will, and the same cells in one process that nothing happens to."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.state.harness.store import Store
from tests.state.harness.workers import Zygote


class Executed(NamedTuple):
    """A cell that was run, with its number in the session: later ones never get it again."""

    number: int
    source: str


class Session:
    """Runs cells and commits each. `lineage` holds the cells that led to the present state."""

    def __init__(self, zygote: Zygote) -> None:
        self._zygote = zygote
        self.store = Store()
        self.lineage: tuple[Executed, ...] = ()
        self.lost: dict[str, str] = {}
        self._lineages: list[tuple[Executed, ...]] = [()]
        self._head = 0
        self._number = 0
        self._now = ExitStack()

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="state-")
        self._workspace = Path(self._directory.name)
        self.restart()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._now.close()
        self._directory.cleanup()
        self.store.close()

    def run(self, source: str) -> dict[str, Any] | None:
        """Run a cell and commit what it changed; return what it raised."""
        self._number += 1
        answer, payload = self._worker.run_and_save(source, self._number)
        self._head = self.store.commit(self._head, answer["records"], payload)
        self.lineage = (*self.lineage, Executed(self._number, source))
        self._lineages.append(self.lineage)
        self.lost |= answer["lost"]
        error: dict[str, Any] | None = answer["error"]
        return error

    def restart(self) -> None:
        """Kill the worker and restore the last checkpoint in a fresh one."""
        self._now.close()
        self._now = ExitStack()
        self._worker = self._now.enter_context(self._zygote.worker(self._workspace))
        self._worker.begin()
        if self._head:
            self.lost |= self._worker.restore(self.store, self.store.manifests[self._head])

    def go_back(self, checkpoint: int) -> None:
        """Go on from an earlier checkpoint, or from the beginning."""
        self._head = checkpoint % len(self.store.manifests)
        self.lineage = self._lineages[self._head]
        self.restart()

    def describe(self) -> str:
        return self._worker.describe()


def run_undisturbed(zygote: Zygote, lineage: Sequence[Executed]) -> tuple[str, list[dict[str, Any] | None]]:
    """Run cells in one process without saving; return its description and what each raised."""
    with tempfile.TemporaryDirectory(prefix="state-") as workspace, zygote.worker(Path(workspace)) as worker:
        errors = [worker.run(source, number) for number, source in lineage]
        return worker.describe(), errors
