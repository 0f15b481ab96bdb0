"""What tests do to an engine's processes: find them, and kill them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sandbox.engine.launcher import Cell
from sandbox.engine.thread import EngineThread

_SECONDS = 30.0


def until(condition: Callable[[], bool], what: str = "it did not happen in time") -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.002)


def cell_of(engine: EngineThread, session: str) -> Cell | None:
    """The session's worker with what belongs to it, if it has one."""
    return engine._engine.sessions.known(session).cell


def kill_worker(engine: EngineThread, session: str) -> bool:
    """SIGKILL, and wait until it has ended. Return whether there was one."""
    cell = cell_of(engine, session)
    if cell is None:
        return False
    with contextlib.suppress(ProcessLookupError, OSError):  # it has just ended, and its descriptor is closed
        signal.pidfd_send_signal(cell.worker.pidfd, signal.SIGKILL)
    until(lambda: not cell.worker.alive)
    return True


def kill_zygote(engine: EngineThread, sessions: Iterable[str], name: str = "sandbox-zygote") -> list[str]:
    """SIGKILL the zygote of these sessions, or its keeper, and wait for their workers' end; return who had one."""
    cells = {session: cell for session in sessions if (cell := cell_of(engine, session)) is not None}
    for keeper in {cell.zygote._process.pid for cell in cells.values()}:
        for pid in (keeper, *children(keeper)):
            if comm(pid) == name:
                os.kill(pid, signal.SIGKILL)
    until(lambda: not any(cell.worker.alive for cell in cells.values()))
    return list(cells)


def children(pid: int) -> list[int]:
    """Of all its threads."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            found += map(int, listed.read_text(encoding="ascii").split())
    return found


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
