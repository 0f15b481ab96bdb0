"""What a run leaves: tables, the figures of each round, a plot."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks import plot, report
from benchmarks.cases import NAMES
from benchmarks.figures import Goal, compare
from benchmarks.machine import Machine, Meanwhile

FIGURES = {
    "cold": [
        compare("a start", [[0.008]], "a peer", [[0.9]], goals=(Goal("ratio", ">=", 100),), note="as it is"),
        compare("alone", [[3e6]], unit="bytes", goals=(Goal("ours", "<=", 4e6),)),
    ],
    "warm": [
        compare(
            "a run",
            [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]],
            "the bare thing",
            [[0.1], [0.1]],
            better=False,
            goals=(Goal("ratio", "<=", 2),),
        )
    ],
    "saving": [compare("an addition", [[0.002, 0.004]], goals=(Goal("p99", "<=", 0.003),), note="with an array")],
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
    assert "| an addition <sup>1</sup> | 3 ms / 3.98 ms | — | — | — | p99 ≤ 3 ms | **missed by 33 %** |" in text


def test_each_section_has_a_table_and_a_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    running, state = written(tmp_path).split("\n## State\n")
    assert "![the ratios](running-code.png)" in running
    assert "| a start " in running
    assert "![the ratios](state.png)" in state
    assert "| an addition " in state.partition("## From round to round")[0]
    assert "| a start " not in state


def test_a_section_without_figures_is_left_out(tmp_path: Path) -> None:
    report.write(msgspec.structs.replace(results(), figures={"warm": FIGURES["warm"]}), tmp_path)
    assert "## State" not in (tmp_path / "RESULTS.md").read_text(encoding="utf-8")


def test_the_way_to_run_some_of_them_names_all_there_are(tmp_path: Path) -> None:
    assert " ".join(NAMES) in written(tmp_path)


def test_what_is_missed_is_said_before_the_table(tmp_path: Path) -> None:
    before, _, _ = written(tmp_path).partition("| what |")
    assert "2 of 4 goals are met; missed are:" in before
    assert "* a run, against the bare thing: 3.5x the cost, goal ≤ 2x, missed by 75 %\n" in before
    assert "* an addition: 3.98 ms, goal p99 ≤ 3 ms, missed by 33 %\n" in before
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


def test_there_is_a_plot_of_each_section_also_of_a_single_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot.draw(results(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["running-code.png", "state.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
