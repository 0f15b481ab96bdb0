"""The engine's directories: marked as alive by a lock, swept when their engine has died, private to their user."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.engine import paths
from sandbox.engine.paths import RunDirectory, cache_dir, data_dir, private, sweep
from sandbox.errors import SandboxStartError

pytestmark = pytest.mark.usefixtures("no_new_descriptors")

LIVING = """
import sys
from pathlib import Path
from sandbox.engine.paths import RunDirectory
run = RunDirectory(Path(sys.argv[1]))
(run.workspaces / "w1").mkdir()
(run.workspaces / "w1" / "file").write_text("x")
print(run.name, flush=True)
sys.stdin.read()
run.close()
"""


@contextmanager
def living(data: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process with a run directory of its own; it closes it when its standard input ends."""
    command = [sys.executable, "-c", LIVING, str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert name
        yield process, data / "run" / name


def names(data: Path) -> list[str]:
    return sorted(entry.name for entry in (data / "run").iterdir())


def test_a_run_directory_is_removed_when_it_is_closed(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    (run.workspaces / "w1").mkdir()
    assert names(tmp_path) == [run.name]
    run.close()
    assert names(tmp_path) == []


def test_the_directory_of_a_living_engine_is_left_alone(tmp_path: Path) -> None:
    with living(tmp_path) as (process, directory):
        assert sweep(tmp_path / "run") == []
        run = RunDirectory(tmp_path)
        assert names(tmp_path) == sorted([run.name, directory.name])
        run.close()
        assert (directory / "workspaces" / "w1" / "file").read_text() == "x"
        process.communicate("")
    assert process.returncode == 0
    assert names(tmp_path) == []


def test_the_directory_of_a_killed_engine_is_swept_by_the_next(tmp_path: Path) -> None:
    with living(tmp_path) as (process, directory):
        process.kill()
        process.wait()
        assert directory.exists()
        run = RunDirectory(tmp_path)
        assert names(tmp_path) == [run.name]
        run.close()


def test_engines_that_start_at_the_same_time_leave_each_other_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIVING, str(tmp_path)]
    engines = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    try:
        started = [engine.stdout.readline().strip() for engine in engines if engine.stdout is not None]
        assert names(tmp_path) == sorted(started)
    finally:
        for engine in engines:
            engine.communicate("")
    assert [engine.returncode for engine in engines] == [0] * 6
    assert names(tmp_path) == []


def old(path: Path) -> None:
    os.utime(path, (0, 0))


def test_a_directory_that_is_being_made_is_left_alone_until_it_is_old(tmp_path: Path) -> None:
    unborn, locked, unlocked = tmp_path / ".1-a", tmp_path / ".2-b", tmp_path / "3-c"
    for path in (unborn, locked, unlocked):
        path.mkdir()
    (locked / "lock").touch()  # made, and its lock not taken yet
    assert sweep(tmp_path) == []
    for path in (unborn, locked, unlocked):
        old(path)
    assert sorted(sweep(tmp_path)) == [".1-a", ".2-b", "3-c"]
    assert list(tmp_path.iterdir()) == []


def test_a_stray_file_is_swept_when_it_is_old(tmp_path: Path) -> None:
    (tmp_path / "stray").touch()
    assert sweep(tmp_path) == []
    old(tmp_path / "stray")
    assert sweep(tmp_path) == ["stray"]


def test_a_link_is_swept_and_not_followed(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "1-a").symlink_to(outside)
    os.utime(tmp_path / "run" / "1-a", (0, 0), follow_symlinks=False)
    assert sweep(tmp_path / "run") == ["1-a"]


def test_a_directory_whose_control_groups_are_in_use_is_kept_for_the_next_sweep(tmp_path: Path) -> None:
    """Shown with a plain directory in place of a group: like one, it is removed only when it is empty."""
    run, group = tmp_path / "run" / "1-a", tmp_path / "group"
    run.mkdir(parents=True)
    (run / "lock").touch()
    (run / "cgroups").write_text(f"{group}\n{tmp_path}/not there\n")
    group.mkdir()
    (group / "a process").touch()
    assert sweep(tmp_path / "run") == []
    assert run.exists()
    (group / "a process").unlink()
    assert sweep(tmp_path / "run") == ["1-a"]
    assert not group.exists()


@pytest.mark.needs_root
def test_a_user_leaves_the_directories_of_others_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign, own = tmp_path / "1-a", tmp_path / "2-b"
    for path in (foreign, own):
        path.mkdir()
        (path / "lock").touch()
    os.chown(own, 4242, 4242)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert sweep(tmp_path) == ["2-b"]
    monkeypatch.undo()
    assert sweep(tmp_path) == ["1-a"]


def test_directories_are_private_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        run = RunDirectory(tmp_path / "open")
        os.umask(0o777)
        other = RunDirectory(tmp_path / "shut")
    finally:
        os.umask(before)
    passable = 0o711 if os.geteuid() == 0 else 0o700
    for one in (run, other):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (one.path, one.workspaces, one.artifacts)}
        assert modes == {one.name: passable, "workspaces": passable, "artifacts": 0o700}
        one.close()
    shutil.rmtree(tmp_path / "shut")


def test_a_directory_that_cannot_be_made_is_an_error_that_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SandboxStartError, match=r"cannot be used: .*; set SANDBOX_HOME to a directory of yours"):
            private(path)


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o750)
    private(tmp_path / "shared")
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o750


def test_the_home_of_the_sandbox_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path))
    assert (data_dir(), cache_dir()) == (tmp_path, tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SANDBOX_HOME", "relative")
    assert data_dir() == tmp_path / "relative"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SANDBOX_HOME", "~/x")
    assert data_dir() == tmp_path / "x"


def test_without_it_root_keeps_its_data_where_workers_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_HOME")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert data_dir() == Path("/var/lib/enhanced-sandbox")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert data_dir().is_relative_to(Path.home()) or "XDG_DATA_HOME" in os.environ


def test_the_log_is_shown_from_its_end(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert run.log_tail() == ""
    os.write(run.log, b"x" * 5000 + "end \u20ac\n".encode() + b"\xff")
    assert run.log_tail(10).endswith("end \u20ac\n\ufffd")
    assert len(run.log_tail()) <= 2000
    run.close()


def test_control_groups_are_written_down(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.note_cgroup("/sys/fs/cgroup/a")
    run.note_cgroup("/sys/fs/cgroup/b")
    assert (run.path / "cgroups").read_text().splitlines() == ["/sys/fs/cgroup/a", "/sys/fs/cgroup/b"]
    # So that closing does not take them for its own.
    (run.path / "cgroups").unlink()
    run.close()
    assert paths.sweep(tmp_path / "run") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory that belongs to somebody else")
def test_a_directory_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They could change what is kept in it: filters, environments."""
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path))
    theirs = cache_dir() / "filters"
    theirs.mkdir(parents=True)
    os.chown(theirs, 12345, 12345)
    with pytest.raises(SandboxStartError, match="cannot be used"):
        private(theirs)
