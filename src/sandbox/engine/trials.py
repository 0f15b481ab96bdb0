"""Loads what was saved in a spare worker, where it is not known to load: what does not is lost now, and not later.

Whoever unpickles runs the session's code. So a spare worker is one as any other, hostile, with the session's limits
and less than its rights: a workspace of its own that is thrown away, mounts that it cannot write, no network. First
it loads only what is new, without files. If something fails, another one does all that a restore does, files and
all, and its word counts. What ends a spare worker, or does not come to an end, is left out for the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from sandbox.engine.scan import printable
from sandbox.engine.stored import most_saved
from sandbox.engine.trial import Spares, Trial, Undecided
from sandbox.engine.waiting import uncancelled
from sandbox.engine.worker_events import LostName, Saved
from sandbox.errors import ProtocolError, StoreError
from sandbox.inside.contain.policy import NAMESPACES

if TYPE_CHECKING:
    from sandbox.engine.launcher import Cell, Launcher
    from sandbox.engine.pool import Pool
    from sandbox.engine.session import Session
    from sandbox.engine.stored import Kept
    from sandbox.engine.worker import Worker
    from sandbox.protocol.messages import ExecutionFinished

_MOST_TOLD = 5


class Trials:
    """One for each engine."""

    def __init__(self, pool: Pool, launcher: Launcher) -> None:
        self.spares = Spares(pool, launcher)

    async def run(self, session: Session, kept: Kept, cell: Cell, finished: ExecutionFinished) -> ExecutionFinished:
        """Try what an execution has saved; return how it ended, with what is lost. The caller holds the turn.

        Never raises, and never fails the execution. Being cancelled gives the trial up.
        """
        kept.untried = False
        if not _can_be_without_network(cell):
            await _tell(cell.worker, finished.number, proven=False)
            return finished
        try:
            lost = await _watched(session, cell.worker, Trial(self.spares, session, kept, cell))
        except Undecided as undecided:
            finished = _warned(finished, f"whether everything can be restored could not be tried: {undecided}")
            if undecided.lost:
                return await uncancelled(_amended(kept, cell, finished, undecided.lost, proven=False))
            await _tell(cell.worker, finished.number, proven=False)
            return finished
        if lost:
            return await uncancelled(_amended(kept, cell, finished, lost, proven=True))
        await _tell(cell.worker, finished.number, proven=True)
        return finished


def _can_be_without_network(cell: Cell) -> bool:
    """Whether a spare worker of the same zygote can be kept off every network."""
    spec = cell.zygote.spec
    return "network_namespace" not in spec.without and (spec.network == "none" or spec.level == NAMESPACES)


async def _watched(session: Session, worker: Worker, trial: Trial) -> tuple[LostName, ...]:
    """The outcome, unless this is cancelled or the session's own worker ends. Raises Undecided."""
    task = session.trial = asyncio.get_running_loop().create_task(trial.outcome())

    def cancel(_: object) -> None:
        task.cancel()

    worker.process.ended.add_done_callback(cancel)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        given_up = Undecided("it was given up")
        given_up.lost = trial.given_up()
        task.cancel()
        await uncancelled(_ended(task))
        raise given_up from None
    except Undecided as undecided:
        undecided.lost = trial.found()
        raise
    finally:
        session.trial = None
        worker.process.ended.remove_done_callback(cancel)


async def _ended(task: asyncio.Task[tuple[LostName, ...]]) -> None:
    with contextlib.suppress(asyncio.CancelledError, Undecided):
        await task


async def _tell(worker: Worker, number: int, *, proven: bool) -> None:
    """Nothing was lost. The worker does not answer: it hears of it before its next request."""
    await worker.tell({"do": "tried", "number": number, "lost": [], "proven": proven})


async def _amended(
    kept: Kept, cell: Cell, finished: ExecutionFinished, lost: tuple[LostName, ...], *, proven: bool
) -> ExecutionFinished:
    """Have the checkpoint say what is lost, as the worker tells it, before anybody is told of the checkpoint."""
    told = [{"name": one.name, "type": one.type, "reason": one.reason} for one in lost]
    message = {"do": "tried", "number": finished.number, "lost": told, "proven": proven}
    saved = await cell.worker.ask(message, Saved)
    if isinstance(saved, Saved):
        finished = await _taken(kept, cell, finished, saved)
        kept.lost = tuple(one.name for one in saved.lost)
    else:
        kept.lost = tuple(dict.fromkeys((*kept.lost, *(one.name for one in lost))))
    finished = msgspec.structs.replace(finished, state=msgspec.structs.replace(finished.state, lost_names=kept.lost))
    return _warned(finished, *_reasons(lost))


async def _taken(kept: Kept, cell: Cell, finished: ExecutionFinished, saved: Saved) -> ExecutionFinished:
    worker = cell.worker
    try:
        _check(saved, finished.number, cell.options.memory)
        with worker.state.dup() as state:
            await kept.amend(saved, state.fileno())
    except ProtocolError as error:
        worker.kill(f"it broke the protocol: {error.message}")
        await asyncio.wait([worker.process.ended])
    except (StoreError, OSError) as error:
        kept.whole = True
        return _warned(finished, f"that names are lost was not saved: {error}")
    return finished


def _check(saved: Saved, number: int, memory: int) -> None:
    """Raises ProtocolError for an answer that cannot be one."""
    if saved.number != number or saved.bytes > most_saved(memory):
        raise ProtocolError(f"its answer to a trial has {saved.bytes} bytes, about execution {saved.number}")


def _reasons(lost: tuple[LostName, ...]) -> list[str]:
    """A warning for each of the first, and one for the rest."""
    told = [f"{printable(one.name)} is lost when this session is restored: {one.reason}" for one in lost[:_MOST_TOLD]]
    return told if len(lost) <= _MOST_TOLD else [*told, f"and {len(lost) - _MOST_TOLD} more names are lost then"]


def _warned(finished: ExecutionFinished, *warnings: str) -> ExecutionFinished:
    return msgspec.structs.replace(finished, warnings=(*finished.warnings, *warnings))
