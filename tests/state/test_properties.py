"""Random cells, kills, and ways back: the state is always that of the same cells in one undisturbed process."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.state.cells import START, cells
from tests.state.harness.session import Executed, Session, run_undisturbed
from tests.state.harness.workers import Zygote

steps = st.lists(st.one_of(cells, cells, cells, st.just("restart"), st.integers(0, 1000)), min_size=3, max_size=14)


def follow(zygote: Zygote, taken: list[Any]) -> None:
    """Take the steps; compare each error, the live state, and the state after one more restart, with the model's."""
    with Session(zygote) as session:
        errors = {1: session.run(START)}
        for step in taken:
            if step == "restart":
                session.restart()
            elif isinstance(step, int):
                session.go_back(step)
            else:
                error = session.run(step)
                errors[session.lineage[-1].number] = error
        expected, expected_errors = run_undisturbed(zygote, session.lineage)
        assert session.lost == {}
        assert [errors[one.number] for one in session.lineage] == expected_errors
        assert session.describe() == expected
        session.restart()
        assert session.describe() == expected
        event(f"{len(session.lineage)} cells led there")


@pytest.mark.timeout(300)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(taken=steps)
def test_any_cells_kills_and_ways_back_give_the_state_of_an_undisturbed_run(zygote: Zygote, taken: list[Any]) -> None:
    follow(zygote, taken)


def test_the_model_tells_a_lost_alias(control: Zygote) -> None:
    with Session(control) as session:
        session.run("a = [1]\nb = a")
        session.restart()
        expected, _ = run_undisturbed(control, session.lineage)
        assert expected == "a = #0 list [1]\nb = #0"
        assert session.describe() == "a = #0 list [1]\nb = #1 list [1]"


def test_the_model_tells_memory_that_is_shared_no_more(control: Zygote) -> None:
    with Session(control) as session:
        session.run("import numpy as np\na = np.arange(3.0)\nb = a[1:]\ndel np")
        session.restart()
        expected, _ = run_undisturbed(control, session.lineage)
        assert "arrays 0 and 1 share memory" in expected
        assert "share memory" not in session.describe()


def test_going_back_forgets_the_cells_after_it_and_numbers_go_on(control: Zygote) -> None:
    with Session(control) as session:
        for source in ("a = 1", "a = 2", "a = 3"):
            session.run(source)
        session.go_back(1)
        session.run("a += 10")
        session.restart()
        assert session.describe() == "a = 11"
        assert [one.number for one in session.lineage] == [1, 4]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sources=st.lists(cells, min_size=1, max_size=12))
def test_the_model_says_the_same_of_the_same_cells(control: Zygote, sources: list[str]) -> None:
    lineage = [Executed(number, source) for number, source in enumerate([START, *sources], 1)]
    assert run_undisturbed(control, lineage) == run_undisturbed(control, lineage)
