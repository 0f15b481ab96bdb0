"""How near a worker is to its memory limit: an execution that comes near it is told, before one is ended for it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sandbox.engine.metrics import host_pid, shared_out, sizes, used

if TYPE_CHECKING:
    from sandbox.engine.cgroups import Counters
    from sandbox.engine.launcher import Cell
    from sandbox.protocol.messages import VariableInfo

_NEAR = 0.8
_MB = 1 << 20
_WORTH = 0.01  # of the limit: smaller variables are not named
_MOST_NAMED, _LONGEST_NAME = 3, 40
_RESIDENT = (b"RssAnon:", b"RssShmem:")
_RESET_PEAK = "5"


class Near(NamedTuple):
    """What a sandbox uses now, and at most used during the execution: bytes that are no file's."""

    now: int
    peak: int
    limit: int


class Headroom:
    """Follows one worker. The pages of files count for a control group, and go when memory is short: not here."""

    def __init__(self) -> None:
        self._above = False
        self._highest = 0

    def look(self, cell: Cell, counted: Counters) -> Near | None:
        """After an execution: what is used, if this one has come near the limit. Costs nothing far from it."""
        limit = cell.options.memory << 20
        if counted.peak_memory < limit * _NEAR:
            return None
        with contextlib.suppress(OSError):  # the worker has ended
            return self._look(cell, counted, limit)
        return None

    def _look(self, cell: Cell, counted: Counters, limit: int) -> Near | None:
        line = int(limit * _NEAR)
        now = _now(cell, line)
        peak = max(now, self._new_peak(cell, counted, line))
        was_above, self._above = self._above, now >= line
        return Near(now, peak, limit) if peak >= line and not was_above else None

    def _new_peak(self, cell: Cell, counted: Counters, line: int) -> int:
        """The most that the worker itself has used, if that is more than ever before."""
        status = f"/proc/{host_pid(cell.worker.pidfd)}/status"
        highest = sizes(status, (b"VmHWM:",))
        peak = highest - sizes(status, (b"RssFile:",))
        if highest <= self._highest or peak < line:
            return 0
        self._highest = highest
        pid = host_pid(cell.worker.pidfd)
        # What it still shares with the zygote is not its own.
        peak -= sizes(status, _RESIDENT) - sizes(f"/proc/{pid}/smaps_rollup", (b"Pss_Anon:", b"Pss_Shmem:"))
        if peak >= line:
            self._measure_again(pid)
        return min(peak, counted.peak_memory)

    def _measure_again(self, pid: int) -> None:
        """Let the kernel forget the peak. Where it may not be told to, a peak counts only if it is higher still."""
        with contextlib.suppress(OSError), open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
            file.write(_RESET_PEAK)
            self._highest = 0


def _now(cell: Cell, line: int) -> int:
    if cell.group is not None:
        return cell.group.unreclaimable()
    # The quick sum counts what processes share once for each of them.
    memory = used(cell)[1]
    return memory if memory < line else shared_out(cell)


def warning(near: Near, variables: Sequence[VariableInfo]) -> str:
    """What to tell; `variables` are named if memory is what they hold."""
    limit = f"{near.limit // _MB} MB"
    remedy = "work on smaller pieces, or raise memory="
    if near.now < near.limit * _NEAR:
        return (
            f"it came near the memory limit: it used up to {near.peak // _MB} of {limit}, "
            f"and {near.now // _MB} MB are in use now; {remedy}"
        )
    named = _largest(variables, near.limit)
    largest = f"; the largest variables are {named}" if named else ""
    return f"the memory limit is near: {near.now // _MB} of {limit} are in use{largest}; delete some, {remedy}"


def _largest(variables: Sequence[VariableInfo], limit: int) -> str:
    """Those that take most, each with all that it shares its memory with. The names are the code's choice."""
    found: dict[tuple[str, ...], int] = {}
    for one in variables:
        if one.lost is None and one.size >= limit * _WORTH:
            found.setdefault(tuple(sorted((one.name, *one.shared_with))), one.size)
    largest = sorted(found.items(), key=lambda item: -item[1])[:_MOST_NAMED]
    return ", ".join(f"{_names(names)} ({size // _MB} MB)" for names, size in largest)


def _names(names: tuple[str, ...]) -> str:
    shown = " with ".join(name[:_LONGEST_NAME] for name in names[:2])
    return shown if len(names) <= 2 else f"{shown} and {len(names) - 2} more"
