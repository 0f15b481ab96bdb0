"""What a benchmark finds out, as plain data: it goes through JSON between processes and into results.json."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from statistics import median, quantiles

from msgspec import Struct

# The samples of one side, a list for each round.
Rounds = list[list[float]]

_SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")),
    "bytes": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")),
}


class Summary(Struct, frozen=True):
    """The samples of one side, in seconds, bytes, or a rate such as `MB/s`.

    `p50` is the median of the rounds' medians. `p99` is what 99 of 100 samples are no worse than: of rates the low end.
    """

    unit: str
    p50: float
    p99: float
    count: int
    medians: tuple[float, ...]

    @classmethod
    def of(cls, rounds: Rounds, unit: str) -> Summary:
        samples = list(chain.from_iterable(rounds))
        medians = tuple(median(some) for some in rounds)
        return cls(unit, median(medians), _tail(samples, high=not is_rate(unit)), len(samples), medians)

    def __str__(self) -> str:
        text = quantity(self.p50, self.unit)
        return text if self.count == 1 else f"{text} / {quantity(self.p99, self.unit)}"


def is_rate(unit: str) -> bool:
    """Whether more is better; of times and sizes less is."""
    return unit.endswith("/s")


def _tail(samples: list[float], *, high: bool) -> float:
    if len(samples) == 1:
        return samples[0]
    hundredths = quantiles(samples, n=100, method="inclusive")
    return hundredths[-1] if high else hundredths[0]


def quantity(value: float, unit: str) -> str:
    """Return a value with the unit that suits it."""
    factor, name = _scale(value, unit)
    return f"{number(value / factor)} {name}"


def spread(values: Iterable[float], unit: str) -> str:
    """Return the lowest and the highest, both in the unit that suits the highest."""
    low, *_, high = sorted([*values] * 2)
    factor, name = _scale(high, unit)
    return f"{number(low / factor)} to {number(high / factor)} {name}"


def _scale(value: float, unit: str) -> tuple[float, str]:
    scales = _SCALES.get(unit, ((1.0, unit),))
    return next((scale for scale in scales if abs(value) >= scale[0] * 0.9995), scales[-1])


def number(value: float) -> str:
    """Three digits that say something."""
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


class Goal(Struct, frozen=True):
    """A bound for the `ratio` to the peer, or of `ours`, for the p50, or the `p99`."""

    of: str
    relation: str
    bound: float

    def value(self, figure: Figure) -> float | None:
        """What it is about; None if that was not measured."""
        if self.of == "ratio":
            return figure.ratio
        return figure.ours.p99 if self.of == "p99" else figure.ours.p50

    def used(self, figure: Figure) -> float | None:
        """How much of the bound is used up: met up to 1, missed by what is above it."""
        value = self.value(figure)
        if not value:
            return value
        return self.bound / value if self.relation == ">=" else value / self.bound

    def met(self, figure: Figure) -> bool | None:
        used = self.used(figure)
        return None if used is None else used <= 1

    def text(self, unit: str) -> str:
        sign = "≥" if self.relation == ">=" else "≤"
        if self.of == "ratio":
            return f"{sign} {number(self.bound)}x"
        return f"{'p99 ' if self.of == 'p99' else ''}{sign} {quantity(self.bound, unit)}"

    def verdict(self, figure: Figure) -> str:
        """Say whether it is met, or by how much it is missed."""
        value = self.value(figure)
        if value is None:
            return "not measured"
        if self.met(figure):
            return "met"
        distance = abs(value - self.bound) / self.bound
        return f"missed by {percent(distance)}"


def percent(share: float) -> str:
    """A share in percent; below one percent with a decimal."""
    return f"{share * 100:.0f} %" if share >= 0.00995 else f"{share * 100:.1f} %"


class Figure(Struct, frozen=True):
    """One line of the table. `better`: the ratio says how many times better we are; else how many times we cost."""

    what: str
    ours: Summary
    peer_name: str = ""
    peer: Summary | None = None
    ratios: tuple[float, ...] = ()
    better: bool = True
    goals: tuple[Goal, ...] = ()
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of each round, so that a machine that is slow for a while is slow for both."""
        return median(self.ratios) if self.ratios else None

    @property
    def met(self) -> bool | None:
        """Whether all goals are met; None if there are none, or one could not be judged."""
        verdicts = [goal.met(self) for goal in self.goals]
        if False in verdicts:
            return False
        return None if not verdicts or None in verdicts else True

    def goal(self, of: str) -> Goal | None:
        """The goal for the `ratio`, for `ours` or for its `p99`."""
        return next((goal for goal in self.goals if goal.of == of), None)


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
    """Make a figure of the samples of both sides. A ratio goal needs a peer: without one it is left off."""
    own = Summary.of(ours, unit)
    if peer is None:
        return Figure(what, own, better=better, goals=tuple(goal for goal in goals if goal.of != "ratio"), note=note)
    theirs = Summary.of(peer, unit)
    upper, lower = (theirs, own) if better != is_rate(unit) else (own, theirs)
    ratios = tuple(above / below for above, below in zip(upper.medians, lower.medians, strict=True))
    return Figure(what, own, peer_name, theirs, ratios, better, goals, note)
