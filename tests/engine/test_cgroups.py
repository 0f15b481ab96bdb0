"""Control groups: version 1 on real hierarchies where the host is root, version 2 on files that mimic its own.

The kernel holds the limits of version 1 in the tests here. A directory that mimics version 2 only shows what the
engine reads and writes: that those files limit anything is for the security tests on a machine that has it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.engine import cgroups
from sandbox.engine.cgroups import Counters, Events, Group, Groups
from sandbox.inside import tidy

MB = 1 << 20


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Groups]:
    """The real groups of this machine, made for an engine of this test's own."""
    found = cgroups.find(f"test-{os.getpid()}-{tmp_path.name}")
    if found is None:
        pytest.skip("this machine has no control groups that the user may write to")
    yield found
    # A process that has ended leaves its group a moment later.
    deadline = time.monotonic() + 10
    while (busy := tidy.remove_cgroups(found.paths())) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert busy == []


@pytest.fixture
def group(groups: Groups) -> Iterator[Group]:
    group = groups.make("w1")
    yield group
    group.close()


def run_in(group: Group, code: str) -> int:
    """Run Python in a group; return its exit code."""
    joins = group.open()
    prelude = f"import os\nfor fd in {joins}: os.write(fd, b'0')\n"
    try:
        done = subprocess.run([sys.executable, "-c", prelude + code], pass_fds=joins, check=False, capture_output=True)
    finally:
        for fd in joins:
            os.close(fd)
    return done.returncode


def test_limits_can_be_set_again_higher_and_lower(group: Group) -> None:
    """A parked worker gets the limits of its session, whatever it was made with."""
    for memory in (1024, 2048, 64, 1024, 1024, 4096):
        group.limit(memory * MB, 0.5 + memory / 1024, memory)


def test_memory_beyond_the_limit_is_counted_and_costs_the_process(group: Group) -> None:
    group.limit(64 * MB, 1.0, 50)
    assert run_in(group, "x = b'x' * (16 << 20)") == 0
    assert group.events() == Events(0, 0)
    assert group.peak_memory() > 16 * MB
    assert group.unreclaimable() < 16 * MB
    assert run_in(group, "x = b'x' * (256 << 20)") == -9
    assert group.events().out_of_memory == 1


def test_processes_beyond_the_limit_are_refused_and_counted(group: Group) -> None:
    group.limit(64 * MB, 1.0, 3)
    code = (
        "import subprocess, sys\n"
        "try:\n"
        "    started = [subprocess.Popen(['/bin/sleep', '60']) for _ in range(10)]\n"
        "except BlockingIOError:\n"
        "    subprocess.os.killpg(0, 9)"
    )
    joins = group.open()
    prelude = f"import os\nos.setsid()\nfor fd in {joins}: os.write(fd, b'0')\n"
    subprocess.run([sys.executable, "-c", prelude + code], pass_fds=joins, check=False)
    for fd in joins:
        os.close(fd)
    assert group.events().processes_refused >= 1


def test_cpu_time_and_processes_are_counted(group: Group) -> None:
    before = group.cpu_seconds()
    assert run_in(group, "sum(range(5_000_000))") == 0
    assert 0.01 < group.cpu_seconds() - before < 30
    assert group.processes() == 0


def test_cpu_time_is_limited(group: Group) -> None:
    group.limit(64 * MB, 0.1, 50)
    code = "import time; t=time.monotonic(); c=time.process_time()\nwhile time.monotonic() - t < 0.6: pass\n"
    # A tenth of 0.6 s, and what one period lets through before it holds.
    assert run_in(group, code + "raise SystemExit(time.process_time() - c > 0.35)") == 0


def test_the_peak_starts_again_where_the_kernel_can(group: Group, groups: Groups) -> None:
    group.limit(128 * MB, 1.0, 50)
    run_in(group, "x = b'x' * (48 << 20)")
    high = group.peak_memory()
    group.reset_peak()
    assert high > 48 * MB
    if groups.version == 1:
        assert group.peak_memory() < high


def test_groups_have_names_of_their_own_and_are_made_whole_or_not_at_all(groups: Groups) -> None:
    first, second = groups.make("a"), groups.make("b")
    assert not set(first.paths()) & set(second.paths())
    with pytest.raises(FileExistsError):
        groups.make("a")
    taken = Path(max(groups.paths()), "c")
    taken.mkdir()
    with pytest.raises(FileExistsError):
        groups.make("c")
    assert [Path(path, "c").exists() for path in sorted(groups.paths())].count(True) == 1


@pytest.mark.needs_root
def test_a_second_engine_of_the_same_name_finds_nothing(groups: Groups) -> None:
    """The names of engines are unique; a directory that is there is somebody else's."""
    name = Path(groups.paths()[0]).name.removeprefix("enhanced-sandbox-")
    assert cgroups.find(name) is None


def test_files_are_kept_open_until_the_group_is_closed(groups: Groups) -> None:
    group = groups.make("w2")
    before = len(os.listdir("/proc/self/fd"))
    first = Counters.read(group)
    opened = len(os.listdir("/proc/self/fd"))
    assert opened > before
    assert Counters.read(group).peak_memory >= first.peak_memory
    assert len(os.listdir("/proc/self/fd")) == opened
    group.close()
    assert len(os.listdir("/proc/self/fd")) == before
    group.close()


def test_without_a_controller_for_cpus_there_are_no_groups(tmp_path: Path) -> None:
    """What limits cpus otherwise relies on there being no groups at all."""
    mounts = {name: tmp_path / name for name in ("memory", "pids")}
    for path in mounts.values():
        path.mkdir()
    assert cgroups._find_v1("engine", mounts, {}) is None
    assert all(list(path.iterdir()) == [] for path in mounts.values())


def test_without_a_group_nothing_is_counted() -> None:
    assert Counters.read(None) == Counters(0.0, 0, 0, 0)


# --- finding: what mountinfo and /proc/self/cgroup say --------------------------------------------------------------


def test_mounts_are_found_by_controller_and_with_odd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        "31 23 0:28 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw,mode=755\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
        "33 31 0:30 / /mnt/with\\040space rw,relatime - cgroup cgroup rw,memory\n"
        "34 31 0:31 / /sys/fs/cgroup/unified rw,relatime shared:1 master:2 - cgroup2 cgroup2 rw\n"
        "35 31 0:31 /sub /later/mount rw,relatime - cgroup2 cgroup2 rw\n"
    )
    monkeypatch.setattr("builtins.open", _redirect({"/proc/self/mountinfo": mountinfo}))
    found = cgroups._mounts()
    assert found["cpu"] == found["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert found["memory"] == Path("/mnt/with space")
    assert found[""] == Path("/sys/fs/cgroup/unified")


def test_own_groups_are_found_by_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "cgroup"
    own.write_text("4:memory:/a/b\n2:cpu,cpuacct:/c\n1:name=systemd:/x:y\n0::/user.slice/z\n")
    monkeypatch.setattr("builtins.open", _redirect({"/proc/self/cgroup": own}))
    assert cgroups._own_groups() == {
        "memory": "/a/b", "cpu": "/c", "cpuacct": "/c", "name=systemd": "/x:y", "": "/user.slice/z",
    }  # fmt: skip


def _redirect(paths: dict[str, Path]) -> object:
    real = open

    def opened(path: str, *args: object, **options: object) -> object:
        return real(paths.get(path, path), *args, **options)  # type: ignore[call-overload]

    return opened


# --- version 2, mimicked --------------------------------------------------------------------------------------------


class MimickedV2:
    """A tree of plain files as version 2 would have it: `user` may be written to, `user/session` is ours."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.user = top / "user"
        self.own = self.user / "session"
        self.own.mkdir(parents=True)
        for path in (top, self.user, self.own):
            self.fill(path)

    @staticmethod
    def fill(path: Path) -> None:
        (path / "cgroup.procs").touch()
        (path / "cgroup.subtree_control").touch()

    def find(self) -> Groups | None:
        return cgroups._find_v2("mimicked", {"": self.top}, {"": "/user/session"})


@pytest.fixture
def mimicked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MimickedV2:
    """The kernel fills each new group with its files: a directory that is made here gets those that are used."""
    real = os.mkdir

    def mkdir(path: str | Path, mode: int = 0o777) -> None:
        real(path, mode)
        MimickedV2.fill(Path(path))
        for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max"):
            (Path(path) / name).touch()
        for name, content in {
            "memory.current": "4096\n",
            "memory.peak": "8192\n",
            "pids.current": "3\n",
            "cpu.stat": "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n",
            "memory.stat": "anon 1000\nfile 5000\nkernel 9\nshmem 2000\nfile_mapped 100\n",
            "memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\n",
            "pids.events": "max 5\n",
        }.items():
            (Path(path) / name).write_text(content)

    mimicked = MimickedV2(tmp_path / "cgroup")
    monkeypatch.setattr(os, "mkdir", mkdir)
    return mimicked


def test_mimicked_v2_a_group_is_made_in_the_nearest_parent_that_can_delegate(mimicked: MimickedV2) -> None:
    """Our own group would do here; with the kernel it refuses, since it holds processes."""
    groups = mimicked.find()
    assert groups is not None
    assert groups.version == 2
    assert groups.paths() == [str(mimicked.own / "enhanced-sandbox-mimicked")]
    assert (mimicked.own / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert Path(groups.paths()[0], "cgroup.subtree_control").read_text() == "+memory +pids +cpu"


def test_mimicked_v2_a_group_that_refuses_is_passed_by(mimicked: MimickedV2, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_below(mimicked.own, monkeypatch)
    groups = mimicked.find()
    assert groups is not None
    assert groups.paths() == [str(mimicked.user / "enhanced-sandbox-mimicked")]
    assert not (mimicked.own / "enhanced-sandbox-mimicked").exists()


def test_mimicked_v2_where_nothing_delegates_there_are_no_groups_and_nothing_is_left(
    mimicked: MimickedV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_below(mimicked.top, monkeypatch)
    assert mimicked.find() is None
    assert sorted(path.name for path in mimicked.top.rglob("enhanced-*")) == []


def refuse_below(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does for a group that holds processes, or has not been given the controllers."""
    real = cgroups._write

    def write(path: str, value: object) -> None:
        if path.startswith(f"{top}/") and path.endswith("subtree_control"):
            raise OSError(16, "Device or resource busy", path)
        real(path, value)

    monkeypatch.setattr(cgroups, "_write", write)


def test_mimicked_v2_controllers_that_are_enabled_already_are_left_alone(mimicked: MimickedV2) -> None:
    (mimicked.own / "cgroup.subtree_control").write_text("cpuset cpu io memory pids\n")
    assert mimicked.find() is not None
    assert (mimicked.own / "cgroup.subtree_control").read_text() == "cpuset cpu io memory pids\n"


def test_mimicked_v2_without_the_hierarchy_there_are_no_groups(tmp_path: Path) -> None:
    assert cgroups._find_v2("x", {}, {"": "/"}) is None
    assert cgroups._find_v2("x", {"": tmp_path}, {}) is None


def test_mimicked_v2_limits_are_written_as_the_kernel_reads_them(mimicked: MimickedV2) -> None:
    groups = mimicked.find()
    assert groups is not None
    group = groups.make("w1")
    group.limit(64 * MB, 1.5, 20)
    path = Path(group.paths()[0])
    written = {name: (path / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max")}
    assert written == {"memory.max": "67108864", "memory.swap.max": "0", "pids.max": "20", "cpu.max": "150000 100000"}
    (path / "memory.swap.max").unlink()  # a kernel without swap accounting
    group.limit(64 * MB, 1.0, 20)


def test_mimicked_v2_figures_are_read_as_the_kernel_writes_them(mimicked: MimickedV2) -> None:
    groups = mimicked.find()
    assert groups is not None
    group = groups.make("w1")
    path = Path(group.paths()[0])
    assert (group.memory(), group.peak_memory(), group.processes()) == (4096, 8192, 3)
    assert group.unreclaimable() == 3000
    assert group.cpu_seconds() == 1.5
    assert group.events() == Events(out_of_memory=1, processes_refused=5)
    assert Counters.read(group) == Counters(1.5, 8192, 1, 5)
    # Read again through the same descriptors.
    (path / "memory.events").write_text("low 0\noom_kill 12\n")
    (path / "cpu.stat").write_text("usage_usec 2000000\n")
    assert (group.events().out_of_memory, group.cpu_seconds()) == (12, 2.0)
    (path / "memory.peak").unlink()  # Linux before 5.19
    assert group.peak_memory() == 4096
    group.reset_peak()
    group.close()


def test_mimicked_v2_joining_is_writing_to_the_processes_of_the_group(mimicked: MimickedV2) -> None:
    groups = mimicked.find()
    assert groups is not None
    group = groups.make("w1")
    (fd,) = group.open()
    os.write(fd, b"0")
    os.close(fd)
    assert Path(group.paths()[0], "cgroup.procs").read_text() == "0"
