"""What a sandbox uses right now."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sandbox.engine.cgroups import Counters

if TYPE_CHECKING:
    from sandbox.engine.launcher import Cell
    from sandbox.engine.session import Session

_MB = 1 << 20
_RESIDENT = (b"RssAnon:", b"RssShmem:")
_PROPORTIONAL, _UNSHARED = (b"Pss_Anon:", b"Pss_Shmem:"), (b"Private_Dirty:",)
_PEAK = (b"VmHWM:",)
_TICK = os.sysconf("SC_CLK_TCK")


class Meter:
    """Measures one session; remembers the last look, because a rate needs two."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._cpu = 0.0
        self._cell: Cell | None = None

    async def measure(self, session: Session) -> dict[str, float]:
        """Return the figures by name: MB, percent of one cpu, seconds, counts."""
        cell = session.cell
        now = time.monotonic()
        cpu, memory, processes = used(cell)
        if cell is not self._cell:
            self._cell, self._cpu, self._at = cell, 0.0, session_start(cell, now)
        seconds = max(now - self._at, 1e-6)
        rate = 100.0 * (cpu - self._cpu) / seconds
        self._cpu, self._at = cpu, now
        disk = (await session.workspace.look()).bytes if session.workspace else 0
        return {
            "cpu_usage": max(0.0, rate),
            "cpu_seconds": cpu,
            "memory_usage": memory / _MB,
            "memory_limit": float(session.options.memory),
            "disk_usage": disk / _MB,
            "disk_limit": float(session.options.disk),
            "processes": float(processes),
            "processes_limit": float(session.options.processes),
            "uptime": time.monotonic() - session.started_at,
            "executions": float(session.executions),
        }


def session_start(cell: Cell | None, now: float) -> float:
    """When counting begins for a new worker: it was started before it was first looked at."""
    return now if cell is None else cell.started_at


def used(cell: Cell | None) -> tuple[float, int, int]:
    """Cpu seconds, bytes of memory and processes of a worker and its commands, with everything that they started."""
    if cell is None:
        return 0.0, 0, 0
    if cell.group is not None:
        return cell.group.cpu_seconds(), cell.group.memory(), cell.group.processes()
    return _sum(processes_of(cell))


def cpu_seconds(cell: Cell) -> float:
    """Cpu seconds of a worker and of everything that has run beside it, whether it has ended or not.

    Without a control group, what has lost its parent is not in it.
    """
    if cell.group is not None:
        return last_cpu_seconds(cell)
    with contextlib.suppress(OSError):  # no file can be opened: what was seen before counts, and the next look
        # One that has just ended is in neither sum for a moment.
        cell.cpu_seconds = max(cell.cpu_seconds, cell.cpu_ended + _sum(processes_of(cell))[0])
    return cell.cpu_seconds


def last_cpu_seconds(cell: Cell) -> float:
    """As `cpu_seconds`, once all of it has ended."""
    with contextlib.suppress(OSError):  # of a group that went with its zygote: what was seen before counts
        used_now = cell.cpu_ended if cell.group is None else cell.group.cpu_seconds()
        cell.cpu_seconds = max(cell.cpu_seconds, used_now)
    return cell.cpu_seconds


def counters(cell: Cell) -> Counters:
    """What an execution is charged by: what the control group has counted, or else the worker's processes.

    Of a worker that is gone, what was last seen. Without a group the peak is that of one process, and has in it what
    the worker shares with other sandboxes.
    """
    if cell.group is not None:
        return Counters.read(cell.group)
    worker = host_pid(cell.worker.pidfd)
    if worker:
        cpu, peak = 0.0, cell.seen.peak_memory
        for pid in _with_descendants([worker]):
            with contextlib.suppress(OSError, IndexError):  # it ended
                cpu += _cpu(pid, _stat(pid))
                peak = max(peak, sizes(f"/proc/{pid}/status", _PEAK))
        cell.seen = Counters(max(cpu, cell.seen.cpu_seconds), peak)
    return cell.seen


def _roots(cell: Cell) -> list[int]:
    """Pids of the worker and of its commands, which are children of the zygote and not of the worker."""
    return [pid for pidfd in (cell.worker.pidfd, *cell.commands) if (pid := host_pid(pidfd))]


def host_pid(pidfd: int) -> int:
    """The pid on the host of the process behind a pidfd; 0 when it has ended."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pid:"):
                return max(0, int(line.split()[1]))
    return 0


def inner_pid(pidfd: int) -> int:
    """The pid that the process behind a pidfd has in its own namespace; 0 when it has ended."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        for line in file:
            if line.startswith("NSpid:"):
                return max(0, int(line.split()[-1]))
    return 0


def _sum(pids: list[int]) -> tuple[float, int, int]:
    """Without a control group: add up processes. Shared memory counts once for each.

    One that has ended and was not waited for has a number and nothing else: four count as one.
    """
    cpu, memory, count, ended = 0.0, 0, 0, 0
    for pid in pids:
        try:
            fields = _stat(pid)
            seconds = _cpu(pid, fields)
            size = sizes(f"/proc/{pid}/status", _RESIDENT)
        except (OSError, IndexError):
            continue  # it ended
        cpu += seconds
        memory += size
        if fields[0] == "Z":
            ended += 1
        else:
            count += int(fields[17])
    return cpu, memory, count + ended // 4


def _stat(pid: int) -> list[str]:
    """The fields after the process's name."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def _cpu(pid: int, fields: list[str]) -> float:
    """Seconds of cpu time of a process and of its children that it has waited for: those are counted in ticks."""
    own = time.clock_gettime(~pid << 3 | 2)  # what clock_getcpuclockid returns
    return own + sum(map(int, fields[13:15])) / _TICK


def shared_out(cell: Cell) -> int:
    """Without a control group: bytes of memory, each page that processes share counted for a part of it in each.

    What the worker shares with its zygote is nobody's, as in a control group and for the limit that it has itself.
    """
    memory = 0
    for pid in processes_of(cell):
        with contextlib.suppress(OSError):  # it ended
            memory += sizes(f"/proc/{pid}/smaps_rollup", _PROPORTIONAL)
    return max(0, memory - _inherited(cell))


def _inherited(cell: Cell) -> int:
    """The worker's part of what it shares with its zygote: about as much as the zygote's own part of that."""
    with contextlib.suppress(OSError, IndexError):  # one of them has ended
        zygote = int(_stat(host_pid(cell.worker.pidfd))[1])
        rollup = f"/proc/{zygote}/smaps_rollup"
        return max(0, sizes(rollup, _PROPORTIONAL) - sizes(rollup, _UNSHARED))
    return 0


def processes_of(cell: Cell) -> list[int]:
    """Pids on the host of everything that runs in a sandbox and has not lost its parent."""
    return list(_with_descendants(_roots(cell)))


def _with_descendants(waiting: list[int]) -> Iterator[int]:
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(OSError):  # it ended
            waiting += _children(pid)


def sizes(path: str, names: tuple[bytes, ...]) -> int:
    """Add up the lines of a file in /proc that begin with `names`, in bytes. Files' pages are not among them."""
    with open(path, "rb") as file:
        return sum(int(line.split()[1]) << 10 for line in file if line.startswith(names))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            found += [int(child) for child in file.read().split()]
    return found
