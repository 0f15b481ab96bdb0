"""What a benchmark finds out, as plain data: it goes through JSON between processes and into results.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from statistics import median, quantiles

from msgspec import Struct

Rounds = list[list[float]]

_SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")),
    "bytes": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")),
}


class Summary(Struct, frozen=True):
    """The middle and the spread of some samples, in seconds, bytes, or a rate such as `MB/s`."""

    unit: str
    p10: float
    p50: float
    p90: float
    count: int

    @classmethod
    def of(cls, samples: Iterable[float], unit: str) -> Summary:
        values = list(samples)
        if len(values) == 1:
            return cls(unit, values[0], values[0], values[0], 1)
        tenths = quantiles(values, n=10, method="inclusive")
        return cls(unit, tenths[0], median(values), tenths[-1], len(values))

    def __str__(self) -> str:
        if self.count == 1:
            return f"{quantity(self.p50, self.unit)} (n=1)"
        spread = f"{_number(self.p10, self._scale)} to {quantity(self.p90, self.unit, self._scale)}"
        return f"{quantity(self.p50, self.unit, self._scale)} ({spread}, n={self.count})"

    @property
    def _scale(self) -> float:
        return _scale(self.p50, self.unit)[0]


def quantity(value: float, unit: str, scale: float | None = None) -> str:
    """Return a value with the unit that suits it, or the one that belongs to `scale`."""
    factor, name = _scale(value if scale is None else scale, unit)
    return f"{_number(value, factor)} {name}"


def _scale(value: float, unit: str) -> tuple[float, str]:
    scales = _SCALES.get(unit, ((1.0, unit),))
    return next((scale for scale in scales if abs(value) >= scale[0] * 0.9999), scales[-1])


def _number(value: float, scale: float) -> str:
    """Three digits that say something."""
    scaled = value / scale
    return f"{scaled:,.0f}" if scaled >= 100 else f"{scaled:.3g}"


class Goal(Struct, frozen=True):
    """A bound for the `ratio` to the peer, or for `ours` alone."""

    of: str
    relation: str
    bound: float

    def met(self, figure: Figure) -> bool | None:
        """Whether the figure keeps to it; None if what it is about was not measured."""
        value = figure.ratio if self.of == "ratio" else figure.ours.p50
        if value is None:
            return None
        return value >= self.bound if self.relation == ">=" else value <= self.bound

    def text(self, unit: str) -> str:
        sign = "≥" if self.relation == ">=" else "≤"
        return f"{sign} {self.bound:g}x" if self.of == "ratio" else f"{sign} {quantity(self.bound, unit)}"


class Figure(Struct, frozen=True):
    """One line of the table. `better`: the ratio says how many times better we are; else how many times we cost."""

    what: str
    ours: Summary
    peer_name: str = ""
    peer: Summary | None = None
    ratio: float | None = None
    better: bool = True
    goals: tuple[Goal, ...] = ()
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether all goals are met; None if there are none, or one could not be judged."""
        verdicts = [goal.met(self) for goal in self.goals]
        if False in verdicts:
            return False
        return None if not verdicts or None in verdicts else True

    @property
    def mark(self) -> float | None:
        """The ratio at which its goals would be met: of those that say so, or follow from the peer, the strictest."""
        marks = [mark for goal in self.goals if (mark := self._mark(goal)) is not None]
        if not marks:
            return None
        return max(marks) if self.better else min(marks)

    def _mark(self, goal: Goal) -> float | None:
        if goal.of == "ratio":
            return goal.bound
        if self.peer is None:
            return None
        lower_is_better = goal.relation == "<="
        return self.peer.p50 / goal.bound if lower_is_better == self.better else goal.bound / self.peer.p50


def compare(  # noqa: PLR0913 - these are the columns of a table
    what: str,
    ours: Rounds,
    peer_name: str = "",
    peer: Rounds | None = None,
    *,
    unit: str = "s",
    better: bool = True,
    goals: tuple[Goal, ...] = (),
    note: str = "",
) -> Figure:
    """Make a figure of the samples of both sides, which are one list for each round.

    The ratio is the median of the ratios of each round, so that a machine that is slow for a while is slow for both.
    """
    measured = None if peer is None else Summary.of(chain.from_iterable(peer), unit)
    ratio = None if peer is None else ratio_of(*((peer, ours) if _peer_above(unit, better=better) else (ours, peer)))
    return Figure(what, Summary.of(chain.from_iterable(ours), unit), peer_name, measured, ratio, better, goals, note)


def _peer_above(unit: str, *, better: bool) -> bool:
    """Whether the peer's value is divided by ours: of times and sizes the smaller is better, of rates the larger."""
    return better == (not unit.endswith("/s"))


def ratio_of(upper: Rounds, lower: Rounds, middle: Callable[[list[float]], float] = median) -> float:
    """Divide round by round; return the median."""
    return median(middle(above) / middle(below) for above, below in zip(upper, lower, strict=True))
