"""Sessions beside their models: how they are run, and what holds after each step."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis.stateful import RuleBasedStateMachine
from tests.conftest import Leaks
from tests.properties.model import LOOK, Model, State, files_in, readable
from tests.state.cells import START_WITH_FILES
from tests.state.harness.workers import Zygote

from sandbox.engine.thread import EngineThread
from sandbox.store.store import Store
from sandbox.sync import LocalSandbox
from sandbox.sync.execution import Execution


class Pair(NamedTuple):
    """A session and its model."""

    box: LocalSandbox
    model: Model


def check(looked: Execution, expected: State) -> None:
    """Compare what LOOK has printed. First as text, of which people see the difference."""
    found = State.seen(looked.stdout)
    assert readable(found) == readable(expected)
    assert found == expected


class Machine(RuleBasedStateMachine):
    """Has no rules. `home`: where each example has a data directory. `zygote` forks the models' workers."""

    def __init__(self, home: Path, zygote: Zygote) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(dir=home))  # what a failure leaves must not be in the way of the next example
        self.home.chmod(0o711)
        os.environ["SANDBOX_HOME"] = str(self.home)
        self.made = self.slow_steps = 0
        self.before = Leaks()
        self.engine = EngineThread()
        self.pairs = [Pair(self.open(), Model(zygote))]
        self.execute(self.pairs[0], START_WITH_FILES)

    def open(self, session_id: str | None = None) -> LocalSandbox:
        return LocalSandbox(engine=self.engine, timeout=None, session_id=session_id).start()

    def teardown(self) -> None:
        """Look at everything; but where an example has failed, that is what is to be told."""
        try:
            if sys.exc_info()[0] is None:
                self.look_at_everything()
        finally:
            self.engine.close()
        assert list((self.home / "run").iterdir()) == []
        assert Leaks().since(self.before) == {}, Leaks().since(self.before)

    def look_at_everything(self) -> None:
        for pair in self.pairs:
            self.look(pair)
            self.look_at_the_live_session(pair)
        with Store(self.home / "store") as store:
            assert store.verify().ok
        for pair in self.pairs:
            pair.box.delete()

    def execute(self, pair: Pair, source: str, *, live: str | None = None, **how: Any) -> None:
        """Run a cell in both; `live` does the same."""
        restorable = pair.model.now.restorable
        expected = pair.model.cell(source)
        done = pair.box.run(live or source, check=False, cache_key=f"{pair.model.number}", **how)
        assert (done.exception and done.exception.error_type) == (expected and expected["type"])
        self.executed(pair, done, could_be_restored=restorable)

    def executed(self, pair: Pair, done: Execution, *, could_be_restored: bool) -> None:
        """What holds for every execution whose worker lives."""
        box, model = pair
        assert (done.number, done.state.lost_names) == (model.number, ())
        if model.worker_lives:
            assert (done.state, done.warnings) == ("kept", ())
        else:
            (warning,) = done.warnings
            assert "lost" in warning
            assert done.state == ("restored" if could_be_restored else "lost")
        model.worker_lives = True
        model.found(box.checkpoints())

    def look(self, pair: Pair) -> None:
        """Compare what is stored: in a fork, so that the session itself is not touched."""
        box, model = pair
        expected = model.state()
        assert box._opened is not None
        assert files_in(box._opened.workspace_dir) == expected.files
        if model.unsaved:
            return  # a fork would save it
        (fork,) = box.fork()
        try:
            check(fork.run(LOOK), expected)
        finally:
            fork.delete()

    def look_at_the_live_session(self, pair: Pair) -> None:
        """As an execution of its own, which makes all that it describes be looked at for changes."""
        expected, restorable = pair.model.state(), pair.model.now.restorable
        pair.model.cell("")
        done = pair.box.run(LOOK)
        check(done, expected)
        self.executed(pair, done, could_be_restored=restorable)

    def pick(self, choice: int) -> Pair:
        return self.pairs[choice % len(self.pairs)]
