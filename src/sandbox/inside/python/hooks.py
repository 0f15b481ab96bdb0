"""Changes to libraries at the moment a session imports them, so that their `show()` ends up as a result.

Nothing is imported here: a change is made when, and only when, something else imports its library, or at once if
that has happened already.
"""

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import orphans
from .display import Display

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

Change = Callable[[ModuleType], None]


class AfterImport:
    """A finder that lets the other finders find a module, and changes it after its code has run.

    Only the named modules are looked at, and their loaders stay what they are. A module that is loaded again is
    changed again.
    """

    def __init__(self, changes: "dict[str, Change]") -> None:
        self._changes = changes

    def install(self) -> None:
        """Change what is imported already, and be asked for what is not."""
        for name in self._changes:
            module = sys.modules.get(name)
            if module is not None:
                self._change(module, name)
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return the spec that another finder has for a module that is to be changed, and None for all others."""
        if name not in self._changes:
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        for finder in others:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self._watch(spec, name)
                return spec
        return None

    def _watch(self, spec: "ModuleSpec", name: str) -> None:
        loader: Any = spec.loader
        if not hasattr(loader, "exec_module") or isinstance(loader, type):
            return  # shared by other modules: it cannot be given a method for this one

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            loader.exec_module(module)
            self._change(module, name)

        loader.exec_module = exec_module

    def _change(self, module: ModuleType, name: str) -> None:
        try:
            self._changes[name](module)
        except Exception as error:  # noqa: BLE001 - a version of the library that is not known must still be usable
            sys.stderr.write(f"what {name} shows is not captured: {type(error).__name__}: {error}\n")


def install(display: Display) -> None:
    """Let the libraries that draw show their figures through `display`."""
    changes = {
        "subprocess": _subprocess,
        "matplotlib.backend_bases": _managers,
        "matplotlib.figure": _figures,
        "matplotlib.axes._axes": _axes,
        "matplotlib.pyplot": _pyplot,
        "PIL.ImageShow": _viewer,
        "plotly.io._renderers": _plotly,
        "altair": _altair,
        "bokeh.io.showing": _bokeh,
        "IPython.core.display_functions": _ipython,
    }
    AfterImport({name: functools.partial(change, display) for name, change in changes.items()}).install()


def _subprocess(_display: Display, module: Any) -> None:
    """Before each program that it starts, it takes the exits of those it has given up."""
    cleanup = module._cleanup

    @functools.wraps(cleanup)
    def _cleanup() -> None:
        cleanup()
        orphans.make_room()

    module._cleanup = _cleanup


# --- matplotlib ---


def _pyplot(_display: Display, _module: ModuleType) -> None:
    """Load what a first figure takes: in a zygote that imports pyplot, every worker has it then."""
    from . import figures, libraries  # noqa: F401, PLC0415
    from .charts import matplotlib_figures  # noqa: F401, PLC0415


def _managers(display: Display, module: Any) -> None:
    """`plt.show()` calls this for every figure. Backends with a window have a `show` of their own."""

    def show(self: Any) -> None:
        _show_and_close(display, self.canvas.figure)

    module.FigureManagerBase.show = show


def _figures(display: Display, module: Any) -> None:
    """`fig.show()`, also of figures that are closed or that pyplot never knew."""

    def show(self: Any, warn: bool = True) -> None:
        _show_and_close(display, self)

    module.Figure.show = functools.wraps(module.Figure.show)(show)


def _show_and_close(display: Display, figure: Any) -> None:
    from . import figures, libraries  # noqa: PLC0415

    display.show_figure(figure, libraries.MATPLOTLIB)
    figures.close(figure)


def _axes(_display: Display, module: Any) -> None:
    """Keep the numbers that boxes, violins and pies are drawn from: the drawing alone does not tell all of them."""
    from .charts import notes  # noqa: PLC0415 - only sessions with matplotlib need it

    axes = module.Axes
    axes.bxp = notes.noting(axes.bxp, "bxpstats", notes.note_boxes)
    axes.violin = notes.noting(axes.violin, "vpstats", notes.note_violins)
    axes.pie = notes.noting(axes.pie, "x", notes.note_pie)


# --- others ---


def _viewer(display: Display, module: Any) -> None:
    """`Image.show()` asks the first viewer in the list."""

    class Viewer(module.Viewer):  # type: ignore[misc]
        """Shows images as results."""

        def show_image(self, image: Any, **_options: object) -> int:
            display.display(image)
            return 1

    module.register(Viewer, 0)


def _plotly(display: Display, module: Any) -> None:
    """`fig.show()` and `plotly.io.show()`, whatever renderer is asked for: a sandbox has no browser to open."""

    def show(fig: Any, *_arguments: object, **_options: object) -> None:
        from . import libraries  # noqa: PLC0415

        display.show_figure(fig, libraries.PLOTLY)

    module.show = functools.wraps(module.show)(show)


def _altair(display: Display, module: Any) -> None:
    """`chart.show()` and `chart.display()`."""

    def show(self: Any, *_arguments: object, **_options: object) -> None:
        display.display(self)

    module.TopLevelMixin.show = module.TopLevelMixin.display = show


def _bokeh(display: Display, module: Any) -> None:
    """`bokeh.plotting.show()`."""

    def show(obj: Any, *_arguments: object, **_options: object) -> None:
        display.display(obj)

    module.show = functools.wraps(module.show)(show)


def _ipython(display: Display, module: Any) -> None:
    """IPython's display functions, here and where other modules have taken them already."""
    functions = {
        "display": display.display,
        "update_display": display.update,
        "clear_output": display.clear,
        "publish_display_data": display.publish,
    }
    taken = [sys.modules.get(name) for name in ("IPython.display", "IPython.core.display")]
    for place in (module, *filter(None, taken)):
        for name, function in functions.items():
            if hasattr(place, name):
                setattr(place, name, function)
