"""Figures of matplotlib, plotly and altair: captured, in order, once, and closed."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import Environment, Execution, LocalSandbox
from sandbox.results import Result

START = "import matplotlib.pyplot as plt\n"
OPEN = "plt.get_fignums()"


@pytest.fixture(params=["warm", "cold"])
async def plots(request: pytest.FixtureRequest, cold: Environment, make: Callable[..., LocalSandbox]) -> LocalSandbox:
    """A sandbox that has pyplot from the zygote, and one that imports it itself."""
    box = make(environment=None if request.param == "warm" else cold)
    await box.start()
    loaded = await box.run("import sys\n'matplotlib' in sys.modules")
    assert loaded.text == str(request.param == "warm")
    await box.run(START)
    return box


@pytest.fixture
async def drawing(box: LocalSandbox) -> LocalSandbox:
    """A sandbox that has imported pyplot."""
    await box.run(START)
    return box


def size_of(result: Result) -> tuple[int, int]:
    assert result.png is not None
    assert result.png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", result.png[16:24])
    return width, height


def titles(execution: Execution) -> list[str | None]:
    """What is on the figures, in the order in which they were shown."""
    return [result.chart["title"] for result in execution.results if result.chart]


# --- matplotlib ---


async def test_show_captures_at_once_and_in_order(plots: LocalSandbox) -> None:
    seen: list[str] = []
    execution = await plots.run(
        "print('before')\nplt.plot([1, 2])\nplt.title('A')\nplt.show()\nprint('after')",
        on_stdout=seen.append,
        on_result=lambda result: seen.append(result.chart["title"]),
    )
    assert "".join(seen) == "before\nAafter\n"
    assert [artifact.name for artifact in execution.artifacts] == ["figure-1.png"]
    assert execution.artifacts[0].read() == execution.results[0].png
    assert size_of(execution.results[0])[0] > 300
    assert execution.results[0].text == "<Figure size 640x480 with 1 Axes>"
    assert (await plots.run(OPEN)).text == "[]"
    assert execution.stderr == ""


async def test_a_figure_left_open_is_captured_once_and_closed(plots: LocalSandbox) -> None:
    execution = await plots.run("plt.plot([1, 2])\nplt.title('left');")
    assert titles(execution) == ["left"]
    after = await plots.run("None")
    assert (after.results, after.artifacts) == ([], [])
    assert (await plots.run(OPEN)).text == "[]"


async def test_a_figure_that_is_the_last_value_is_shown_once(plots: LocalSandbox) -> None:
    execution = await plots.run("figure, axes = plt.subplots()\naxes.plot([1, 2])\nfigure")
    assert [(result.main, result.png is not None) for result in execution.results] == [(True, True)]
    assert len(execution.artifacts) == 1
    assert execution.text == "<Figure size 640x480 with 1 Axes>"


async def test_figures_keep_the_order_of_their_numbers(plots: LocalSandbox) -> None:
    execution = await plots.run(
        "for name in 'abc':\n    plt.figure()\n    plt.plot([1])\n    plt.title(name)\nplt.figure(1);\nplt.figure(2)"
    )
    assert titles(execution) == ["a", "b", "c"]
    assert [result.main for result in execution.results] == [False, True, False]
    assert [artifact.name for artifact in execution.artifacts] == ["figure-1.png", "figure-2.png", "figure-3.png"]


@pytest.mark.parametrize("backend", ["Agg", "svg", "pdf", "module://matplotlib_inline.backend_inline"])
async def test_another_backend_without_a_window_captures_too(plots: LocalSandbox, backend: str) -> None:
    if "inline" in backend:
        pytest.importorskip("matplotlib_inline")
    execution = await plots.run(
        f"import matplotlib\nmatplotlib.use({backend!r})\nplt.plot([1])\nplt.title('A')\nplt.show()\n"
        "plt.plot([2])\nplt.title('B')\nplt.gcf().show()\nplt.plot([3])\nplt.title('C');"
    )
    assert titles(execution) == ["A", "B", "C"]
    assert execution.stderr == ""


async def test_a_closed_figure_can_be_shown_again(drawing: LocalSandbox) -> None:
    await drawing.run("figure, axes = plt.subplots()\naxes.plot([1, 2])\nplt.show()")
    execution = await drawing.run("axes.set_title('later')\nfigure.show()")
    assert titles(execution) == ["later"]
    assert titles(await drawing.run("figure")) == ["later"]


async def test_a_figure_that_pyplot_never_knew_is_shown(drawing: LocalSandbox) -> None:
    execution = await drawing.run(
        "from matplotlib.figure import Figure\nfigure = Figure()\nfigure.subplots().set_title('own')\n"
        "figure.show()\nfigure"
    )
    assert titles(execution) == ["own", "own"]
    assert len(execution.artifacts) == 2


async def test_a_displayed_figure_is_shown_again_only_if_it_has_changed(drawing: LocalSandbox) -> None:
    once = await drawing.run("figure, axes = plt.subplots()\naxes.plot([1])\ndisplay(figure)")
    assert len(once.results) == 1
    twice = await drawing.run("figure, axes = plt.subplots()\naxes.plot([1])\ndisplay(figure)\naxes.set_title('new');")
    assert titles(twice) == [None, "new"]
    alike = await drawing.run("plt.plot([1])\nplt.show()\nplt.plot([1]);")
    assert len(alike.results) == 2, "another figure that looks the same is another figure"


async def test_an_empty_figure_is_closed_and_not_shown(drawing: LocalSandbox) -> None:
    execution = await drawing.run("plt.figure();")
    assert execution.results == []
    assert (await drawing.run(OPEN)).text == "[]"
    assert (await drawing.run("plt.figure()")).text == "<Figure size 640x480 with 0 Axes>"
    written = await drawing.run("figure = plt.figure()\nfigure.suptitle('only text');")
    assert len(written.artifacts) == 1


async def test_an_error_while_drawing_is_shown_and_costs_nothing_else(drawing: LocalSandbox) -> None:
    execution = await drawing.run("plt.plot([1])\nplt.title('$\\\\frac{$')\nplt.show()\nprint('goes on')\n42")
    assert "the figure could not be drawn:\nTraceback" in execution.stderr
    assert "ParseSyntaxException" in execution.stderr
    assert "sandbox_inside" not in execution.stderr
    assert (execution.stdout, execution.text) == ("goes on\n", "42")
    assert execution.results[0].data == {"text/plain": "<Figure size 640x480 with 1 Axes>"}
    assert execution.results[0].chart is not None
    left_open = await drawing.run("plt.plot([1])\nplt.title('$\\\\frac{$')\n43")
    assert left_open.text == "43"
    assert left_open.ok


async def test_what_a_failed_cell_left_open_is_shown(drawing: LocalSandbox) -> None:
    execution = await drawing.run("plt.plot([1])\nplt.title('so far')\n1 / 0", check=False)
    assert titles(execution) == ["so far"]
    assert execution.status == "error"


async def test_an_interrupted_cell_closes_its_figures_without_drawing(drawing: LocalSandbox) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    code = "for _ in range(20): plt.figure(); plt.plot([1])\nprint('x', flush=True)\nwhile True: pass"
    running = asyncio.ensure_future(
        drawing.run(code, check=False, timeout=30, on_stdout=lambda _: loop.call_soon_threadsafe(begun.set))
    )
    await asyncio.wait_for(begun.wait(), 20)
    await drawing.interrupt()
    execution = await running
    assert (execution.status, execution.results) == ("interrupted", [])
    assert (await drawing.run(OPEN)).text == "[]"


async def test_a_time_limit_while_figures_are_drawn_keeps_the_session(drawing: LocalSandbox) -> None:
    await drawing.run("alive = 1")
    code = """
from matplotlib.lines import Line2D
class Endless(Line2D):
    def draw(self, renderer):
        print("draws", flush=True)
        while True: pass
for _ in range(3):
    plt.figure().subplots().add_line(Endless([0, 1], [0, 1]))
"""
    for failing in ("", "1 / 0"):
        execution = await drawing.run(code + failing, check=False, timeout=1)
        assert execution.status == "timeout"
        assert execution.stdout == "draws\n", "the other figures are not drawn after it"
    assert (await drawing.run("alive")).text == "1"
    assert (await drawing.run(OPEN)).text == "[]"


async def test_a_figure_of_too_many_pixels_is_drawn_smaller_and_says_so(drawing: LocalSandbox) -> None:
    execution = await drawing.run("figure = plt.figure(figsize=(300, 200))\nplt.plot([1])\nplt.show()\nfigure.dpi")
    (width, height) = size_of(execution.results[0])
    assert width * height < 26_000_000
    assert "drawn with 20.4 dots per inch" in (execution.results[0].text or "")
    assert execution.text == "100.0", "the figure itself keeps its resolution"


async def test_what_lies_far_outside_does_not_blow_up_the_picture(drawing: LocalSandbox) -> None:
    execution = await drawing.run("plt.plot([0, 1])\nplt.text(300, 0, 'far')\nplt.show()")
    assert size_of(execution.results[0]) == (640, 480)


async def test_labels_outside_the_figure_are_in_the_picture(drawing: LocalSandbox) -> None:
    execution = await drawing.run("plt.plot([0, 1])\nplt.figtext(1.2, 0.5, 'beside')\nplt.show()")
    assert size_of(execution.results[0])[0] > 740


async def test_savefig_is_left_alone(drawing: LocalSandbox) -> None:
    execution = await drawing.run("plt.plot([1])\nplt.savefig('plot.png', dpi=50)\nplt.show()")
    assert "plot.png" in execution.files.created
    width, height = struct.unpack(">II", (await drawing.files.read("plot.png"))[16:24])
    assert (width, height) == (320, 240)
    assert len(execution.artifacts) == 1


async def test_warnings_of_drawing_name_no_file_of_ours(drawing: LocalSandbox) -> None:
    execution = await drawing.run("plt.title('\\u4e2d\\u4e2d')\nplt.show()")
    assert execution.stderr.count("missing from") == 1
    assert "/" not in execution.stderr.replace("font(s)", "")


async def test_no_figure_is_kept_after_its_cell(drawing: LocalSandbox) -> None:
    await drawing.run(
        "import gc, weakref\nrefs = []\nfor show in (plt.show, lambda: display(plt.gcf()), lambda: None):\n"
        "    plt.plot([1])\n    refs.append(weakref.ref(plt.gcf()))\n    show()"
    )
    await drawing.run("plt.close('all')\ngc.collect();")
    assert (await drawing.run("[ref() for ref in refs]")).text == "[None, None, None]"


async def test_a_thread_that_shows_a_figure_between_cells_is_heard(drawing: LocalSandbox) -> None:
    await drawing.run(
        "import threading\ndef later():\n    plt.plot([1]); plt.title('late'); plt.show(); open('done', 'w').close()\n"
        "threading.Timer(0.05, later).start()"
    )
    await drawing.command.shell("for n in $(seq 200); do [ -e done ] && exit 0; sleep 0.05; done; exit 1", check=True)
    execution = await drawing.run("None")
    assert titles(execution) == ["late"]
    assert [artifact.execution for artifact in execution.artifacts] == [execution.number]


async def test_an_animation_is_shown_by_its_html(drawing: LocalSandbox) -> None:
    execution = await drawing.run(
        """
from matplotlib.animation import FuncAnimation
plt.rcParams["animation.html"] = "jshtml"
figure, axes = plt.subplots(figsize=(2, 2))
line, = axes.plot([0, 1])
animation = FuncAnimation(figure, lambda n: line.set_ydata([0, n]), frames=2)
plt.close()
animation
"""
    )
    (result,) = execution.results
    assert result.main
    assert "<script" in (result.html or "")


async def test_plots_of_pandas_are_captured(drawing: LocalSandbox) -> None:
    execution = await drawing.run("import pandas as pd\npd.DataFrame({'a': [1, 2]}).plot.bar()")
    assert [(result.main, result.png is not None) for result in execution.results] == [(True, False), (False, True)]
    assert execution.text == "<Axes: >"


async def test_the_hooks_leave_the_methods_as_they_look(drawing: LocalSandbox) -> None:
    execution = await drawing.run(
        "import inspect, matplotlib.figure\n"
        "[m.__name__ for m in (plt.Axes.bxp, plt.Axes.pie, plt.Axes.violin, plt.Figure.show)],"
        " 'positions' in inspect.signature(plt.Axes.bxp).parameters"
    )
    assert execution.text == "(['bxp', 'pie', 'violin', 'show'], True)"


# --- plotly and altair ---

PLOTLY = "import plotly.graph_objects as go\nfigure = go.Figure(go.Bar(x=['a'], y=[1]), layout={'title': 'T'})\n"
ALTAIR = (
    "import altair as alt, pandas as pd\n"
    "figure = alt.Chart(pd.DataFrame({'a': ['x'], 'b': [1]}), title='T').mark_bar().encode(x='a', y='b')\n"
)


@pytest.mark.parametrize(
    ("library", "code", "mime"),
    [("plotly", PLOTLY, "application/vnd.plotly.v1+json"), ("altair", ALTAIR, "application/vnd.vegalite.")],
)
@pytest.mark.parametrize("way", ["figure", "display(figure)", "figure.show()"])
async def test_figures_of_other_libraries_give_their_json_html_and_chart(
    box: LocalSandbox, library: str, code: str, mime: str, way: str
) -> None:
    pytest.importorskip(library)
    execution = await box.run(code + way)
    (result,) = execution.results
    assert result.main == (way == "figure")
    (found,) = (content for name, content in result.data.items() if name.startswith(mime))
    assert isinstance(found, dict)
    assert "<script" in (result.html or "")
    assert result.chart is not None
    assert (result.chart["type"], result.chart["title"]) == ("bar", "T")
    assert result.chart["series"][0]["values"] == [1]
    assert [artifact.name for artifact in execution.artifacts] == ["figure-1.html"]
    assert "Traceback" not in execution.stderr


@pytest.mark.parametrize("way", ["figure", "display(figure)", "show(figure)"])
async def test_plots_of_bokeh_give_html(box: LocalSandbox, way: str) -> None:
    pytest.importorskip("bokeh")
    execution = await box.run(
        f"from bokeh.plotting import figure as make, show\nfigure = make(title='T')\nfigure.line([1], [2])\n{way}"
    )
    assert [artifact.name for artifact in execution.artifacts] == ["figure-1.html"]
    assert any("Bokeh" in (result.html or "") for result in execution.results)
    assert execution.stderr == ""


async def test_plotly_opens_no_browser_whatever_is_asked_for(box: LocalSandbox) -> None:
    pytest.importorskip("plotly")
    execution = await box.run(
        PLOTLY + "import plotly.io as pio\npio.renderers.default = 'browser'\nfigure.show()\n"
        "figure.show(renderer='png')\npio.show({'data': [{'type': 'bar', 'y': [1]}]})"
    )
    assert [result.chart["type"] for result in execution.results if result.chart] == ["bar", "bar", "bar"]
    assert len(execution.artifacts) == 3


async def test_a_chart_that_altair_refuses_says_why(box: LocalSandbox) -> None:
    pytest.importorskip("altair")
    execution = await box.run(
        "import altair as alt, pandas as pd\nalt.Chart(pd.DataFrame({'a': range(6000)})).mark_bar().encode(x='a')"
    )
    assert "MaxRowsError" in execution.stderr
    assert execution.text == "alt.Chart(...)"
    assert execution.results[0].chart is None


async def test_a_large_figure_of_plotly_still_has_its_text_and_chart(box: LocalSandbox) -> None:
    pytest.importorskip("plotly")
    execution = await box.run(
        "import plotly.graph_objects as go, numpy as np\ngo.Figure(go.Scatter(y=np.random.rand(2_000_000)))"
    )
    (result,) = execution.results
    assert "application/vnd.plotly.v1+json left out" in (result.text or "")
    assert "text/html left out" in (result.text or "")
    assert result.chart is not None
    assert result.chart["series"][0]["count"] == 2_000_000


def test_the_table_of_libraries_names_what_there_is() -> None:
    alt, plotly = pytest.importorskip("altair"), pytest.importorskip("plotly.basedatatypes")
    from sandbox.inside.python import libraries

    made: list[tuple[Any, str]] = [(alt.Chart(), "altair"), (plotly.BaseFigure(), "plotly")]
    for value, name in made:
        library = libraries.shower_of(value)
        assert library is not None
        assert library.module.startswith(name)
    assert libraries.shower_of(object()) is None
    assert libraries.shower_of(alt.Chart) is None
