"""Each mechanism by the sessions that need it: saved in one process, restored in another, as often as cells are."""

from __future__ import annotations

import pytest
from tests.inside.state.set_ups.all import SET_UPS
from tests.state.corpus.case import Case
from tests.state.harness.survival import WAYS, survive
from tests.state.harness.workers import Zygote


def _missing(case: Case) -> pytest.MarkDecorator | tuple[()]:
    missing = case.missing()
    return pytest.mark.skip(reason=f"needs {', '.join(missing)}") if missing else ()


@pytest.mark.parametrize("way", ["in one process", "in a process each"])
@pytest.mark.parametrize("case", [pytest.param(case, id=str(case), marks=_missing(case)) for case in SET_UPS])
def test_a_set_up_survives_or_is_reported(zygote: Zygote, case: Case, way: str) -> None:
    outcome = survive(zygote, case, WAYS[way])
    assert outcome.is_as_expected(case), f"{outcome.status}: {outcome.detail or outcome.lost}"
