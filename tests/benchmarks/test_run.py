"""The whole harness, with small amounts and one round: no figure is judged here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.cases import NAMES
from benchmarks.report import Results

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)


def measured(directory: Path) -> Results:
    return msgspec.json.decode((directory / "results.json").read_bytes(), type=Results)


@pytest.mark.parametrize("names", [NAMES[:4], NAMES[4:]], ids=" ".join)
def test_every_benchmark_measures_something_and_its_line_is_in_the_table(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    ended = run(*names, "--no-peers", "--out", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    figures = measured(tmp_path).figures
    assert set(figures) == set(names)
    table = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    for figure in (figure for some in figures.values() for figure in some):
        assert figure.ours.p50 > 0
        assert f"| {figure.what}" in table
    assert (tmp_path / "results.png").stat().st_size > 1000


@pytest.mark.skipif(importlib.util.find_spec("ipykernel") is None, reason="ipykernel is not installed")
def test_a_peer_is_measured_on_the_same_work(tmp_path: Path) -> None:
    ended = run("warm", "--out", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    peers = {figure.peer_name: figure.peer for figure in measured(tmp_path).figures["warm"]}
    assert any("ipykernel" in name and peer is not None and peer.p50 > 0 for name, peer in peers.items())


def test_a_name_that_is_not_a_benchmark_is_refused_with_those_that_are(tmp_path: Path) -> None:
    ended = run("wram", "--out", str(tmp_path))
    assert ended.returncode == 2
    assert "'wram'" in ended.stderr or "wram; there are" in ended.stderr
    assert "first_result" in ended.stderr
    assert not list(tmp_path.iterdir())
