"""What a run leaves: tables, the figures of each round, a plot."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks import plot, report
from benchmarks.figures import Goal, compare
from benchmarks.machine import Machine, Meanwhile

FIGURES = {
    "first": [
        compare("a start", [[0.008]], "a peer", [[0.9]], goals=(Goal("ratio", ">=", 100),), note="as it is"),
        compare("alone", [[3e6]], unit="bytes", goals=(Goal("ours", "<=", 4e6),)),
    ],
    "second": [
        compare(
            "a run",
            [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]],
            "the bare thing",
            [[0.1], [0.1]],
            better=False,
            goals=(Goal("ratio", "<=", 2),),
        )
    ],
}
QUIET = Meanwhile(0.01, 0.0)


def results(meanwhile: Meanwhile = QUIET) -> report.Results:
    return report.Results(Machine.now(), meanwhile, "`namespaces`", 12.0, False, FIGURES)


def written(directory: Path, meanwhile: Meanwhile = QUIET) -> str:
    report.write(results(meanwhile), directory)
    return (directory / "RESULTS.md").read_text(encoding="utf-8")


def test_the_table_has_a_line_for_each_figure_with_its_verdict(tmp_path: Path) -> None:
    text = written(tmp_path)
    assert "| a start <sup>1</sup> | 8 ms | a peer | 900 ms | 112x better | ≥ 100x | met |" in text
    assert "| alone | 3 MB | — | — | — | ≤ 4 MB | met |" in text
    assert (
        "| a run | 350 ms / 595 ms | the bare thing | 100 ms / 100 ms | 3.5x the cost | ≤ 2x | **missed by 75 %** |"
        in text
    )
    assert "\n1. as it is\n" in text


def test_what_is_missed_is_said_before_the_table(tmp_path: Path) -> None:
    before, _, _ = written(tmp_path).partition("| what |")
    assert "2 of 3 goals are met; missed are:" in before
    assert "* a run, against the bare thing: 3.5x the cost, goal ≤ 2x, missed by 75 %\n" in before
    assert "a start" not in before


def test_what_was_measured_in_rounds_is_told_with_their_spread(tmp_path: Path) -> None:
    _, _, after = written(tmp_path).partition("## From round to round")
    assert "| a run | 2 | 6; 2 | 300 to 400 ms | the bare thing: 100 to 100 ms | 3 to 4x |" in after
    assert "| a start" not in after


def test_the_figures_can_be_read_back(tmp_path: Path) -> None:
    written(tmp_path)
    raw = (tmp_path / "results.json").read_bytes()
    assert msgspec.json.decode(raw, type=report.Results).figures == FIGURES


@pytest.mark.parametrize(
    ("meanwhile", "warned"), [(QUIET, False), (Meanwhile(0.2, 0.0), True), (Meanwhile(0.0, 0.1), True)]
)
def test_a_busy_machine_is_said_to_have_been_busy(meanwhile: Meanwhile, warned: bool, tmp_path: Path) -> None:
    assert ("worth accordingly little" in written(tmp_path, meanwhile)) is warned


def test_the_plot_is_an_image_also_of_a_single_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for number, figures in enumerate((FIGURES, {"second": FIGURES["second"]})):
        path = tmp_path / f"{number}.png"
        plot.draw(msgspec.structs.replace(results(), figures=figures), path)
        assert path.read_bytes().startswith(b"\x89PNG")
