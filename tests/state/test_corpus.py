"""What survives: every case of the corpora, in every way a session can go, and that the cases themselves are sound."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.state.corpus.all import CORPUS, HELD_OUT
from tests.state.corpus.case import Case
from tests.state.harness.survival import (
    Way,
    back_to_each,
    checks_hold_without_state,
    in_a_process_each,
    in_one_process,
    run_plainly,
    survive,
)
from tests.state.harness.workers import Zygote

CASES = [*CORPUS, *HELD_OUT]


# Known defects, by case, each with what goes wrong. One that is mended then fails the test.
MISSES: dict[str, str] = {}


def _missing(case: Case) -> list[pytest.MarkDecorator]:
    missing = case.missing()
    return [pytest.mark.skip(reason=f"needs {', '.join(missing)}")] if missing else []


def _known(case: Case) -> list[pytest.MarkDecorator]:
    known = MISSES.get(str(case))
    return [*_missing(case), *([pytest.mark.xfail(reason=known, strict=True)] if known else [])]


def _each(cases: list[Case], marks: Callable[[Case], list[pytest.MarkDecorator]] = _missing) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(one, id=str(one), marks=marks(one)) for one in cases])


@_each(CASES)
def test_a_case_holds_in_plain_python_and_not_without_its_state(control: Zygote, case: Case) -> None:
    run_plainly(control, case)
    assert not checks_hold_without_state(control, case)


def _expect_survival(zygote: Zygote, case: Case, way: Way) -> None:
    outcome = survive(zygote, case, way)
    assert outcome.is_as_expected(case), f"{outcome.status}: {outcome.detail or outcome.lost}"


@_each(CASES, _known)
def test_a_case_survives_or_is_reported(zygote: Zygote, case: Case) -> None:
    _expect_survival(zygote, case, in_one_process)


@_each(CORPUS)
def test_a_case_survives_a_kill_after_every_cell(zygote: Zygote, case: Case) -> None:
    _expect_survival(zygote, case, in_a_process_each)


@_each(CORPUS)
def test_a_case_can_be_taken_back_to_every_cell_and_goes_on_from_there(zygote: Zygote, case: Case) -> None:
    _expect_survival(zygote, case, back_to_each)
