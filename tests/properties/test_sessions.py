"""Random cells; deaths of workers, zygotes, engines and their processes; ways back, forks, labels and collections.

Through the public API and with the real engine. After each step variables, what of them is the same object, and files
are those of the same cells in one process that nothing happens to.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from tests.contract.state import Process
from tests.endurance import SECONDS, SOAK
from tests.engine.living import kill_worker, kill_zygote
from tests.properties.machine import Machine, Pair
from tests.properties.model import Written
from tests.state.cells import cells_with_files, cells_without_files
from tests.state.harness.workers import Zygote

from sandbox.cli import sessions as cli
from sandbox.engine.thread import EngineThread
from sandbox.store.store import Store

SLOW_STEPS = 2  # of an example: a zygote warms up again in each
MOST_SESSIONS = 3
FOREVER = "\nprint('on', flush=True)\nwhile True: pass"
DEATHS = {"exits": "os._exit(1)", "aborts": "os.abort()", "is killed": FOREVER.strip()}
ELSEWHERE = """
import json
box = LocalSandbox(session_id=sys.argv[1], timeout=None).start()
for number, source in enumerate(json.loads(sys.argv[3]), int(sys.argv[2]) + 1):
    done = box.run(source, check=False, cache_key=str(number))
    say(json.dumps([done.number, str(done.state), done.exception and done.exception.error_type]))
box.run(sys.argv[4], check=False, on_stdout=say)
"""
choices = st.integers(0, 99)


def and_then(source: str, last: str) -> str:
    """Whether or not the source raises."""
    return "try:\n{}\nfinally:\n    import os\n{}".format(*(indent(text, "    ") for text in (source, last)))


class Sessions(Machine):
    # --- executions and files ---------------------------------------------------------------------------------------

    @rule(choice=choices, source=cells_with_files)
    def run(self, choice: int, source: str) -> None:
        pair = self.pick(choice)
        self.execute(pair, source)
        self.look(pair)

    @rule(choice=choices, sources=st.lists(cells_with_files, min_size=2, max_size=4))
    def run_several(self, choice: int, sources: list[str]) -> None:
        pair = self.pick(choice)
        for source in sources:
            self.execute(pair, source)
        self.look(pair)

    @rule(choice=choices, source=cells_without_files)
    def interrupt(self, choice: int, source: str) -> None:
        """In an endless loop; what came before it stays."""
        pair = self.pick(choice)
        raising = f"{source}\nprint('on', flush=True)\nraise KeyboardInterrupt"
        self.execute(pair, raising, live=source + FOREVER, on_stdout=lambda _text: pair.box.interrupt())
        self.look(pair)

    @rule(choice=choices)
    def look_at_the_live(self, choice: int) -> None:
        self.look_at_the_live_session(self.pick(choice))

    @rule(choice=choices, name=st.sampled_from(["up", "down"]), content=st.sampled_from([b"", b"1", b"22" * 50_000]))
    def write_a_file(self, choice: int, name: str, content: bytes) -> None:
        box, model = self.pick(choice)
        box.files.write(name, content)
        model.write(Written(name, content))

    @rule(choice=choices, name=st.sampled_from(["up", "down"]))
    def remove_a_file(self, choice: int, name: str) -> None:
        box, model = self.pick(choice)
        if box.files.exists(name):
            box.files.remove(name)
            model.write(Written(name, None))

    # --- deaths -----------------------------------------------------------------------------------------------------

    @rule(choice=choices)
    def kill_an_idle_worker(self, choice: int) -> None:
        box, model = self.pick(choice)
        if kill_worker(self.engine, box.session_id):
            model.worker_lives = False

    @rule(choice=choices, source=cells_without_files, how=st.sampled_from(sorted(DEATHS)))
    def run_until_the_worker(self, choice: int, source: str, how: str) -> None:
        """Its variables are those of the execution before, and the files as it left them."""
        pair = self.pick(choice)
        box, model = pair
        left = Written(f"left-{model.number}", b"left")
        live = and_then(f"open('{left.path}', 'wb').write({left.content!r})\n{source}", DEATHS[how])
        done = box.run(live, check=False, on_stdout=lambda _text: kill_worker(self.engine, box.session_id))
        model.died(left)
        assert (done.number, done.status) == (model.number, "crashed")
        back = ("restored", model.now.variables_of) if model.now.restorable else ("lost", None)
        assert (done.state, done.state.restored_to) == back
        model.worker_lives = True  # it has been told
        model.found(box.checkpoints())
        self.look(pair)

    def may_be_slow(self) -> bool:
        return self.slow_steps < SLOW_STEPS

    @rule()
    @precondition(may_be_slow)
    def kill_the_zygote(self) -> None:
        self.slow_steps += 1
        killed = kill_zygote(self.engine, [box.session_id for box, _ in self.pairs])
        for box, model in self.pairs:
            model.worker_lives = model.worker_lives and box.session_id not in killed

    @rule()
    @precondition(may_be_slow)
    def restart_the_engine(self) -> None:
        self.slow_steps += 1
        self.engine.close()
        self.engine = EngineThread()
        self.pairs = [Pair(self.open(box.session_id), model) for box, model in self.pairs]
        for pair in self.pairs:
            self.reopened(pair)

    @rule(choice=choices)
    def stop_and_start(self, choice: int) -> None:
        pair = self.pick(choice)
        pair.box.stop()
        pair.box.start()
        self.reopened(pair)

    def reopened(self, pair: Pair) -> None:
        pair.model.worker_lives = True
        pair.model.found(pair.box.checkpoints())
        self.look(pair)

    @rule(choice=choices, sources=st.lists(cells_with_files, min_size=1, max_size=3), last=cells_without_files)
    @precondition(may_be_slow)
    def kill_another_process_that_goes_on(self, choice: int, sources: list[str], last: str) -> None:
        """What it had an answer for is there. What it was in the middle of has never been."""
        self.slow_steps += 1
        pair = self.pick(choice)
        box, model = pair
        box.save_session()
        model.found(box.checkpoints())
        box.stop()
        half = and_then(f"open('half', 'w').close()\n{last}", DEATHS["is killed"])
        with Process(ELSEWHERE, box.session_id, model.number, json.dumps(sources), half) as process:
            for source in sources:
                expected = model.cell(source)
                assert json.loads(process.line()) == [model.number, "kept", expected and expected["type"]]
            assert process.line() == "on"
            process.kill()
        box.start()
        self.reopened(pair)

    # --- time travel ------------------------------------------------------------------------------------------------

    @rule(choice=choices, to=choices)
    def roll_back_to_a_checkpoint(self, choice: int, to: int) -> None:
        pair = self.pick(choice)
        known = pair.box.checkpoints()
        chosen = known[to % len(known)]
        self.roll_back(pair, chosen, chosen.number)

    @rule(choice=choices, to=choices)
    def roll_back_to_an_execution(self, choice: int, to: int) -> None:
        pair = self.pick(choice)
        known = {0: 0} | {one.execution: one.number for one in pair.box.checkpoints() if one.execution is not None}
        chosen = sorted(known)[to % len(known)]
        self.roll_back(pair, chosen, known[chosen])

    @rule(choice=choices, to=choices)
    def roll_back_to_a_label(self, choice: int, to: int) -> None:
        pair = self.pick(choice)
        assume(pair.model.labels)
        chosen = sorted(pair.model.labels)[to % len(pair.model.labels)]
        self.roll_back(pair, chosen, pair.model.labels[chosen])

    def roll_back(self, pair: Pair, to: Any, number: int) -> None:
        box, model = pair
        box.rollback(to)
        every = box.checkpoints()
        model.take_in(every)  # what was not saved yet has been saved before
        model.roll_back(number)
        assert model.found(every) == number
        self.look(pair)

    @rule(choice=choices)
    def label(self, choice: int) -> None:
        box, model = self.pick(choice)
        self.made += 1
        label = f"label {self.made}"
        made = box.checkpoint(label)
        assert model.found(box.checkpoints()) == made.number
        model.labels = {text: number for text, number in model.labels.items() if number != made.number}
        model.labels[label] = made.number
        assert {one.label: one.number for one in box.checkpoints() if one.label} == model.labels

    @rule(choice=choices)
    def fork(self, choice: int) -> None:
        box, model = self.pick(choice)
        assume(len(self.pairs) < MOST_SESSIONS)
        (child,) = box.fork()
        model.found(box.checkpoints())
        pair = Pair(child, model.forked())
        pair.model.found(child.checkpoints())
        self.pairs.append(pair)
        self.look(pair)

    @rule(choice=choices)
    def move(self, choice: int) -> None:
        """Through an archive, as to another machine."""
        box, model = self.pick(choice)
        assume(len(self.pairs) < MOST_SESSIONS)
        box.save_session()
        model.found(box.checkpoints())
        self.made += 1
        with Store(self.home / "store") as store:
            archive = box.export(self.home / f"{self.made}.sandbox")
            store.import_session(archive, owner="local", session=f"moved-{self.made}")
        pair = Pair(self.open(f"moved-{self.made}"), model.moved())
        self.pairs.append(pair)
        self.look(pair)

    @rule(choice=choices)
    def delete(self, choice: int) -> None:
        assume(len(self.pairs) > 1)
        pair = self.pick(choice)
        pair.box.delete()
        self.pairs.remove(pair)

    @rule()
    def collect(self) -> None:
        assert cli.main(["gc"]) == 0


@pytest.mark.timeout(SECONDS)
def test_whatever_is_done_and_dies_a_session_is_what_its_cells_made(
    own_home: Path, zygote: Zygote, capsys: pytest.CaptureFixture[str]
) -> None:
    begin: Any = partial(Sessions, own_home, zygote)
    run_state_machine_as_test(
        begin,
        settings=settings(
            max_examples=5 * SOAK,
            stateful_step_count=14,
            deadline=None,
            phases=[phase for phase in Phase if phase is not Phase.shrink or SOAK > 1],  # it takes minutes
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
