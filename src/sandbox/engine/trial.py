"""One trial: a checkpoint is loaded in spare workers until it is known what of it does not load."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from sandbox.engine import causes
from sandbox.engine.egress.egress import Egress
from sandbox.engine.metrics import counters
from sandbox.engine.restoring import send
from sandbox.engine.session import Session
from sandbox.engine.waiting import in_a_thread, uncancelled
from sandbox.engine.worker_events import Checked, Gone, LostName, Trying
from sandbox.errors import SandboxError
from sandbox.protocol.messages import Output

if TYPE_CHECKING:
    from sandbox.engine.launcher import Cell, Launcher
    from sandbox.engine.pool import Pool
    from sandbox.engine.stored import Kept
    from sandbox.engine.worker import Incoming, Worker
    from sandbox.protocol.messages import SessionOptions
    from sandbox.store.parts import Parts

STEP_SECONDS = 10.0
_ALL_SECONDS = 60.0
_HANGS_SECONDS = 1.0
_BYTES_A_SECOND = 5e6  # of pickles, on a slow machine
_MOST_WORKERS = 5
_MOST_REASON = 500


class Undecided(Exception):
    """A trial came to no end, for a reason that is not in what was to be loaded. `lost` is what it has found so far."""

    lost: tuple[LostName, ...] = ()


class Spares:
    """Gets spare workers, and ends them. `sessions` has those that are at work, for whoever watches limits."""

    def __init__(self, pool: Pool, launcher: Launcher) -> None:
        self._pool, self._launcher = pool, launcher
        self.sessions: dict[str, Session] = {}

    async def get(self, session: Session, cell: Cell) -> Session:
        """Another worker like `cell`, as a session of its own. Raises SandboxError, OSError."""
        options = _with_less(session.options)
        nowhere = Egress(options, session.egress.outside)
        spare = Session(f"{session.id} (trial)", options, session.artifacts, session.owner, nowhere)
        spare.cell = await self._pool.get(options, cell.zygote)
        spare.own_workspace = spare.cell.workspace
        self.sessions[spare.id] = spare
        return spare

    async def end(self, spare: Session) -> None:
        """End a spare worker, with its files."""
        self.sessions.pop(spare.id, None)
        cell, spare.cell = spare.cell, None
        assert cell is not None
        await self._launcher.end(cell)
        await asyncio.to_thread(cell.workspace.remove)


def _with_less(options: SessionOptions) -> SessionOptions:
    """A session's options, without what loading its values could do outside of its worker."""
    mounts = tuple(msgspec.structs.replace(mount, writable=False) for mount in options.files)
    return msgspec.structs.replace(options, network="none", secrets=(), files=mounts)


class _Heard(NamedTuple):
    """What a spare worker said: what is lost; or, if it has not come to that, why, and the names it was at."""

    lost: tuple[LostName, ...] = ()
    unfinished: str = ""
    at: tuple[str, ...] = ()


class _Step:
    """What a spare worker is at, and since when."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at: tuple[str, ...] = ()
        self._begun = 0.0

    def begin(self, names: tuple[str, ...]) -> None:
        self.at, self._begun = names, time.monotonic()

    def hangs(self) -> str:
        """How long it has been at it, if that is longer than loading takes; else nothing."""
        taken = time.monotonic() - self._begun
        return f"{taken:.1f} s" if self.at and taken > self.seconds else ""


class Trial:
    """Of what `cell` has saved in `session`."""

    def __init__(self, spares: Spares, session: Session, kept: Kept, cell: Cell) -> None:
        self._spares, self._session, self._kept, self._cell = spares, session, kept, cell
        self._has_network = session.options.network != "none"
        self._bad: dict[str, str] = {}
        self._step = _Step(0.0)

    async def outcome(self) -> tuple[LostName, ...]:
        """What does not load. Raises Undecided."""
        whole = False
        for _ in range(_MOST_WORKERS):
            heard = await self._in_spare(whole=whole)
            if not heard.unfinished and (whole or not heard.lost):
                return heard.lost
            if heard.unfinished and not heard.at:
                raise Undecided(heard.unfinished)
            self._bad.update(dict.fromkeys(heard.at, heard.unfinished))
            whole = True
        return self.found()

    def given_up(self) -> tuple[LostName, ...]:
        """What is known not to load, and what it hung on: a restore would too, and would fail for it."""
        if taken := self._step.hangs():
            self._bad.update(
                dict.fromkeys(self._step.at, f"loading it had not ended after {taken}, when it was given up")
            )
        return self.found()

    def found(self) -> tuple[LostName, ...]:
        """What has ended a spare worker, or kept one."""
        return tuple(LostName(name, "value", reason, 0) for name, reason in self._bad.items())

    async def _in_spare(self, *, whole: bool) -> _Heard:
        try:
            spare = await self._spares.get(self._session, self._cell)
            try:
                assert spare.cell is not None
                if whole and self._kept.has_files:
                    await self._kept.copy_files(spare.cell.workspace)
                message = {"do": "check", "whole": whole, "bad": self._bad, "network": self._has_network}
                with await self._kept.parts() as parts:
                    size = sum(map(len, parts.small.values()))
                    self._step = _Step(_HANGS_SECONDS + size / _BYTES_A_SECOND)
                    return await _load(spare.cell, parts, message, size, self._step)
            finally:
                await uncancelled(self._spares.end(spare))
        except (SandboxError, OSError) as error:
            raise Undecided(str(error)) from error


async def _load(cell: Cell, parts: Parts, message: dict[str, object], size: int, at: _Step) -> _Heard:
    """Have a worker load parts, and end it."""
    worker = cell.worker
    with worker.state.dup() as state:
        sending = asyncio.get_running_loop().create_task(in_a_thread(lambda: send(state, parts)))
        try:
            await worker.request(message)
            return await _listen(cell, size, at)
        finally:
            worker.kill("its trial is over")
            with contextlib.suppress(OSError):
                state.shutdown(socket.SHUT_RDWR)  # or a process that it has left could keep the sender waiting
            await uncancelled(_sent(sending))


async def _sent(sending: asyncio.Task[None]) -> None:
    """Whoever has not taken it all is gone by now."""
    with contextlib.suppress(OSError):
        await sending


async def _listen(cell: Cell, size: int, at: _Step) -> _Heard:
    """What a worker says, no longer than loading may take."""
    loop = asyncio.get_running_loop()
    step = STEP_SECONDS + size / _BYTES_A_SECOND
    end = loop.time() + max(_ALL_SECONDS, 2 * step)
    before = counters(cell).out_of_memory
    while (left := min(step, end - loop.time())) > 0:
        event = await _next(cell.worker, left)
        match event:
            case Trying():
                at.begin(event.names)
            case Checked():
                return _Heard(event.lost)
            case Gone():
                return _Heard((), _why(cell, event, before), at.at)
            case None:
                return _Heard((), f"loading it takes longer than {left:.0f} s", at.at)
            case Output():
                pass  # nobody is there who would want it
            case _:
                cell.worker.kill(f"it broke the protocol: {type(event).__name__} during a trial")
    return _Heard((), "it takes too long")


async def _next(worker: Worker, seconds: float) -> Incoming | None:
    try:
        async with asyncio.timeout(seconds):
            return await worker.next()
    except TimeoutError:
        return None


def _why(cell: Cell, gone: Gone, out_of_memory_before: int) -> str:
    if gone.out_of_memory or counters(cell).out_of_memory > out_of_memory_before:
        return f"loading it takes more memory than the sandbox has, which is {cell.options.memory} MB"
    return f"when it is loaded, {causes.crashed(gone).message}"[:_MOST_REASON]
