"""What a run leaves: a table, the raw figures, a plot."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks import plot, report
from benchmarks.figures import Goal, compare
from benchmarks.machine import Machine

FIGURES = {
    "first": [
        compare("a start", [[0.008]], "a peer", [[0.9]], goals=(Goal("ratio", ">=", 100),), note="as it is"),
        compare("alone", [[3e6]], unit="bytes", goals=(Goal("ours", "<=", 4e6),)),
    ],
    "second": [compare("a run", [[0.3]], "the bare thing", [[0.1]], better=False, goals=(Goal("ratio", "<=", 2),))],
}


def results(load: float = 0.1) -> report.Results:
    machine = msgspec.structs.replace(Machine.now(), load=load)
    return report.Results(machine, "`namespaces`", 12.0, False, FIGURES)


def test_the_table_has_a_line_for_each_figure_with_its_verdict(tmp_path: Path) -> None:
    report.write(results(), tmp_path)
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "| a start <sup>1</sup> | 8 ms (n=1) | a peer: 900 ms (n=1) | 112x better | ≥ 100x | yes |" in text
    assert "| alone | 3 MB (n=1) | — | — | ≤ 4 MB | yes |" in text
    assert "| a run | 300 ms (n=1) | the bare thing: 100 ms (n=1) | 3x the cost | ≤ 2x | **no** |" in text
    assert "\n1. as it is\n" in text


def test_the_raw_figures_can_be_read_back(tmp_path: Path) -> None:
    report.write(results(), tmp_path)
    raw = (tmp_path / "results.json").read_bytes()
    assert msgspec.json.decode(raw, type=report.Results).figures == FIGURES


@pytest.mark.parametrize(("load", "warned"), [(0.4, False), (0.6, True)])
def test_a_busy_machine_is_said_to_have_been_busy(load: float, warned: bool, tmp_path: Path) -> None:
    report.write(results(load), tmp_path)
    assert ("something else was running" in (tmp_path / "RESULTS.md").read_text(encoding="utf-8")) is warned


def test_the_plot_is_an_image_also_of_a_single_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for number, figures in enumerate((FIGURES, {"second": FIGURES["second"]})):
        path = tmp_path / f"{number}.png"
        plot.draw(msgspec.structs.replace(results(), figures=figures), path)
        assert path.read_bytes().startswith(b"\x89PNG")
