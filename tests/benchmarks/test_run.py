"""The whole harness, with small amounts and one round: no figure is judged here."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from benchmarks import peers
from benchmarks.cases import NAMES, SECTIONS
from benchmarks.figures import Figure
from benchmarks.peers.saving import NAMES as NAMES_OF_SAVING
from benchmarks.proc import descendants
from benchmarks.report import Results, plot_of

ROOT = Path(__file__).parents[2]
_SET_CHILD_SUBREAPER = 36
_SECONDS = 50
HERE = ("animation",) if importlib.util.find_spec("manim") else ()
# All but two, which are measured with their peers.
ALONE = (
    ("first_result", "cold", "memory"),
    ("many", "stdout", "commands", "files", *HERE),
    ("mcp", "node"),
    ("remote", "clients"),
    ("transfer", "parked"),
    ("arrays", "analysis"),
    ("restoring", "forking"),
)


class Surroundings:
    """A directory for temporary files and one for the engine's, and whose children orphans become: ours."""

    def __init__(self, directory: Path) -> None:
        self.temporary, self.home = directory / "temporary", directory / "home"
        self.temporary.mkdir()
        self.home.mkdir(mode=0o711)
        self.environment = {**os.environ, "TMPDIR": str(self.temporary), "SANDBOX_HOME": str(self.home)}
        self._before = set(descendants(os.getpid()))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1", *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code and what came on standard error."""
        with self.start(*arguments) as process:
            _, errors = process.communicate(timeout=_SECONDS)
        return process.returncode, errors

    def left(self) -> list[str]:
        """What is left behind: files, and processes that do not end."""
        files = [str(path) for place in (self.temporary, self.home / "run") for path in place.glob("*")]
        return files + [_name(pid) for pid in set(descendants(os.getpid())) - self._before if not _ended(pid)]


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def _ended(pid: int) -> bool:
    """Whether it has ended; it is waited for if it has become ours."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return not Path(f"/proc/{pid}").exists()


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)
    yield Surroundings(tmp_path_factory.mktemp("benchmarks"))
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 0)


def check(directory: Path, names: tuple[str, ...]) -> dict[str, list[Figure]]:
    """See that each benchmark has measured something that is in the table, and return the figures."""
    figures = msgspec.json.decode((directory / "results.json").read_bytes(), type=Results).figures
    assert set(figures) == set(names)
    table = (directory / "RESULTS.md").read_text(encoding="utf-8")
    for figure in (figure for some in figures.values() for figure in some):
        assert figure.ours.p50 > 0
        assert f"| {figure.what}" in table
    for title, of_section in SECTIONS.items():
        assert (directory / plot_of(title)).exists() is not set(of_section).isdisjoint(names)
    return figures


@pytest.mark.parametrize("names", ALONE, ids=" ".join)
def test_every_benchmark_measures_something_shows_it_and_leaves_nothing_behind(
    names: tuple[str, ...], surroundings: Surroundings, tmp_path: Path
) -> None:
    code, errors = surroundings.run(*names, "--no-peers", "--out", str(tmp_path))
    assert code == 0, errors
    check(tmp_path, names)
    assert surroundings.left() == []


def test_peers_are_measured_on_the_same_work_and_end(surroundings: Surroundings, tmp_path: Path) -> None:
    code, errors = surroundings.run("warm", "--out", str(tmp_path))
    assert code == 0, errors
    figures = check(tmp_path, ("warm",))["warm"]
    assert surroundings.left() == []
    if not peers.present("ipykernel"):
        assert "ipykernel is left out" in errors
        pytest.skip("ipykernel or its client is not installed: ours was measured, and the ping-pong")
    found = [figure.peer for figure in figures if "ipykernel" in figure.peer_name]
    assert [peer is not None and peer.p50 > 0 for peer in found] == [True] * 4


def test_peers_that_save_sessions_run_the_same_cells_and_end(surroundings: Surroundings, tmp_path: Path) -> None:
    code, errors = surroundings.run("saving", "--out", str(tmp_path))
    assert code == 0, errors
    figures = check(tmp_path, ("saving",))["saving"]
    assert surroundings.left() == []
    wanted = [peer for peer in ("dill", "kishu") if peers.present(peer)]
    if not wanted:
        assert "dill is left out" in errors
        pytest.skip("neither dill nor kishu is installed beside: ours was measured")
    found = {figure.peer_name for figure in figures if figure.peer is not None and figure.peer.p50 > 0}
    assert found >= {NAMES_OF_SAVING[peer] for peer in wanted}


def test_a_run_that_is_interrupted_leaves_nothing_behind(surroundings: Surroundings, tmp_path: Path) -> None:
    with surroundings.start("first_result", "--no-peers", "--out", str(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "first_result:\n"
        until(lambda: any((surroundings.home / "run").glob("*/workspaces/*")))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=_SECONDS)
    assert process.returncode != 0
    until(lambda: surroundings.left() == [])
    assert list(tmp_path.iterdir()) == []


def test_no_benchmark_is_without_a_test() -> None:
    assert {"warm", "saving", "animation", *itertools.chain(*ALONE)} == set(NAMES)


def test_a_name_that_is_not_a_benchmark_is_refused_with_those_that_are(
    surroundings: Surroundings, tmp_path: Path
) -> None:
    code, errors = surroundings.run("wram", "--out", str(tmp_path))
    assert code == 2
    assert "there is no benchmark wram; there are: first_result, " in errors
    assert list(tmp_path.iterdir()) == []
