"""Figures of matplotlib that pyplot knows by a number."""

import sys
from typing import Any

from ..pickler import SessionPickler
from ..registry import builder, reduces_all


@reduces_all("matplotlib.figure.Figure")
def _figure(_: SessionPickler, figure: Any) -> Any:
    """As matplotlib does it, with the number that it has: matplotlib gives it the next one."""
    made = figure.__reduce_ex__(5)
    pyplot = sys.modules.get("matplotlib._pylab_helpers")
    manager = getattr(figure.canvas, "manager", None)
    number = next((n for n, one in pyplot.Gcf.figs.items() if one is manager), None) if pyplot is not None else None
    if number is None or len(made) < 3:
        return made
    return made[0], made[1], (made[2], number), None, None, set_figure


@builder
def set_figure(figure: Any, state: tuple[Any, Any]) -> None:
    figure.__setstate__(state[0])
    gcf = sys.modules["matplotlib._pylab_helpers"].Gcf
    manager = figure.canvas.manager
    if manager is not None and gcf.figs.get(manager.num) is manager:
        del gcf.figs[manager.num]
        manager.num = state[1]
        gcf.figs[state[1]] = manager
        for name in vars(figure).keys() & {"number", "_number"}:
            vars(figure)[name] = state[1]
