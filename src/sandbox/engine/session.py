"""One session: its worker, its executions one at a time, and what is known of its past."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from sandbox.engine.answers import Answer
from sandbox.engine.artifacts import ArtifactStore
from sandbox.engine.egress.egress import Egress
from sandbox.engine.execution import Execution, Outcome
from sandbox.engine.launcher import Cell
from sandbox.engine.scan import EMPTY, printable
from sandbox.engine.stored import Kept
from sandbox.engine.worker_events import Completed, DoneInside
from sandbox.engine.workspaces import Workspace
from sandbox.errors import SandboxClosedError
from sandbox.protocol.messages import (
    AnimationInfo,
    CauseInfo,
    Completions,
    CreateAnimation,
    ExecutionFinished,
    HistoryRecord,
    Run,
    SessionOptions,
    StatsCounted,
)

if TYPE_CHECKING:
    from sandbox.engine.animations.execution import AnimationExecution, Place
    from sandbox.store.history import Stats

_log = logging.getLogger("sandbox.engine")
_MOST_HISTORY = 10_000
_MOST_ERROR = 10_000  # characters: the text is the worker's, and there is one for each execution

# (state, what happens) -> state. Anything else is a mistake of ours, or a peer that lies.
STEPS = {
    ("idle", "launch"): "starting",
    ("starting", "ready"): "ready",
    ("starting", "fail"): "idle",
    ("ready", "run"): "running",
    ("running", "finish"): "ready",
    ("running", "lose"): "idle",
    ("ready", "lose"): "idle",
    ("ready", "park"): "idle",
    ("idle", "close"): "closed",
    ("ready", "close"): "closed",
    ("running", "close"): "closed",
    ("starting", "close"): "closed",
    ("closed", "open"): "idle",
}


class Session:
    """`cell` is there while a worker is. Methods run in the engine's loop; executions queue up for `turn`."""

    def __init__(
        self, name: str, options: SessionOptions, artifacts: ArtifactStore, owner: str, egress: Egress
    ) -> None:
        self.id = name
        self.owner = owner
        self.options = options
        self.egress = egress
        self.used_at = time.monotonic()
        self.artifacts = artifacts
        self.cell: Cell | None = None
        self.own_workspace: Workspace | None = None
        self.lender: Session | None = None  # whose workspace it works in, if that is not its own
        self.kept: Kept | None = None
        self.keeping: asyncio.Task[Kept] | None = None  # on the way to `kept`
        self._cold: set[str] = set()  # imports that were to be warm and failed, and which somebody was told
        self.retired = False  # whether all of its workspace is stored, and nobody here changes it any more
        self.turn = asyncio.Lock()
        self.bringing = asyncio.Lock()  # artifacts, from the store
        self.state = "idle"
        self.history: deque[HistoryRecord] = deque(maxlen=_MOST_HISTORY)
        self.started_at = time.monotonic()
        self.executions = 0
        self.commands: dict[int, Any] = {}
        self.terminals: dict[int, Any] = {}
        self.apps: dict[str, Any] = {}
        self.watches: set[asyncio.Future[None]] = set()  # of its directory, which the kernel does not end with it
        self.running: Execution | AnimationExecution | None = None
        self.trial: asyncio.Task[Any] | None = None  # of what the last execution saved
        self.variables_lost = ""  # why, until an execution has told its caller
        self.scan_before = EMPTY
        self.animations: deque[AnimationInfo] = deque(maxlen=_MOST_HISTORY)  # of a session that is not stored
        self._time = 0.0
        self._hits = 0
        self._compiled = 0

    def step(self, what: str) -> None:
        """Change state. Raises SandboxClosedError when the session is closed."""
        state = STEPS.get((self.state, what))
        if state is None:
            if self.state == "closed":
                raise SandboxClosedError(f"session {self.id} is closed: start it again, or open another")
            raise AssertionError(f"session {self.id} cannot {what} while it is {self.state}")
        self.state = state

    def reopen(self, options: SessionOptions) -> None:
        """Start again after `close`, with these options. Raises UsageError, SandboxStartError."""
        egress = Egress(options, self.egress.outside)
        self.step("open")
        self.options, self.egress = options, egress
        self.artifacts.complete = False  # another process may have had the session meanwhile
        self.retired = False
        if self.executions and self.kept is None:
            self.variables_lost = "the sandbox was stopped since"

    @property
    def workspace(self) -> Workspace | None:
        """The directory that it works in."""
        return self.own_workspace if self.lender is None else self.lender.workspace

    async def keep(self) -> None:
        """Wait until the session has its place in the store, if it is to have one. Raises StoreError."""
        if self.keeping is not None:
            self.kept = await asyncio.shield(self.keeping)
            self.keeping = None
            self.executions = self.kept.executions

    def lose(self) -> None:
        """Its worker is gone, in the middle of nothing: between executions."""
        if self.state == "ready":
            self.step("lose")
            self.variables_lost = self._why_lost()

    def _why_lost(self) -> str:
        gone = self.cell.worker.gone if self.cell is not None else None
        return (gone and gone.why) or "the worker died between executions"

    @property
    def busy(self) -> bool:
        """Whether an execution or a command is under way."""
        return self.running is not None or bool(self.commands)

    @property
    def in_use(self) -> bool:
        """Whether something is under way, or a web app is there, which somebody may be about to look at."""
        return self.busy or any(app.alive for app in self.apps.values())

    @property
    def idle(self) -> bool:
        """Whether it has a worker that nobody uses, and that can be brought back."""
        return self.state == "ready" and self.options.persist and not self.in_use and not self.turn.locked()

    def stop_for(self, cause: CauseInfo, *, at_once: bool = False) -> None:
        """A limit was hit: stop what runs. What an earlier execution left running ends with the worker only."""
        if not self.busy and self.cell is not None:
            self.cell.worker.limit = cause
            self.cell.worker.kill(cause.message)
        if self.running is not None:
            self.running.stop_for(cause, at_once=at_once)
        for command in list(self.commands.values()):
            command.stop_for(cause, at_once=at_once)

    async def clear_cache(self) -> None:
        """Forget compiled code, in the worker too."""
        self._compiled = 0
        if self.cell is not None:
            await self.cell.worker.ask({"do": "clear_cache"}, DoneInside)

    async def run(self, request: Run, cell: Cell, emit: Answer) -> ExecutionFinished:
        """Run code in `cell`, whose turn the caller holds; emit what it prints and shows; return how it ended."""
        self.executions += 1
        self.step("run")
        self.scan_before = cell.workspace.last
        execution = Execution(self.executions, request, self.options, cell, self.artifacts, emit, self.kept)
        self.egress.journal.begin()
        execution.journal = self.egress.journal
        execution.lost_before = self.variables_lost
        if self.variables_lost and self.kept is not None and self.kept.restorable:
            execution.restored_before = self.kept.restored()
        execution.warn(self._not_warm(cell))
        self.variables_lost = ""
        return await self._carried_out(execution, execution.run(), request.code, emit)

    async def animate(self, request: CreateAnimation, place: Place, emit: Answer) -> ExecutionFinished:
        """Render scenes beside the worker, whose turn the caller holds. What `run` does, but for the variables."""
        from sandbox.engine.animations.execution import AnimationExecution  # noqa: PLC0415 - few sessions render

        self.executions += 1
        self.step("run")
        self.scan_before = place.cell.workspace.last
        execution = AnimationExecution(self.executions, request, self.options, place, self.artifacts, emit, self.kept)
        self.egress.journal.begin()
        execution.journal = self.egress.journal
        self.commands[execution.rendering.number] = execution.rendering
        try:
            return await self._carried_out(execution, execution.run(), request.code, emit)
        finally:
            del self.commands[execution.rendering.number]

    def _broken_off(self, execution: Execution | AnimationExecution) -> None:
        if isinstance(execution, Execution):
            # The host lacks something, and nobody knows what its worker is at.
            self.step("lose")
            self.variables_lost = "the engine could not go on with an execution"
        elif self.state == "running":
            self.step("finish")  # it was beside the worker, which knows nothing of it

    async def _carried_out(
        self, execution: Execution | AnimationExecution, work: Coroutine[Any, Any, Outcome], code: str, emit: Answer
    ) -> ExecutionFinished:
        self.running, execution.request_id = execution, emit.request_id
        emit.began(self.executions)
        try:
            outcome = await work
        except BaseException:
            self._broken_off(execution)
            raise
        finally:
            self.running = None
        self.step("lose" if outcome.worker_lost else "finish")
        if outcome.worker_lost:
            self._log_loss(execution)
            if outcome.finished.state.kind == "kept":
                self.variables_lost = self._why_lost()  # when all was saved: the next execution has to tell
        self._remember(code, outcome)
        return outcome.finished

    def _log_loss(self, execution: Execution | AnimationExecution) -> None:
        """Why is in part the worker's word: it goes no further than the log."""
        _log.info(
            "session %s lost its worker in execution %d: %s", self.id, execution.number, printable(self._why_lost()),
            extra={"request": execution.request_id},
        )  # fmt: skip

    def _not_warm(self, cell: Cell) -> list[str]:
        """A warning for each import that was asked for by name and failed, once."""
        if self.options.environment.warm is None:
            return []
        new = {name: why for name, why in cell.zygote.warm_errors.items() if name not in self._cold}
        self._cold.update(new)
        return [f"{name} could not be imported ahead of time: {printable(why)}" for name, why in new.items()]

    def _remember(self, code: str, outcome: Outcome) -> None:
        done = outcome.finished
        self._time += done.execution_time
        self._hits += done.cache_hit
        if outcome.compiled is not None:
            self._compiled = outcome.compiled
        self.animations.extend(done.animations)
        self.history.append(
            HistoryRecord(
                number=done.number,
                code=code,
                status=done.status,
                started_at=done.started_at,
                execution_time=done.execution_time,
                cache_hit=done.cache_hit,
                error_type=done.error.type if done.error else None,
                error=done.error.message[:_MOST_ERROR] if done.error else None,
                cause=done.cause.kind if done.cause else None,
                artifacts=tuple(artifact.id for artifact in done.artifacts),
                request_id=done.request_id,
            )
        )

    def stats(self, stored: Stats | None) -> StatsCounted:
        """Counts and averages: the stored ones, if the session is stored."""
        here = (len(self.history), self._hits, self._time, len(self.artifacts.all))
        total, hits, seconds, artifacts = here if stored is None else stored
        return StatsCounted(
            total_executions=total,
            average_execution_time=seconds / total if total else 0.0,
            cache_hits=hits,
            cache_misses=total - hits,
            cached_compilations=self._compiled,
            artifacts_count=artifacts,
        )

    async def complete(self, code: str, cursor: int, cell: Cell) -> Completions:
        """Ask the worker what could stand at `cursor`. Nothing is found while a worker goes away."""
        event = await cell.worker.ask({"do": "complete", "code": code, "cursor": cursor}, Completed)
        return Completions(event.matches, event.start) if isinstance(event, Completed) else Completions((), cursor)
