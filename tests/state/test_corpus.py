"""What survives: every case of the corpora, in every way a session can go, and that the cases themselves are sound."""

from __future__ import annotations

import pytest
from tests.state.corpus.all import CORPUS, HELD_OUT
from tests.state.corpus.case import Case
from tests.state.harness.survival import WAYS, checks_hold_without_state, run_plainly, survive
from tests.state.harness.workers import Zygote

CASES = [*CORPUS, *HELD_OUT]


def _missing(case: Case) -> pytest.MarkDecorator | tuple[()]:
    missing = case.missing()
    return pytest.mark.skip(reason=f"needs {', '.join(missing)}") if missing else ()


every_case = pytest.mark.parametrize("case", [pytest.param(case, id=str(case), marks=_missing(case)) for case in CASES])


@every_case
def test_a_case_holds_in_plain_python_and_not_without_its_state(control: Zygote, case: Case) -> None:
    run_plainly(control, case)
    assert not checks_hold_without_state(control, case)


@every_case
@pytest.mark.parametrize("way", WAYS)
def test_a_case_survives_or_is_reported(zygote: Zygote, case: Case, way: str) -> None:
    outcome = survive(zygote, case, WAYS[way])
    assert outcome.is_as_expected(case), f"{outcome.status}: {outcome.detail or outcome.lost}"
