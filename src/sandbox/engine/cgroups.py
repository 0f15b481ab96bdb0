"""Control groups: memory, cpu and processes of a sandbox limited and counted as a whole, where the host lets us.

Version 2 is used where a writable group with the controllers is delegated to the user, version 1 where its
hierarchies are mounted and writable. Else `find` returns None and rlimits and the engine's watch take over.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Protocol

from msgspec import Struct

_PERIOD = 100_000  # microseconds, the kernel's default
_MEMORY, _CPU, _PIDS, _CPUACCT = "memory", "cpu", "pids", "cpuacct"
_ESCAPED = re.compile(r"\\([0-7]{3})")  # a space or a line break in a mount point


class Events(Struct, frozen=True):
    """How often a group has hit a limit since it was made."""

    out_of_memory: int
    processes_refused: int


class Counters(Struct, frozen=True):
    """What the kernel has counted for a group so far; all zero where there is no group."""

    cpu_seconds: float = 0.0
    peak_memory: int = 0
    out_of_memory: int = 0
    processes_refused: int = 0

    @classmethod
    def read(cls, group: Group | None) -> Counters:
        if group is None:
            return cls()
        events = group.events()
        return cls(group.cpu_seconds(), group.peak_memory(), events.out_of_memory, events.processes_refused)


class Group(Protocol):
    """One sandbox's group."""

    def open(self) -> list[int]:
        """Open the files to which a process writes "0" to join. The caller closes them."""

    def limit(self, memory: int, cpus: float, processes: int) -> None:
        """Set limits: bytes, cpus, processes and threads."""

    def memory(self) -> int:
        """Bytes in use."""

    def unreclaimable(self) -> int:
        """Bytes in use without the pages of files, which the kernel drops when memory is short."""

    def peak_memory(self) -> int:
        """The most bytes in use since the group was made or `reset_peak`."""

    def reset_peak(self) -> None:
        """Start measuring the peak again, where the kernel can."""

    def cpu_seconds(self) -> float:
        """Cpu time used by everything that was ever in the group."""

    def processes(self) -> int:
        """Processes and threads."""

    def events(self) -> Events:
        """Limits hit so far."""

    def paths(self) -> list[str]:
        """Its directories, for removal."""

    def close(self) -> None:
        """Close what was kept open for reading. The group stays."""


class Groups(Protocol):
    """Where groups are made."""

    version: int

    def make(self, name: str) -> Group:
        """Make a group. Raises OSError."""

    def paths(self) -> list[str]:
        """The engine's own directories, for removal once all groups are gone."""


def find(engine: str) -> Groups | None:
    """Return a place for the engine's groups, or None if there is none that it may write to."""
    mounts = _mounts()
    own = _own_groups()
    return _find_v2(engine, mounts, own) or _find_v1(engine, mounts, own)


def _mounts() -> dict[str, Path]:
    """Mount points by controller (version 1), and of the unified hierarchy under the empty name."""
    found: dict[str, Path] = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")
            kind = rest.split()[0]
            point = Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), fields.split()[4]))
            if kind == "cgroup2":
                found.setdefault("", point)
            elif kind == "cgroup":
                for controller in rest.split()[2].split(","):
                    found.setdefault(controller, point)
    return found


def _own_groups() -> dict[str, str]:
    """The caller's group in each hierarchy, by controller, and in the unified one under the empty name."""
    own = {}
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            for controller in controllers.split(","):
                own[controller] = path
    return own


# --- version 1 ------------------------------------------------------------------------------------------------------


def _find_v1(engine: str, mounts: dict[str, Path], own: dict[str, str]) -> Groups | None:
    directories: dict[str, Path] = {}
    for controller in (_MEMORY, _PIDS, _CPU, _CPUACCT):
        point = mounts.get(controller)
        if point is None:
            continue
        parent = point / own.get(controller, "/").lstrip("/")
        # Inside a container the path is the host's, and what is mounted is already our own part.
        parent = parent if parent.is_dir() else point
        if os.access(parent, os.W_OK | os.X_OK):
            directories[controller] = parent / f"enhanced-sandbox-{engine}"
    if not {_MEMORY, _PIDS, _CPU} <= directories.keys():
        return None  # what else would limit them relies on there being none at all
    groups = _GroupsV1(directories)
    try:
        _make_all(groups.paths())
    except OSError:
        return None
    return groups


def _make_all(paths: list[str]) -> None:
    """Make a group in every hierarchy, or in none. Raises OSError."""
    made: list[str] = []
    try:
        for path in paths:
            os.mkdir(path)
            made.append(path)
    except OSError:
        for path in made:
            os.rmdir(path)
        raise


class _GroupsV1:
    version = 1

    def __init__(self, directories: dict[str, Path]) -> None:
        self._directories = directories

    def make(self, name: str) -> Group:
        group = _GroupV1({controller: path / name for controller, path in self._directories.items()})
        _make_all(group.paths())
        return group

    def paths(self) -> list[str]:
        return sorted({str(path) for path in self._directories.values()})


class _GroupV1:
    def __init__(self, directories: dict[str, Path]) -> None:
        self._at = {controller: str(path) for controller, path in directories.items()}
        self._files = _Files()
        self.close = self._files.close

    def paths(self) -> list[str]:
        return sorted(set(self._at.values()))

    def open(self) -> list[int]:
        # `tasks`, not `cgroup.procs`: a thread that moves itself takes no lock (see inside/contain/cgroup.py).
        with contextlib.ExitStack() as opened:
            found = []
            for path in self.paths():
                found.append(os.open(f"{path}/tasks", os.O_WRONLY | os.O_CLOEXEC))
                opened.callback(os.close, found[-1])
            opened.pop_all()
        return found

    def limit(self, memory: int, cpus: float, processes: int) -> None:
        at = self._at
        # The limit of memory and swap together may never be below that of memory, not even between two writes.
        if with_swap := os.path.exists(swap := f"{at[_MEMORY]}/memory.memsw.limit_in_bytes"):
            _write(swap, -1)
        _write(f"{at[_MEMORY]}/memory.limit_in_bytes", memory)
        if with_swap:
            _write(swap, memory)
        _write(f"{at[_PIDS]}/pids.max", processes)
        if _CPU in at:
            _write(f"{at[_CPU]}/cpu.cfs_quota_us", int(cpus * _PERIOD))

    def memory(self) -> int:
        return self._files.number(f"{self._at[_MEMORY]}/memory.usage_in_bytes")

    def unreclaimable(self) -> int:
        return self._files.field(f"{self._at[_MEMORY]}/memory.stat", "rss", "shmem")

    def peak_memory(self) -> int:
        return self._files.number(f"{self._at[_MEMORY]}/memory.max_usage_in_bytes")

    def reset_peak(self) -> None:
        _write(f"{self._at[_MEMORY]}/memory.max_usage_in_bytes", 0)

    def cpu_seconds(self) -> float:
        return self._files.number(f"{self._at[_CPUACCT]}/cpuacct.usage") / 1e9 if _CPUACCT in self._at else 0.0

    def processes(self) -> int:
        return self._files.number(f"{self._at[_PIDS]}/pids.current")

    def events(self) -> Events:
        return Events(
            self._files.field(f"{self._at[_MEMORY]}/memory.oom_control", "oom_kill"),
            self._files.field(f"{self._at[_PIDS]}/pids.events", "max"),
        )


# --- version 2 ------------------------------------------------------------------------------------------------------


def _find_v2(engine: str, mounts: dict[str, Path], own: dict[str, str]) -> Groups | None:
    """Find the nearest group above ours that we may write to and that can hand the controllers down.

    Our own group holds processes, so by version 2's rule it cannot have groups with limits itself: its parent may.
    """
    if "" not in mounts or "" not in own:
        return None
    root = mounts[""]
    here = root / own[""].lstrip("/")
    for parent in (here, *here.parents):
        if not parent.is_relative_to(root):
            return None
        if _can_delegate(parent):
            path = parent / f"enhanced-sandbox-{engine}"
            if _delegated(path):
                return _GroupsV2(path)
    return None


def _can_delegate(parent: Path) -> bool:
    """Whether a group below `parent` gets the controllers, after enabling those that only wait for it."""
    if not os.access(parent, os.W_OK | os.X_OK) or not os.access(parent / "cgroup.procs", os.W_OK):
        return False
    wanted = {_MEMORY, _PIDS, _CPU}
    try:
        enabled = set((parent / "cgroup.subtree_control").read_text(encoding="ascii").split())
        if not wanted <= enabled:
            _write(str(parent / "cgroup.subtree_control"), " ".join(f"+{name}" for name in sorted(wanted - enabled)))
    except OSError:
        return False
    return True


def _delegated(path: Path) -> bool:
    """Make a group that hands the controllers down to those below it."""
    try:
        path.mkdir()
    except OSError:
        return False
    try:
        _write(str(path / "cgroup.subtree_control"), "+memory +pids +cpu")
    except OSError:
        path.rmdir()
        return False
    return True


class _GroupsV2:
    version = 2

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self, name: str) -> Group:
        path = self._path / name
        path.mkdir()
        return _GroupV2(str(path))

    def paths(self) -> list[str]:
        return [str(self._path)]


class _GroupV2:
    def __init__(self, path: str) -> None:
        self._path = path
        self._files = _Files()
        self.close = self._files.close

    def paths(self) -> list[str]:
        return [self._path]

    def open(self) -> list[int]:
        return [os.open(f"{self._path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)]

    def limit(self, memory: int, cpus: float, processes: int) -> None:
        _write(f"{self._path}/memory.max", memory)
        if os.path.exists(swap := f"{self._path}/memory.swap.max"):
            _write(swap, 0)
        _write(f"{self._path}/pids.max", processes)
        _write(f"{self._path}/cpu.max", f"{int(cpus * _PERIOD)} {_PERIOD}")

    def memory(self) -> int:
        return self._files.number(f"{self._path}/memory.current")

    def unreclaimable(self) -> int:
        return self._files.field(f"{self._path}/memory.stat", "anon", "shmem")

    def peak_memory(self) -> int:
        peak = f"{self._path}/memory.peak"  # Linux 5.19
        return self._files.number(peak) if os.path.exists(peak) else self.memory()

    def reset_peak(self) -> None:
        """The peak of version 2 belongs to an open descriptor, and only since Linux 6.12: it is not reset."""

    def cpu_seconds(self) -> float:
        return self._files.field(f"{self._path}/cpu.stat", "usage_usec") / 1e6

    def processes(self) -> int:
        return self._files.number(f"{self._path}/pids.current")

    def events(self) -> Events:
        return Events(
            self._files.field(f"{self._path}/memory.events", "oom_kill"),
            self._files.field(f"{self._path}/pids.events", "max"),
        )


def _write(path: str, value: object) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)


class _Files:
    """Files of a group, kept open: they are read after every execution, and opening costs more than reading."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def _read(self, path: str) -> str:
        fd = self._open.get(path)
        if fd is None:
            fd = self._open[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(fd, 4096, 0).decode("ascii")

    def number(self, path: str) -> int:
        return int(self._read(path))

    def field(self, path: str, *names: str) -> int:
        """The sum of the lines that begin with these names."""
        lines = (line.partition(" ") for line in self._read(path).splitlines())
        return sum(int(value) for name, _, value in lines if name in names)

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])
