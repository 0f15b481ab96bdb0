"""The harness can tell what was kept, what was reported as lost, and what is silently wrong."""

from __future__ import annotations

import pytest
from tests.state.corpus.case import Case, Kind
from tests.state.harness.survival import WAYS, Outcome, UnsoundCase, run_plainly, survive
from tests.state.harness.workers import Zygote


def one(cells: str, checks: str, **more: object) -> Case:
    kind = Kind("made")
    kind.case("case", cells, checks, **more)  # type: ignore[arg-type]
    return kind.cases[0]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_value_that_comes_back_is_kept(control: Zygote, way: object) -> None:
    case = one("x = [1]\n# %%\ny = x + [2]\n", "assert x == [1] and y == [1, 2]")
    assert survive(control, case, way) == Outcome("kept")  # type: ignore[arg-type]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_alias_that_is_gone_is_wrong(control: Zygote, way: object) -> None:
    case = one("x = [1]\n# %%\ny = x\n", "assert x is y")
    outcome = survive(control, case, way)  # type: ignore[arg-type]
    assert outcome.status == "wrong"
    assert "assert x is y" in outcome.detail


def test_a_value_that_was_reported_is_lost_and_its_neighbour_is_still_there(control: Zygote) -> None:
    case = one("x = (i for i in 'ab')\ny = 5\n", "assert next(x) == 'a'", lost=["x"], still="assert y == 5")
    outcome = survive(control, case, WAYS["in one process"])
    assert outcome.status == "lost"
    assert set(outcome.lost) == {"x"}
    assert outcome.is_as_expected(case)


def test_a_loss_that_the_case_does_not_expect_is_not_as_expected(control: Zygote) -> None:
    case = one("x = lambda: 5", "assert x() == 5")
    outcome = survive(control, case, WAYS["in one process"])
    assert outcome.status == "lost"
    assert not outcome.is_as_expected(case)


def test_a_loss_does_not_excuse_what_is_wrong_beside_it(control: Zygote) -> None:
    case = one("x = (i for i in 'ab')\ny = []\nz = y\n", "assert y is z", lost=["x"])
    assert survive(control, case, WAYS["in one process"]).status == "wrong"


def test_a_neighbour_that_is_wrong_shows_although_the_loss_is_expected(control: Zygote) -> None:
    case = one("x = (i for i in 'ab')\ny = []\nz = y\n", "next(x)", lost=["x"], still="assert y is z")
    assert survive(control, case, WAYS["in one process"]).status == "wrong"


def test_a_later_cell_that_misses_what_was_not_kept_is_wrong(control: Zygote) -> None:
    case = one("import random\nrandom.seed(1)\n# %%\nassert random.random() == 0.13436424411240122\n", "pass")
    assert survive(control, case, WAYS["in one process"]).status == "kept"
    assert survive(control, case, WAYS["in a process each"]).status == "wrong"


def test_files_go_back_with_the_checkpoint(control: Zygote) -> None:
    write = "text = open('f.txt', 'a+'); text.write('line\\n'); text.close(); del text\n"
    case = one(f"{write}# %%\n{write}", "assert open('f.txt').read() == 'line\\nline\\n'")
    assert survive(control, case, WAYS["back to each"]) == Outcome("kept")


def test_a_case_that_does_not_hold_in_plain_python_is_unsound(control: Zygote) -> None:
    with pytest.raises(UnsoundCase, match="cell 2 raised"):
        run_plainly(control, one("x = 1", "assert x == 2"))


def test_a_worker_that_dies_is_wrong(control: Zygote) -> None:
    case = one("import os\n# %%\nos._exit(3)\n", "pass")
    assert "Closed" in survive(control, case, WAYS["in one process"]).detail
