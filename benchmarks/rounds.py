"""Measures the sides of a comparison in turns, so that what the machine does meanwhile happens to all of them."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from benchmarks.figures import Rounds

Measure = Callable[[], Awaitable[float]]


class Side(NamedTuple):
    """`measure` returns one sample; what it prepares and cleans up is not in it."""

    measure: Measure
    samples: int = 1
    warm_up: int = 1


async def alternate(sides: Mapping[str, Side], rounds: int) -> dict[str, Rounds]:
    """Return the samples of each side, a list for each round: all of them. Another side begins each time."""
    for side in sides.values():
        for _ in range(side.warm_up):
            await side.measure()
    found: dict[str, Rounds] = {name: [] for name in sides}
    names = list(sides)
    for number in range(rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            gc.collect()
            found[name].append([await sides[name].measure() for _ in range(sides[name].samples)])
    return found
