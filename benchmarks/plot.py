"""results.png: the ratios on a logarithmic axis, with the goals marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.report import Results, ratio_text

_MET, _MISSED, _NO_GOAL, _GOAL = "#2a7f62", "#c8553d", "#8d99ae", "#1d1d1f"
_BAR = 0.42


def draw(results: Results, path: Path) -> None:
    """Draw two panels: how many times better than a peer, and how many times the cost of the bare thing."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figures = [figure for some in results.figures.values() for figure in some if figure.ratio is not None]
    panels = [
        ("times better than the peer: longer is better", [figure for figure in figures if figure.better]),
        ("times the cost of the bare thing: shorter is better", [figure for figure in figures if not figure.better]),
    ]
    panels = [(title, some) for title, some in panels if some]
    heights = [len(some) for _, some in panels] or [1]
    drawing, axes = plt.subplots(
        len(heights), 1, figsize=(10, 1.6 + 0.52 * sum(heights)), height_ratios=heights, squeeze=False
    )
    for axis, (title, some) in zip(axes[:, 0], panels, strict=True):
        _panel(axis, title, some)
    _legend(drawing, results)
    drawing.savefig(path, dpi=160, bbox_inches="tight", facecolor="white")
    plt.close(drawing)


def _panel(axis: Any, title: str, figures: list[Figure]) -> None:
    for place, figure in enumerate(figures):
        assert figure.ratio is not None
        axis.barh(place, figure.ratio - 1, left=1, height=_BAR, color=_colour(figure), zorder=2)
        axis.text(figure.ratio * 1.04, place, ratio_text(figure).split()[0], va="center", fontsize=9, zorder=4)
        if figure.mark is not None:
            axis.plot([figure.mark] * 2, [place - 0.38, place + 0.38], color=_GOAL, linewidth=2, zorder=3)
    axis.set_yticks(range(len(figures)), [_label(figure) for figure in figures], fontsize=9)
    axis.invert_yaxis()
    axis.set_xscale("log")
    _ticks(axis, figures)
    axis.set_title(title, loc="left", fontsize=10.5, fontweight="bold")
    axis.grid(axis="x", which="major", color="#dddddd", zorder=0)
    axis.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _ticks(axis: Any, figures: list[Figure]) -> None:
    values = [value for figure in figures for value in (figure.ratio, figure.mark) if value is not None]
    low, high = min(1.0, *values), max(values)
    axis.set_xlim(low if low == 1 else low * 0.8, high * 1.6)
    ticks = [base * 10**power for power in range(-2, 5) for base in (1, 2, 5)]
    axis.set_xticks([tick for tick in ticks if low <= tick <= high * 1.6])
    axis.xaxis.set_major_formatter(lambda value, _place: f"{value:g}x")
    axis.xaxis.set_minor_locator(_no_locator())


def _no_locator() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _label(figure: Figure) -> str:
    return f"{figure.what}\nagainst {figure.peer_name}"


def _colour(figure: Figure) -> str:
    return {True: _MET, False: _MISSED, None: _NO_GOAL}[figure.met]


def _legend(drawing: Any, results: Results) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(color=_MET, label="goals met"),
        Patch(color=_MISSED, label="a goal missed"),
        Patch(color=_NO_GOAL, label="no goal set"),
        Line2D([], [], color=_GOAL, linewidth=2, label="goal"),
    ]
    drawing.tight_layout(rect=(0, 0.04, 1, 1), h_pad=2.0)
    machine = results.machine
    drawing.text(
        0.01, 0.005, f"{machine.cpu}, {machine.cores} cores, Linux {machine.kernel}, {machine.date}",
        fontsize=7.5, color="#666666",
    )  # fmt: skip
    drawing.legend(handles=handles, loc="lower right", ncols=4, frameon=False, fontsize=9)
