"""The sides of a comparison take turns."""

from __future__ import annotations

from benchmarks.rounds import Measure, Side, alternate


def noting(order: list[str], name: str) -> Measure:
    async def measure() -> float:
        order.append(name)
        return float(len(order))

    return measure


async def test_another_side_begins_each_round_and_warm_up_is_not_counted() -> None:
    order: list[str] = []
    sides = {"a": Side(noting(order, "a"), 2), "b": Side(noting(order, "b"), warm_up=2)}
    found = await alternate(sides, 3)
    assert "".join(order) == "abb" + "aab" + "baa" + "aab"
    assert found == {"a": [[4.0, 5.0], [8.0, 9.0], [10.0, 11.0]], "b": [[6.0], [7.0], [12.0]]}
