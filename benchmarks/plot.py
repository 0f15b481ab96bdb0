"""A plot for each section: ratios and shares of bounds on logarithmic axes, with the goals and the spread of rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks.figures import Figure, number, quantity
from benchmarks.report import Results, plot_of

_MET, _MISSED, _NO_GOAL, _GOAL, _SPREAD = "#2a7f62", "#c8553d", "#a9b4c2", "#1d1d1f", "#6b7280"
_BAR = 0.46
_ROW_INCHES = 0.5
_BETTER = "times better than the peer (longer is better)"
_COST = "times the cost of the bare thing, which isolates nothing (shorter is better)"
_BOUND = "share of an absolute bound (shorter is better; 1x is the bound)"


class Bar(Struct, frozen=True):
    """One line of a panel."""

    label: str
    value: float
    text: str
    goal: float | None
    met: bool | None
    spread: tuple[float, ...] = ()


def draw(results: Results, directory: Path) -> None:
    """Draw the plot of each section."""
    for title, figures in results.sections.items():
        _draw_section(figures, _headline(results), directory / plot_of(title))


def _draw_section(figures: list[Figure], headline: str, path: Path) -> None:
    """Draw up to three panels, one below the other."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    panels = [(title, bars) for title, bars in _panels(figures) if bars]
    heights = [len(bars) + 0.9 for _, bars in panels]
    drawing, axes = plt.subplots(
        len(panels), 1, figsize=(11, 0.9 + _ROW_INCHES * sum(heights)), height_ratios=heights, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis, (title, bars) in zip(axes[:, 0], panels, strict=True):
        _panel(axis, title, bars)
    _legend(drawing)
    drawing.suptitle(headline, x=0.01, ha="left", fontsize=9, color="#555555")
    drawing.savefig(path, dpi=130, facecolor="white")
    plt.close(drawing)


def _panels(figures: list[Figure]) -> list[tuple[str, list[Bar]]]:
    compared = [figure for figure in figures if figure.ratio is not None]
    return [
        (_BETTER, [_ratio_bar(figure) for figure in compared if figure.better]),
        (_COST, [_ratio_bar(figure) for figure in compared if not figure.better]),
        (_BOUND, [bar for figure in figures for of in ("ours", "p99") if (bar := _bound_bar(figure, of)) is not None]),
    ]


def _ratio_bar(figure: Figure) -> Bar:
    goal = figure.goal("ratio")
    value = figure.ratio or 0.0
    return Bar(
        f"{figure.what}\nagainst {figure.peer_name}",
        value,
        f"{number(value)}x",
        None if goal is None else goal.bound,
        None if goal is None else goal.met(figure),
        figure.ratios,
    )


def _bound_bar(figure: Figure, of: str) -> Bar | None:
    goal = figure.goal(of)
    used = None if goal is None else goal.used(figure)
    if goal is None or not used:
        return None
    unit = figure.ours.unit
    text = f"{quantity(goal.value(figure) or 0.0, unit)}; goal {goal.text(unit)}"
    return Bar(figure.what, used, text, 1.0, used <= 1)


def _panel(axis: Any, title: str, bars: list[Bar]) -> None:
    low, high = _limits(bars)
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    for place, bar in enumerate(bars):
        _draw(axis, place, bar)
    axis.set_ylim(len(bars) - 0.4, -0.6)
    axis.set_yticks(range(len(bars)), [bar.label for bar in bars], fontsize=8.5)
    axis.set_title(title, loc="left", fontsize=10.5, fontweight="bold")
    axis.grid(axis="x", which="major", color="#e2e2e2", zorder=0)
    axis.axvline(1, color="#888888", linewidth=0.8, zorder=1)
    axis.tick_params(axis="y", length=0)
    _ticks(axis, low, high)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _draw(axis: Any, place: int, bar: Bar) -> None:
    """A bar from 1 to the value, the spread on it, the goal across it, and the number where nothing else is."""
    axis.barh(place, bar.value - 1, left=1, height=_BAR, color=_colour(bar), zorder=2)
    reached = [1.0, bar.value]
    if len(bar.spread) > 1:
        ends = [min(bar.spread), max(bar.spread)]
        reached += ends
        axis.plot(ends, [place, place], color=_SPREAD, linewidth=1.4, marker="|", markersize=5, zorder=4)
    if bar.goal is not None:
        reached.append(bar.goal)
        axis.plot([bar.goal] * 2, [place - 0.36, place + 0.36], color=_GOAL, linewidth=2.2, zorder=5)
    offset = (6, 0)
    axis.annotate(bar.text, (max(reached), place), offset, textcoords="offset points", va="center", fontsize=9)


def _limits(bars: list[Bar]) -> tuple[float, float]:
    values = [value for bar in bars for value in (1.0, bar.value, bar.goal or 1.0, *bar.spread)]
    low, high = min(values) / 1.15, max(values)
    # A fifth of the axis is for the numbers.
    return low, high * max(1.6, (high / low) ** 0.2)


def _ticks(axis: Any, low: float, high: float) -> None:
    from matplotlib.ticker import NullLocator

    steps = (1, 2, 5) if high / low < 3000 else (1,)
    ticks = [base * 10.0**power for power in range(-4, 6) for base in steps]
    axis.set_xticks([tick for tick in ticks if low <= tick <= high])
    axis.xaxis.set_major_formatter(lambda value, _place: f"{value:g}x")
    axis.xaxis.set_minor_locator(NullLocator())


def _colour(bar: Bar) -> str:
    return {True: _MET, False: _MISSED, None: _NO_GOAL}[bar.met]


def _headline(results: Results) -> str:
    machine = results.machine
    quick = "; a quick look" if results.quick else ""
    return (
        f"{machine.cores} cores ({machine.cpu}), Linux {machine.kernel}, Python {machine.python}, {machine.date}{quick}"
    )


def _legend(drawing: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(color=_MET, label="goal met"),
        Patch(color=_MISSED, label="goal missed"),
        Patch(color=_NO_GOAL, label="no goal set"),
        Line2D([], [], color=_GOAL, linewidth=2.2, label="goal"),
        Line2D([], [], color=_SPREAD, linewidth=1.4, marker="|", label="from round to round"),
    ]
    drawing.legend(handles=handles, loc="outside lower right", ncols=5, frameon=False, fontsize=8.5)
