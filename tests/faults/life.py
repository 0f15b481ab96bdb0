"""One session through every step of its life, with somebody killed at one of them. Also run as a program of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Container
from typing import Any

from tests.engine.living import cell_of, children, comm

from sandbox import Environment, SandboxError
from sandbox.engine.session import Session
from sandbox.engine.thread import EngineThread
from sandbox.sync import LocalSandbox

BOUND = 40.0
"""Seconds that a caller waits at most, on a machine that is slow and busy."""
_ATTEMPTS = 6


class Life:
    """`answered` counts the executions that were answered as done and kept."""

    def __init__(self, engine: EngineThread, session: str) -> None:
        self.engine = engine
        self.box = LocalSandbox(engine=engine, session_id=session, timeout=10.0, environment=Environment(warm=()))
        self.box.start().run("n = 0")
        self.answered = self.asked = 0
        self.failures: list[SandboxError] = []

    def go_through_everything(self) -> None:
        """Each step of the table that no failure makes happens at least once, and a crash of the code's own."""
        count = self._count
        for step in (count, self._crash, count, self._stop, self._start, count, self._park, count, count):
            begin = time.monotonic()
            try:
                step()
            except SandboxError as error:
                self.failures.append(error)
            assert time.monotonic() - begin < BOUND

    def _count(self) -> None:
        self.asked += 1
        done = self.box.run("n += 1", check=False)
        # In another state the execution has no effect, and says so.
        self.answered += done.exception is None and done.state == "kept"
        print(f"answered {self.answered}", flush=True)

    def _crash(self) -> None:
        self.box.run("import os; os._exit(1)", check=False)

    def _stop(self) -> None:
        self.box.stop()

    def _start(self) -> None:
        self.box.start()

    def _park(self) -> None:
        sessions = self.engine._engine.sessions
        session = sessions.known(self.box.session_id)
        asyncio.run_coroutine_threadsafe(sessions.park(session), self.engine._loop).result(BOUND)

    def final(self) -> int:
        """What the session holds in the end, however often it has to be asked."""
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(SandboxError):
                done = self.box.start().run("n", check=False)
                if done.text is not None:
                    return int(done.text)
        raise AssertionError(f"the session cannot be used any more: {self.failures}")


class Killer:
    """Kills at the first time that sessions have taken a step, from within the engine's thread."""

    def __init__(self, step: str, kill: Callable[[Session], bool]) -> None:
        self.killed = False
        self._step, self._kill = step, kill
        self._true = Session.step

    def take_part(self, set_step: Callable[[Any], None]) -> None:
        """Have `set_step` put this in the place of `Session.step`."""
        killer = self

        def step(session: Session, what: str) -> None:
            killer._true(session, what)
            if what == killer._step and not killer.killed:
                killer.killed = killer._kill(session)

        set_step(step)


def killing(engine: EngineThread, victim: str, others: Container[int]) -> Callable[[Session], bool]:
    """What kills the worker, or the zygote or keeper that the engine has; it tells whether there was one.

    `others` are children that do not belong to this engine.
    """

    def kill(session: Session) -> bool:
        if victim == "worker":
            cell = cell_of(engine, session.id)
            if cell is None:
                return False
            with contextlib.suppress(OSError):  # it has just ended
                signal.pidfd_send_signal(cell.worker.pidfd, signal.SIGKILL)
            return True
        ours = [child for child in children(os.getpid()) if child not in others]
        found = [pid for child in ours for pid in (child, *children(child)) if comm(pid) == victim]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return bool(found)

    return kill


def _die(_session: Session) -> bool:
    os.kill(os.getpid(), signal.SIGKILL)
    return True


if __name__ == "__main__":
    life = Life(EngineThread(parked=0), sys.argv[1])
    Killer(sys.argv[2], _die).take_part(lambda step: setattr(Session, "step", step))
    life.go_through_everything()
    print("lived")
