"""What a session should be: the same cells in one process that nothing ever happens to, and the files beside it."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.state.harness import describe
from tests.state.harness.session import Executed
from tests.state.harness.workers import Zygote

from sandbox import Checkpoint

# Runs in a session without leaving a name there: one expression.
_LOOK = "print((lambda names: (exec({source!r}, names), names['look'](globals()))[1])({{'__name__': 'look'}}))"
_FILES = '''
import json, os

def files(top):
    """What is below a directory: the content of files, the names of directories, where links lead, and modes."""
    found = {}
    for where, directories, names in os.walk(top):
        for name in (*directories, *names):
            path = os.path.join(where, name)
            kind = "link" if os.path.islink(path) else "directory" if os.path.isdir(path) else "file"
            what = ""
            if kind == "link":
                what = os.readlink(path)
            elif kind == "file":
                with open(path, "rb") as file:
                    what = file.read().hex()
            found[os.path.relpath(path, top)] = [kind, what, kind != "link" and os.lstat(path).st_mode & 0o7777]
    return found

def look(namespace):
    return json.dumps([describe(namespace), files(".")])
'''
LOOK = _LOOK.format(source=Path(describe.__file__).read_text(encoding="utf-8") + _FILES)


class Written(NamedTuple):
    """A file that came into the workspace otherwise than by a cell; it is gone again if `content` is None."""

    path: str
    content: bytes | None


Lineage = tuple[Executed | Written, ...]


class Saved(NamedTuple):
    """What a checkpoint has. `variables_of`: the execution that left its variables; 0 for one before the session.

    `number`: that of the last execution that led to it.
    """

    lineage: Lineage = ()
    variables_of: int = 0
    number: int = 0

    @property
    def restorable(self) -> bool:
        """Whether there are variables to go back to when a worker has died."""
        return any(isinstance(one, Executed) for one in self.lineage)


class State(NamedTuple):
    """All that can be seen of a session."""

    variables: str
    files: dict[str, Any]

    @classmethod
    def seen(cls, printed: str) -> State:
        """From what LOOK printed."""
        return cls(*json.loads(printed))


class Model:
    """One session: what led to where it is, and to each of its checkpoints. Numbers are those that it should give."""

    def __init__(self, zygote: Zygote, begins: Saved = Saved()) -> None:  # noqa: B008 - a tuple
        self._zygote = zygote
        self.now = begins
        self.number = begins.number  # of the last execution
        self.saved = {0: Saved()}  # by checkpoint
        self.executed: dict[int, Saved] = {}  # by execution
        self.labels: dict[str, int] = {}  # of checkpoints
        self.unsaved = False  # whether there are files of which no checkpoint knows
        self.worker_lives = True

    def cell(self, source: str) -> dict[str, Any] | None:
        """Run a cell; return what it raises."""
        self.number += 1
        self.now = Saved((*self.now.lineage, Executed(self.number, source)), self.number, self.number)
        self.executed[self.number] = self.now
        return outcome(self._zygote, self.now.lineage)[1]

    def died(self, *left: Written) -> None:
        """An execution whose worker has died: only these files are left of what it did."""
        self.number += 1
        self.now = self.executed[self.number] = self.now._replace(
            lineage=(*self.now.lineage, *left), number=self.number
        )

    def write(self, written: Written) -> None:
        self.now = self.now._replace(lineage=(*self.now.lineage, written))
        self.unsaved = True

    def found(self, checkpoints: Sequence[Checkpoint]) -> int:
        """Take in the session's checkpoints, of which the head must be what was done last; return its number."""
        self.take_in(checkpoints)
        head = next((one.number for one in checkpoints if one.current), 0)
        assert self.saved[head] == self.now
        self.unsaved = False
        return head

    def take_in(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Those that are new are of what was done since."""
        for one in checkpoints:
            if one.number not in self.saved:
                self.saved[one.number] = self.now if one.execution is None else self.executed.pop(one.execution)
        assert self.executed == {}, "an execution without a checkpoint"

    def roll_back(self, checkpoint: int) -> None:
        self.now, self.worker_lives, self.unsaved = self.saved[checkpoint], True, False

    def forked(self) -> Model:
        """A fork has the numbers of what led to it, and one checkpoint, which is its beginning."""
        return Model(self._zygote, self.now._replace(variables_of=0))

    def moved(self) -> Model:
        """An import has every checkpoint."""
        copy = Model(self._zygote, self.now)
        copy.number, copy.saved, copy.labels = self.number, dict(self.saved), dict(self.labels)
        return copy

    def state(self) -> State:
        return outcome(self._zygote, self.now.lineage)[0]


@functools.lru_cache(1000)
def outcome(zygote: Zygote, lineage: Lineage) -> tuple[State, dict[str, Any] | None]:
    """Run the cells of a lineage: the state that they lead to, and what the last one raises."""
    error = None
    with tempfile.TemporaryDirectory(prefix="model-") as directory, zygote.worker(Path(directory)) as worker:
        for done in lineage:
            if isinstance(done, Executed):
                error = worker.run(done.source, done.number)
            else:
                _write(Path(directory), done)
        return State(worker.describe(), files_in(directory)), error


def _write(directory: Path, written: Written) -> None:
    if written.content is None:
        (directory / written.path).unlink()
    else:
        (directory / written.path).write_bytes(written.content)


def files_in(directory: str) -> dict[str, Any]:
    """What LOOK says of the files, seen from outside."""
    names: dict[str, Any] = {}
    exec(_FILES, names)
    # As JSON gives it back.
    found: dict[str, Any] = json.loads(json.dumps(names["files"](directory)))
    return found


def readable(state: State) -> str:
    """For people: one line for each name and file."""
    return "\n".join([state.variables, *(f"{path}: {str(what)[:80]}" for path, what in sorted(state.files.items()))])
