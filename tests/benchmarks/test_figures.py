"""How samples become figures: medians, ratios by round, goals."""

from __future__ import annotations

import pytest

from benchmarks.figures import Goal, Summary, compare, quantity, spread


def test_a_summary_has_the_median_of_the_rounds_and_the_tail_of_all_samples() -> None:
    summary = Summary.of([[1, 2, 9], [3, 4, 5], [7, 8, 100]], "bytes")
    assert (summary.medians, summary.p50, summary.count) == ((2, 4, 8), 4, 9)
    assert summary.p99 == pytest.approx(92.72)


def test_no_sample_is_left_out_of_the_tail() -> None:
    assert Summary.of([[1.0] * 99 + [1000.0], [1.0] * 100], "s").p99 == pytest.approx(1.0)
    assert Summary.of([[1.0] * 97 + [1000.0] * 3], "s").p99 == pytest.approx(1000.0)


def test_the_tail_of_a_rate_is_its_low_end() -> None:
    assert Summary.of([[1.0, *[50.0] * 20]], "/s").p99 < 50


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00834, "s", "8.34 ms"),
        (0.000187, "s", "187 us"),
        (1.5, "s", "1.5 s"),
        (3.9e6, "bytes", "3.9 MB"),
        (1234.0, "MB/s", "1,234 MB/s"),
        (0.0, "bytes", "0 kB"),
    ],
)
def test_a_quantity_is_given_in_the_unit_that_suits_it(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_a_spread_is_given_in_one_unit() -> None:
    assert spread([0.0011, 0.0009, 0.0012], "s") == "0.9 to 1.2 ms"
    assert spread([3.0], "s") == "3 to 3 s"


def test_the_ratio_is_the_median_of_each_rounds_own() -> None:
    # In the second round the machine was ten times as slow, for both.
    figure = compare("it", [[1.0], [10.0], [1.0]], "peer", [[20.0], [210.0], [19.0]])
    assert figure.ratios == (20.0, 21.0, 19.0)
    assert figure.ratio == 20.0


@pytest.mark.parametrize(
    ("unit", "better", "ratio"),
    [("s", True, 4.0), ("s", False, 0.25), ("bytes", True, 4.0), ("/s", True, 0.25), ("MB/s", False, 4.0)],
)
def test_a_ratio_is_turned_the_way_in_which_it_is_told(unit: str, better: bool, ratio: float) -> None:
    assert compare("it", [[2.0]], "peer", [[8.0]], unit=unit, better=better).ratio == ratio


@pytest.mark.parametrize(
    ("goal", "verdict"),
    [
        (Goal("ratio", ">=", 4.0), "met"),
        (Goal("ratio", ">=", 5.0), "missed by 20 %"),
        (Goal("ours", "<=", 2.0), "met"),
        (Goal("ours", "<=", 1.0), "missed by 100 %"),
        (Goal("ours", "<=", 1.99), "missed by 0.5 %"),
    ],
)
def test_a_goal_is_met_up_to_its_bound_or_missed_by_a_share_of_it(goal: Goal, verdict: str) -> None:
    figure = compare("it", [[2.0]], "peer", [[8.0]], goals=(goal,))
    assert goal.verdict(figure) == verdict
    assert figure.met is (verdict == "met")


def test_a_goal_can_be_about_the_slowest_of_a_hundred() -> None:
    figure = compare("it", [[1.0] * 97 + [5.0] * 3], goals=(Goal("ours", "<=", 2.0), Goal("p99", "<=", 4.0)))
    assert [goal.verdict(figure) for goal in figure.goals] == ["met", "missed by 25 %"]
    assert figure.met is False


def test_a_goal_about_a_peer_that_is_not_there_is_left_off() -> None:
    figure = compare("it", [[2.0]], goals=(Goal("ratio", ">=", 4.0), Goal("ours", "<=", 2.0)))
    assert figure.goals == (Goal("ours", "<=", 2.0),)
    assert figure.met is True


def test_one_missed_goal_is_enough_to_miss() -> None:
    goals = (Goal("ratio", ">=", 4.0), Goal("ours", "<=", 1.0))
    assert compare("it", [[2.0]], "peer", [[8.0]], goals=goals).met is False


def test_sides_with_other_numbers_of_rounds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare("it", [[2.0], [2.0]], "peer", [[8.0]])
