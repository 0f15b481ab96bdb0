"""How samples become figures: medians, ratios by round, goals."""

from __future__ import annotations

import pytest

from benchmarks.figures import Goal, Summary, compare, quantity


def test_a_summary_has_the_middle_and_the_tenths() -> None:
    summary = Summary.of(range(101), "bytes")
    assert (summary.p10, summary.p50, summary.p90, summary.count) == (10, 50, 90, 101)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00834, "s", "8.34 ms"),
        (0.000187, "s", "187 us"),
        (1.5, "s", "1.5 s"),
        (3.9e6, "bytes", "3.9 MB"),
        (1234.0, "MB/s", "1,234 MB/s"),
    ],
)
def test_a_quantity_is_given_in_the_unit_that_suits_it(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_a_spread_is_given_in_the_unit_of_the_middle() -> None:
    assert str(Summary("s", 0.0009, 0.0011, 0.0012, 7)) == "1.1 ms (0.9 to 1.2 ms, n=7)"


def test_the_ratio_is_the_median_of_each_rounds_own() -> None:
    # In the second round the machine was ten times as slow, for both.
    figure = compare("it", [[1.0], [10.0], [1.0]], "peer", [[20.0], [200.0], [20.0]])
    assert figure.ratio == 20.0


@pytest.mark.parametrize(
    ("unit", "better", "ratio"),
    [("s", True, 4.0), ("s", False, 0.25), ("bytes", True, 4.0), ("/s", True, 0.25), ("MB/s", False, 4.0)],
)
def test_a_ratio_is_turned_the_way_in_which_it_is_told(unit: str, better: bool, ratio: float) -> None:
    assert compare("it", [[2.0]], "peer", [[8.0]], unit=unit, better=better).ratio == ratio


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("ratio", ">=", 4.0), True),
        (Goal("ratio", ">=", 4.1), False),
        (Goal("ours", "<=", 2.0), True),
        (Goal("ours", "<=", 1.9), False),
    ],
)
def test_a_goal_is_met_up_to_its_bound(goal: Goal, met: bool) -> None:
    assert compare("it", [[2.0]], "peer", [[8.0]], goals=(goal,)).met is met


def test_a_goal_about_a_peer_that_is_not_there_is_neither_met_nor_missed() -> None:
    assert compare("it", [[2.0]], goals=(Goal("ratio", ">=", 4.0),)).met is None


def test_one_missed_goal_is_enough_to_miss() -> None:
    goals = (Goal("ratio", ">=", 4.0), Goal("ours", "<=", 1.0))
    assert compare("it", [[2.0]], "peer", [[8.0]], goals=goals).met is False


def test_the_mark_is_the_ratio_at_which_every_goal_would_be_met() -> None:
    goals = (Goal("ratio", ">=", 3.0), Goal("ours", "<=", 1.0))
    assert compare("it", [[2.0]], "peer", [[8.0]], goals=goals).mark == 8.0
    assert compare("it", [[2.0]], "peer", [[8.0]], unit="/s", goals=(Goal("ours", ">=", 4.0),)).mark == 0.5
