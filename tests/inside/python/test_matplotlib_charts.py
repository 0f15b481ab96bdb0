"""The data of figures of matplotlib: what a program reads of a plot."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox import LocalSandbox

START = "import matplotlib.pyplot as plt, numpy as np, pandas as pd\n"


@pytest.fixture
async def draw(box: LocalSandbox) -> Any:
    """Runs code of matplotlib and returns the chart of its only figure."""

    async def draw(code: str) -> dict[str, Any]:
        execution = await box.run(START + code)
        (chart,) = (result.chart for result in execution.results if result.png)
        assert chart is not None
        assert "unread" not in chart
        return chart

    return draw


async def test_a_line_plot_tells_its_title_axes_and_points(draw: Any) -> None:
    chart = await draw(
        "plt.plot([1, 2, 3], [4, np.nan, 6], label='a')\nplt.plot([1, 2], [0, 1], 'o', label='b')\nplt.title('T')\n"
        "plt.xlabel('X')\nplt.ylabel('Y (m)')\nplt.yscale('symlog')\nplt.xlim(0, 4)\nplt.xticks([0, 2, 4]);"
    )
    assert (chart["type"], chart["title"]) == ("mixed", "T")
    assert chart["axes"]["x"] == {
        "label": "X",
        "scale": "linear",
        "limits": [0.0, 4.0],
        "ticks": [0.0, 2.0, 4.0],
        "tick_labels": ["0", "2", "4"],
    }
    assert (chart["axes"]["y"]["label"], chart["axes"]["y"]["scale"]) == ("Y (m)", "symlog")
    assert chart["series"] == [
        {"name": "a", "type": "line", "x": [1.0, 2.0, 3.0], "y": [4.0, None, 6.0]},
        {"name": "b", "type": "scatter", "x": [1.0, 2.0], "y": [0.0, 1.0]},
    ]


async def test_dates_are_iso_strings(draw: Any) -> None:
    chart = await draw("plt.plot(pd.date_range('2024-01-01', periods=2, freq='12h'), [1, 2]);")
    assert chart["series"][0]["x"] == ["2024-01-01T00:00:00", "2024-01-01T12:00:00"]
    assert chart["axes"]["x"]["scale"] == "datetime"
    assert chart["axes"]["x"]["limits"][0].startswith("2023-12-31T")


async def test_periods_of_pandas_are_dates_too(draw: Any) -> None:
    chart = await draw("pd.Series([1, 2], index=pd.date_range('2024-01-31', periods=2)).plot();")
    assert chart["series"][0]["x"] == ["2024-01-31", "2024-02-01"]
    assert chart["axes"]["x"]["scale"] == "datetime"


async def test_bars_have_labels_values_groups_and_errors(draw: Any) -> None:
    chart = await draw(
        "plt.bar(['a', 'b'], [1, 2], yerr=[.5, 1], label='g')\nplt.bar(['a', 'b'], [3, 4], bottom=[1, 2]);"
    )
    assert chart["type"] == "bar"
    assert chart["axes"]["x"]["scale"] == "categorical"
    assert chart["series"] == [
        {"name": "g", "type": "bar", "orientation": "vertical", "labels": ["a", "b"], "values": [1.0, 2.0],
         "low": [0.5, 1.0], "high": [1.5, 3.0]},
        {"name": None, "type": "bar", "orientation": "vertical", "labels": ["a", "b"], "values": [3.0, 4.0],
         "bases": [1.0, 2.0]},
    ]  # fmt: skip


async def test_grouped_bars_of_pandas_take_the_nearest_label(draw: Any) -> None:
    chart = await draw("pd.DataFrame({'a': [1, 2], 'b': [3, 4]}, index=['x', 'y']).plot.barh();")
    assert [(one["name"], one["orientation"], one["labels"], one["values"]) for one in chart["series"]] == [
        ("a", "horizontal", ["x", "y"], [1.0, 2.0]),
        ("b", "horizontal", ["x", "y"], [3.0, 4.0]),
    ]


async def test_bars_at_numbers_are_labelled_with_them(draw: Any) -> None:
    chart = await draw("plt.bar([2019, 2020], [-1, 2]);")
    assert (chart["series"][0]["labels"], chart["series"][0]["values"]) == ([2019.0, 2020.0], [-1.0, 2.0])


@pytest.mark.parametrize("orientation", ["vertical", "horizontal"])
@pytest.mark.parametrize("histtype", ["bar", "step", "stepfilled"])
async def test_a_histogram_has_edges_and_counts(draw: Any, histtype: str, orientation: str) -> None:
    chart = await draw(
        f"plt.hist([1, 1, 2, 5], bins=[0, 1.5, 3, 6], histtype={histtype!r}, orientation={orientation!r});"
    )
    assert (chart["type"], chart["series"][0]["orientation"]) == ("histogram", orientation)
    assert chart["series"][0]["edges"] == [0.0, 1.5, 3.0, 6.0]
    assert chart["series"][0]["counts"] == [2.0, 1.0, 1.0]


async def test_counts_of_whole_numbers_are_bars(draw: Any) -> None:
    assert (await draw("plt.bar([1, 2, 3], [4, 5, 6], width=1.0);"))["type"] == "bar"


async def test_a_pie_has_labels_values_angles_and_radius(draw: Any) -> None:
    chart = await draw("plt.pie([1, 3], labels=['a', 'b'], autopct='%.0f', explode=[0, .1]);")
    assert (chart["type"], chart["axes"]) == ("pie", {})
    assert chart["series"] == [
        {"name": None, "type": "pie", "labels": ["a", "b"], "values": [1, 3], "angles": [90.0, 270.0], "radius": 1.0}
    ]


async def test_the_rings_of_a_nested_pie_are_series_of_their_own(draw: Any) -> None:
    chart = await draw("plt.pie(x=[1, 1], radius=1)\nplt.pie([2, 1, 1], radius=.5)\nplt.legend(['p', 'q']);")
    assert [(one["radius"], one["values"]) for one in chart["series"]] == [(1.0, [1, 1]), (0.5, [2, 1, 1])]
    assert chart["series"][0]["labels"] == ["p", "q"]


@pytest.mark.parametrize("patch", [False, True])
@pytest.mark.parametrize("orientation", ["vertical", "horizontal"])
async def test_boxes_have_their_five_numbers_and_outliers(draw: Any, patch: bool, orientation: str) -> None:
    lies = orientation == "horizontal"
    chart = await draw(
        "import inspect\nnew = 'orientation' in inspect.signature(plt.boxplot).parameters\n"
        f"way = {{'orientation': {orientation!r}}} if new else {{'vert': {not lies}}}\n"
        f"plt.boxplot([[1, 2, 3, 4, 50], [2, 3, 4]], patch_artist={patch}, **way)\n"
        f"plt.{'y' if lies else 'x'}ticks([1, 2], ['p', 'q']);"
    )
    assert chart["type"] == "box"
    (found,) = chart["series"]
    assert found["orientation"] == orientation
    first = {"label": "p", "min": 1, "first_quartile": 2.0, "median": 3.0, "third_quartile": 4.0, "max": 4}
    assert found["boxes"][0] == {**first, "outliers": [50], "mean": 12.0}
    assert found["boxes"][1]["label"] == "q"


async def test_boxes_of_pandas_are_read(draw: Any) -> None:
    chart = await draw("pd.DataFrame({'a': [1, 2, 3], 'b': [4, 5, 6]}).boxplot();")
    assert [(one["label"], one["median"]) for one in chart["series"][0]["boxes"]] == [("a", 2.0), ("b", 5.0)]


async def test_violins_have_their_numbers(draw: Any) -> None:
    chart = await draw("plt.violinplot([[1, 2, 6], [2, 3, 4]], positions=[3, 7]);")
    assert chart["type"] == "violin"
    assert chart["series"][0]["violins"][0] == {"label": 3.0, "min": 1, "mean": 3.0, "median": 2.0, "max": 6}
    assert chart["series"][0]["violins"][1]["label"] == 7.0


async def test_points_have_their_colours_sizes_and_scale(draw: Any) -> None:
    chart = await draw(
        "plt.scatter([1, 10], [3, 4], c=[.5, .7], s=[10, 20])\nplt.xscale('log')\nplt.colorbar(label='C');"
    )
    assert chart["series"] == [
        {"name": None, "type": "scatter", "x": [1.0, 10.0], "y": [3.0, 4.0], "color": [0.5, 0.7], "size": [10, 20]}
    ]
    assert chart["axes"]["x"]["scale"] == "log"
    assert chart["axes"]["color"]["label"] == "C"


async def test_points_that_the_legend_tells_apart_by_colour_have_groups(draw: Any) -> None:
    chart = await draw(
        "plt.scatter([1, 2, 3], [1, 2, 3], c=['red', 'blue', 'red'])\n"
        "handles = [plt.Line2D([], [], ls='', marker='o', color=c, label=c[0]) for c in ('red', 'blue')]\n"
        "plt.legend(handles=handles);"
    )
    assert (chart["series"][0]["name"], chart["series"][0]["group"]) == (None, ["r", "b", "r"])


async def test_areas_tell_their_curve_and_base(draw: Any) -> None:
    chart = await draw("plt.fill_between([1, 2], [3, 4])\nplt.stackplot([1, 2], [1, 2], [5, 5], labels=['s', 't']);")
    assert chart["type"] == "area"
    assert chart["series"] == [
        {"name": None, "type": "area", "x": [1.0, 2.0], "y": [3.0, 4.0]},
        {"name": "s", "type": "area", "x": [1.0, 2.0], "y": [1.0, 2.0]},
        {"name": "t", "type": "area", "x": [1.0, 2.0], "y": [6.0, 7.0], "base": [1.0, 2.0]},
    ]


async def test_error_bars_belong_to_their_points(draw: Any) -> None:
    chart = await draw("plt.errorbar([1, 2], [3, 4], yerr=.5, xerr=[.25, .5], label='e', capsize=3);")
    assert chart["series"] == [
        {"name": "e", "type": "line", "x": [1.0, 2.0], "y": [3.0, 4.0], "y_low": [2.5, 3.5], "y_high": [3.5, 4.5],
         "x_low": [0.75, 1.5], "x_high": [1.25, 2.5]}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "x", "y"),
    [
        ("plt.imshow([[1, 2], [3, 4]])", [0.0, 1.0], [0.0, 1.0]),
        ("plt.pcolormesh([[1, 2], [3, 4]])", [0.5, 1.5], [0.5, 1.5]),
    ],
)
async def test_a_heatmap_has_its_rows(draw: Any, code: str, x: list[float], y: list[float]) -> None:
    chart = await draw(f"{code};")
    assert chart["type"] == "heatmap"
    assert chart["series"] == [{"name": None, "type": "heatmap", "z": [[1.0, 2.0], [3.0, 4.0]], "x": x, "y": y}]


async def test_a_picture_has_only_its_shape(draw: Any) -> None:
    chart = await draw("plt.imshow(np.zeros((4, 3, 3)));")
    assert chart["series"] == [{"name": None, "type": "image", "shape": [4, 3, 3]}]


async def test_stems_steps_and_segments_are_read(draw: Any) -> None:
    chart = await draw("plt.stem([1, 2], [3, 4])\nplt.stairs([1, 2], [0, 1, 2])\nplt.vlines([1, 2], 0, 1);")
    stem, stairs, segments = chart["series"]
    assert (stem["type"], stem["y"]) == ("stem", [3.0, 4.0])
    assert (stairs["type"], stairs["edges"], stairs["counts"]) == ("histogram", [0, 1, 2], [1, 2])
    assert segments["x"] == [1.0, 1.0, None, 2.0, 2.0]


async def test_lines_and_spans_across_the_plot_are_references(draw: Any) -> None:
    chart = await draw(
        "plt.plot([1, 2], [3, 4])\nplt.axhline(3.5, label='limit')\nplt.axvline(1.5)\nplt.axvspan(1, 1.2);"
    )
    assert chart["type"] == "line"
    assert chart["series"][1:] == [
        {"name": "limit", "type": "reference_line", "orientation": "horizontal", "y": 3.5},
        {"name": None, "type": "reference_line", "orientation": "vertical", "x": 1.5},
        {"name": None, "type": "reference_span", "orientation": "vertical", "x": [1, 1.2]},
    ]


async def test_several_axes_make_a_figure_of_charts(draw: Any) -> None:
    chart = await draw(
        "figure, (a, b) = plt.subplots(1, 2)\na.plot([1, 2])\na.set_title('A')\nb.bar(['x'], [1])\n"
        "figure.suptitle('S');"
    )
    assert (chart["type"], chart["title"]) == ("figure", "S")
    assert [(one["type"], one["title"]) for one in chart["charts"]] == [("line", "A"), ("bar", None)]


async def test_twin_axes_are_one_chart_with_two_scales(draw: Any) -> None:
    chart = await draw("plt.plot([1, 2], label='l')\nplt.twinx().bar([0, 1], [50, 60])\nplt.ylabel('right');")
    assert chart["type"] == "mixed"
    assert chart["axes"]["y2"]["label"] == "right"
    assert ["axis" in one for one in chart["series"]] == [False, True]
    assert chart["series"][1]["axis"] == "y2"


async def test_plots_in_space_have_three_axes(draw: Any) -> None:
    chart = await draw(
        "a = plt.figure().add_subplot(projection='3d')\na.scatter([1], [2], [3])\na.plot([1], [2], [4]);"
    )
    assert (chart["projection"], sorted(chart["axes"])) == ("3d", ["x", "y", "z"])
    assert [(one["type"], one["z"]) for one in chart["series"]] == [("scatter", [3.0]), ("line", [4.0])]


async def test_the_legend_names_what_has_no_name(draw: Any) -> None:
    chart = await draw("plt.plot([1, 2])\nplt.plot([3, 4])\nplt.legend(['one', 'two']);")
    assert [one["name"] for one in chart["series"]] == ["one", "two"]


async def test_the_legend_names_by_colour_what_other_libraries_draw(draw: Any) -> None:
    """As seaborn does: bars without names, their errors as lines, and a legend of patches."""
    chart = await draw(
        "from matplotlib.patches import Patch\n"
        "for n, color in enumerate(('red', 'blue')):\n"
        "    plt.bar([n * .4, 1 + n * .4], [2, 3], width=.4, color=color)\n"
        "    for x in (n * .4, 1 + n * .4): plt.plot([x, x], [1, 4], color='gray')\n"
        "plt.legend(handles=[Patch(color='blue', label='B'), Patch(color='red', label='R')]);"
    )
    assert chart["type"] == "bar"
    assert [(one["name"], one["values"], one["low"], one["high"]) for one in chart["series"]] == [
        ("R", [2.0, 3.0], [1.0, 1.0], [4.0, 4.0]),
        ("B", [2.0, 3.0], [1.0, 1.0], [4.0, 4.0]),
    ]


async def test_boxes_that_the_legend_tells_apart_have_groups(draw: Any) -> None:
    chart = await draw(
        "parts = plt.boxplot([[1, 2], [3, 4]], patch_artist=True)['boxes']\n"
        "parts[0].set_facecolor('red'); parts[1].set_facecolor('blue')\nplt.legend(parts, ['R', 'B']);"
    )
    assert [(one["label"], one["group"]) for one in chart["series"][0]["boxes"]] == [(1.0, "R"), (2.0, "B")]


async def test_stacked_histograms_have_bases(draw: Any) -> None:
    chart = await draw("plt.hist([[1, 2, 2], [1, 1, 2]], bins=[0, 1.5, 3], stacked=True, label=['a', 'b']);")
    assert [(one["name"], one["counts"], one.get("bases")) for one in chart["series"]] == [
        ("a", [1.0, 2.0], None),
        ("b", [2.0, 1.0], [1.0, 2.0]),
    ]


async def test_texts_on_the_plot_are_told(draw: Any) -> None:
    chart = await draw("plt.plot([1, 2])\nplt.annotate('peak', (1, 2), (0, 1));")
    assert chart["texts"] == [{"text": "peak", "x": 1, "y": 2}]


async def test_long_series_are_thinned_out_and_say_so(draw: Any) -> None:
    chart = await draw("plt.plot(np.arange(20_000))\nplt.scatter(np.arange(12_000), np.arange(12_000));")
    line, points = chart["series"]
    assert (line["truncated"], line["count"], line["every"]) == (True, 20_000, 4)
    assert line["y"][:3] == [0.0, 4.0, 8.0]
    assert len(points["x"]) == len(points["y"]) == 4000


async def test_many_series_are_bounded_and_say_so(draw: Any) -> None:
    chart = await draw("plt.plot(np.zeros((2, 130)));")
    assert (len(chart["series"]), chart["truncated"], chart["series_count"]) == (100, True, 130)


async def test_a_chart_is_never_large(draw: Any) -> None:
    chart = await draw("plt.plot(np.linspace(0, 1, 4000)[:, None] * np.arange(100) / 7);")
    assert len(json.dumps(chart)) < 4_000_000
    assert chart["series"][0]["count"] == 4000


async def test_what_cannot_be_read_is_named(box: LocalSandbox) -> None:
    execution = await box.run(
        START + "from matplotlib.patches import FancyArrow\naxes = plt.subplots()[1]\naxes.plot([1])\n"
        "class Odd(plt.Line2D):\n    def get_xdata(self, orig=True): return object()\n"
        "axes.add_patch(FancyArrow(0, 0, 1, 1))\nodd = Odd([], [])\naxes._children.append(odd)\nodd.axes = axes\n"
        "odd.draw = lambda renderer: None;"
    )
    chart = execution.results[0].chart
    assert chart is not None
    assert "Odd" in chart["unread"]
    assert chart["series"][0]["type"] == "line"


async def test_a_figure_without_axes_has_no_chart(box: LocalSandbox) -> None:
    execution = await box.run(START + "plt.figure().suptitle('only this');")
    assert execution.results[0].chart is None


async def test_axes_that_run_the_other_way_say_so_and_powers_are_text(draw: Any) -> None:
    chart = await draw("plt.plot([1, 10, 1000], [1, 2, 3])\nplt.xscale('log')\nplt.gca().invert_yaxis();")
    x, y = chart["axes"]["x"], chart["axes"]["y"]
    assert "inverted" not in x
    assert [label for place, label in zip(x["ticks"], x["tick_labels"], strict=True) if place == 100] == ["10^2"]
    assert (y["inverted"], y["limits"] == sorted(y["limits"])) == (True, True)
