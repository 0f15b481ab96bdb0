"""Who holds a session: a process, told apart from every other one that this machine has ever had."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_START = 19  # of the fields of /proc/<pid>/stat that come after the name


class Holder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A process by boot, pid namespace, pid and the moment of its start; the host's name is for messages only."""

    boot: str
    namespace: int
    pid: int
    start: int
    host: str

    @classmethod
    def this(cls) -> Holder:
        """The process that calls."""
        pid = os.getpid()
        return cls(_boot(), _namespace(), pid, _start(pid) or 0, socket.gethostname())

    @classmethod
    def decode(cls, text: str) -> Holder:
        """Read what `encode` gave."""
        return msgspec.json.decode(text, type=cls)

    def encode(self) -> str:
        """The form in the database."""
        return msgspec.json.encode(self).decode()

    @property
    def dead(self) -> bool:
        """Whether it has provably ended.

        All that have the database open share memory, hence one machine that has not restarted in between. The pids
        of another pid namespace say nothing here.
        """
        if self.boot != _boot():
            return True
        return self.namespace == _namespace() and _start(self.pid) != self.start

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _boot() -> str:
    return _BOOT.read_text(encoding="ascii").strip()


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def _start(pid: int) -> int | None:
    """When a process started, in ticks since the boot; None if there is none, or only what is left to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name is in parentheses and may hold anything, parentheses included.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[_START])
