"""Runs a case: cells in one process, saved after each; checks in a fresh one. Says what survived."""

from __future__ import annotations

import ast
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.state.corpus.case import Case, raises
from tests.state.harness.link import Closed
from tests.state.harness.store import BadDelta, Store
from tests.state.harness.workers import HarnessError, WorkerHandle, Zygote


@dataclass(frozen=True, slots=True)
class Outcome:
    """`kept`; `lost`: not kept, and reported by name when it was saved; `wrong`: not kept, and not said."""

    status: str
    lost: dict[str, str] = field(default_factory=dict)
    detail: str = ""

    def is_as_expected(self, case: Case) -> bool:
        """Whether all was kept, or nothing was lost but what cannot be kept."""
        return self.status == "kept" or (self.status == "lost" and set(self.lost) <= case.lost)


class UnsoundCase(Exception):
    """The case itself does not hold, in plain Python and without any saving."""


@contextmanager
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="state-") as path:
        yield Path(path).resolve()


def run_plainly(zygote: Zygote, case: Case) -> None:
    """Cells, then checks, in one process and without saving. Raises UnsoundCase unless all of it holds."""
    for checks in {case.checks, case.still}:
        _run_plainly(zygote, case, (*case.cells, *checks))


def _run_plainly(zygote: Zygote, case: Case, cells: Sequence[str]) -> None:
    with directory() as workspace, zygote.worker(workspace) as worker:
        for number, cell in enumerate(cells, 1):
            error = worker.run(cell, number)
            if (error is not None) != raises(cell):
                raise UnsoundCase(f"{case}: cell {number} raised {error}:\n{cell}")


def checks_hold_without_state(zygote: Zygote, case: Case) -> bool:
    """Whether the checks hold in a fresh process too: then they say nothing."""
    with directory() as workspace, zygote.worker(workspace) as worker:
        return not any(worker.run(check, number) for number, check in enumerate(case.checks, 1))


class Failed(Exception):
    """A cell raised, or did not, against what it should."""

    def __init__(self, error: dict[str, Any] | None, cell: str) -> None:
        self.error, self.cell = error, cell
        super().__init__(f"{error and error['type']}: {error and error['text']} at: {self.statement()}")

    def statement(self) -> str:
        """The statement of the cell in which it was raised."""
        line: int | None = self.error["line"] if self.error else None
        for node in ast.parse(self.cell).body:
            if line is not None and node.lineno <= line <= (node.end_lineno or line):
                return ast.unparse(node)
        return self.cell

    def is_about(self, lost: dict[str, str]) -> bool:
        """Whether a reported loss explains it: it says so itself, or the statement uses a name of them."""
        if self.error and self.error["type"] == "StateLost":
            return any(name in self.error["text"] for name in lost)
        words = set(re.findall(r"\w+", self.statement()))
        return any(set(name.split(".")) & words for name in lost)


class Wrong(Exception):
    """Something was not kept and not reported, or reported and not so."""


def _expect(condition: object, text: str) -> None:
    if not condition:
        raise Wrong(text)


class Run:
    """One run of a case, with its store and its workspace's content at each checkpoint."""

    def __init__(self, zygote: Zygote, case: Case, folder: Path) -> None:
        self._zygote, self._case = zygote, case
        self.workspace = folder / "workspace"
        self._copies = folder / "copies"
        self.workspace.mkdir()
        self.store = Store()
        self.lost: dict[int, dict[str, str]] = {0: {}}
        self._verified = {0}
        self._copy(0)

    @property
    def last(self) -> int:
        return len(self.store.manifests) - 1

    @contextmanager
    def fresh(self, checkpoint: int) -> Iterator[WorkerHandle]:
        """A fresh worker that has a checkpoint's state and files."""
        self._verify(checkpoint)
        shutil.rmtree(self.workspace)
        shutil.copytree(self._copies / str(checkpoint), self.workspace, symlinks=True)
        with self._zygote.worker(self.workspace) as worker:
            worker.begin()
            if checkpoint:
                lost = worker.restore(self.store, self.store.manifests[checkpoint])
                _expect(set(lost) <= set(self.lost[checkpoint]), f"lost only when it was restored: {lost}")
            yield worker

    def execute(self, worker: WorkerHandle, parent: int, number: int) -> int:
        """Run cell `number`, counted from 1, and commit what it changed to its parent; return the new checkpoint."""
        cell = self._case.cells[number - 1]
        answer, payload = worker.run_and_save(cell, number)
        error = answer["error"]
        if (error is not None) != raises(cell):
            raise Failed(error, cell)
        checkpoint = self.store.commit(parent, answer["records"], payload)
        self.lost[checkpoint] = answer["lost"]
        self._copy(checkpoint)
        return checkpoint

    def numbers(self) -> range:
        return range(1, len(self._case.cells) + 1)

    def reported(self) -> dict[str, str]:
        """Everything that was reported as lost, at any checkpoint."""
        return {name: reason for lost in self.lost.values() for name, reason in lost.items()}

    def judge(self, checkpoint: int) -> Outcome:
        """Whether a checkpoint has everything, in a fresh worker. Raises Failed or Wrong if not."""
        self._verify(checkpoint)
        lost = self.lost[checkpoint]
        with self.fresh(checkpoint) as worker:
            for name in lost:
                self._expect_loud(worker, name)
            try:
                self._run_checks(worker, self._case.checks)
            except Failed as failed:
                _expect(failed.is_about(lost), f"not reported: {failed}")
        with self.fresh(checkpoint) as worker:
            self._run_checks(worker, self._case.still)
        return Outcome("lost" if lost else "kept", lost)

    def close(self) -> None:
        self.store.close()

    def _run_checks(self, worker: WorkerHandle, checks: Sequence[str]) -> None:
        for number, check in enumerate(checks, len(self._case.cells) + 1):
            error = worker.run(check, number)
            if error is not None:
                raise Failed(error, check)

    def _expect_loud(self, worker: WorkerHandle, name: str) -> None:
        if name.isidentifier():
            quiet = worker.touch(name)
            _expect(not quiet, f"{name} was lost, and these do not raise StateLost: {quiet}")

    def _verify(self, checkpoint: int) -> None:
        """Load a checkpoint in a spare worker, as is done right after a save; what fails is reported then."""
        if checkpoint in self._verified:
            return
        self._verified.add(checkpoint)
        if self._check(checkpoint, whole=False):
            self.lost[checkpoint] |= self._check(checkpoint, whole=True)

    def _check(self, checkpoint: int, *, whole: bool) -> dict[str, str]:
        with self._zygote.worker(self.workspace) as spare:
            spare.begin()
            return spare.check(self.store, self.store.manifests[checkpoint], whole=whole)

    def _copy(self, checkpoint: int) -> None:
        shutil.copytree(self.workspace, self._copies / str(checkpoint), symlinks=True)


Way = Callable[[Run], int]


def survive(zygote: Zygote, case: Case, way: Way) -> Outcome:
    """Go a way through the case's cells, then judge its last checkpoint in a fresh worker."""
    with directory() as folder, closing(Run(zygote, case, folder)) as run:
        try:
            return run.judge(way(run))
        except Failed as failed:
            lost = run.reported()
            return Outcome("lost" if failed.is_about(lost) else "wrong", lost, str(failed))
        except (Wrong, BadDelta, HarnessError, Closed, TimeoutError) as error:
            return Outcome("wrong", run.reported(), f"{type(error).__name__}: {error}")


def in_one_process(run: Run) -> int:
    """All cells in one process, saved after each."""
    checkpoint = 0
    with run.fresh(0) as worker:
        for number in run.numbers():
            checkpoint = run.execute(worker, checkpoint, number)
    return checkpoint


def in_a_process_each(run: Run) -> int:
    """Each cell in a process of its own, which restores what the one before it left."""
    checkpoint = 0
    for number in run.numbers():
        with run.fresh(checkpoint) as worker:
            checkpoint = run.execute(worker, checkpoint, number)
    return checkpoint


def back_to_each(run: Run) -> int:
    """All cells in one process; then back to each checkpoint before the last, and on from there to the end."""
    last = in_one_process(run)
    for parent in range(1, last):
        checkpoint = parent
        with run.fresh(parent) as worker:
            for number in range(parent + 1, last + 1):
                checkpoint = run.execute(worker, checkpoint, number)
        run.judge(checkpoint)
    return last


WAYS: dict[str, Way] = {
    "in one process": in_one_process,
    "in a process each": in_a_process_each,
    "back to each": back_to_each,
}
