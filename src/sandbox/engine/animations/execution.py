"""An execution that renders an animation: no part of the session's variables, but of its history and files."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from sandbox.engine import causes
from sandbox.engine.animations.rendering import Rendering
from sandbox.engine.animations.said import MOST_SCENES, Done, FailedInside, Progress, Ready, Rendered, Said, Scenes
from sandbox.engine.artifacts import DIRECTORY
from sandbox.engine.collecting import Collected, collect
from sandbox.engine.egress.journal import Journal
from sandbox.engine.execution import GRACE_SECONDS, Outcome
from sandbox.engine.metrics import counters
from sandbox.engine.transcript import Transcript
from sandbox.engine.waiting import uncancelled
from sandbox.engine.worker_events import Gone, Raised
from sandbox.errors import SandboxConnectionError
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.animations.warm import WarmZygotes
    from sandbox.engine.artifacts import ArtifactStore
    from sandbox.engine.cgroups import Counters
    from sandbox.engine.launcher import Cell, Launcher
    from sandbox.engine.stored import Kept

_MOST_PROGRESS = 20_000


class Place(NamedTuple):
    """Where something is rendered: beside this worker, by a process of one of these zygotes."""

    cell: Cell
    launcher: Launcher
    warm: WarmZygotes


class AnimationExecution:
    """Runs once, as `Execution` does. `rendering` is its process."""

    def __init__(
        self,
        number: int,
        request: m.CreateAnimation,
        options: m.SessionOptions,
        place: Place,
        artifacts: ArtifactStore,
        emit: Callable[[m.Event], None],
        kept: Kept | None,
    ) -> None:
        self.number = number
        self.request_id: str | None = None
        self.rendering = Rendering(request, options, self._hear, self._printed)
        self._request = request
        self._options = options
        self._cell, self._launcher, self._warm = place
        self._store = artifacts
        self._emit = emit
        self._kept = kept
        self._transcript = Transcript()
        self._interrupted = False
        self._ready = asyncio.Event()
        self._interrupting: asyncio.Task[None] | None = None
        self._scenes: tuple[str, ...] = ()
        self._told = 0
        self._rendered: dict[str, Rendered] = {}
        self._error: Raised | None = None
        self._done = False
        self.journal = Journal()
        """Says, at the end, what the network policy has refused meanwhile."""

    # --- from outside ---

    def interrupt(self) -> None:
        """Interrupt it: the code sees KeyboardInterrupt."""
        self._interrupt(None)

    def stop_for(self, cause: m.CauseInfo, *, at_once: bool = False) -> None:
        """A limit that the engine watches was hit."""
        self.rendering.stop_for(cause, at_once=at_once)

    def _interrupt(self, grace: float | None) -> None:
        self._interrupted = True
        self.rendering.give_up()
        if grace is not None and self._interrupting is not None:
            self._interrupting.cancel()
        if grace is not None or self._interrupting is None or self._interrupting.done():
            self._interrupting = asyncio.get_running_loop().create_task(self._interrupt_then_kill(grace))

    async def _interrupt_then_kill(self, grace: float | None) -> None:
        """Signal it once it can take notice. It is killed `grace` seconds after that, or if it never can."""
        with contextlib.suppress(SandboxConnectionError):  # the zygote is gone, and all of its processes
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._ready.wait()
                await self.rendering.signal(signal.SIGINT)
                await asyncio.sleep(grace or 0.0)
            if grace is not None:
                await self.rendering.end()

    # --- running ---

    async def run(self) -> Outcome:
        """Render; return how it ended, durable. Raises SandboxStartError. Being cancelled interrupts it, and waits."""
        cell = self._cell
        before = cell.counted or counters(cell)
        started_at, begin = time.time(), time.perf_counter()
        code = await self._until_its_end(self.rendering.rendered(cell, self._launcher, self._warm))
        seconds = time.perf_counter() - begin
        collected = await uncancelled(collect(self.number, cell.workspace, self._store))
        try:
            after = cell.counted = counters(cell)
        except FileNotFoundError:
            after = before  # the session was closed meanwhile, and its group with it
        finished = self._finished(code, collected, before, after)
        finished = msgspec.structs.replace(finished, execution_time=seconds, started_at=started_at)
        if self._kept is not None:
            saving = self._kept.save_beside(finished, self._request.code, cell.workspace, self._transcript)
            finished = await uncancelled(saving)
        return Outcome(finished, cell.worker.gone is not None, None)

    async def _until_its_end(self, work: Coroutine[Any, Any, int]) -> int | None:
        """Its exit code; None if it was given up before there was a process."""
        task = asyncio.get_running_loop().create_task(work)
        try:
            while not task.done():
                try:
                    await asyncio.wait([task])
                except asyncio.CancelledError:
                    self._interrupt(GRACE_SECONDS)
            return None if self.rendering.given_up and task.cancelled() else task.result()
        finally:
            if self._interrupting is not None:
                self._interrupting.cancel()
                await asyncio.wait([self._interrupting])

    def _printed(self, event: m.Event) -> None:
        self._transcript.add(event)
        self._emit(event)

    def _hear(self, event: Said) -> None:
        match event:
            case Ready():
                self._ready.set()
            case Scenes():
                self._scenes = event.names
            case Progress():
                self._tell(event)
            case Rendered():
                if len(self._rendered) < MOST_SCENES:
                    self._rendered[event.scene] = event
            case FailedInside():
                self._error = event.error
            case Done():
                self._done = True

    def _tell(self, event: Progress) -> None:
        self._told += 1
        if self._told <= _MOST_PROGRESS:
            number = self._scenes.index(event.scene) + 1 if event.scene in self._scenes else 0
            progress = m.AnimationProgress(
                event.scene, number, len(self._scenes), event.animation, event.name, event.frames
            )
            self._emit(progress)

    # --- the end ---

    def _finished(
        self, code: int | None, collected: Collected, before: Counters, after: Counters
    ) -> m.ExecutionFinished:
        error, cause = self._ended(code, before, after)
        animations, lost = self._animations(collected.artifacts)
        if error is None and lost:
            error = m.CodeError("FileNotFoundError", f"{', '.join(lost)} was rendered, and its file was not found", "")
        return m.ExecutionFinished(
            number=self.number,
            status=self._status(error, cause),
            execution_time=0.0,
            started_at=0.0,
            cache_hit=False,
            isolation=self._cell.zygote.spec.level,
            network=self._options.network,
            enforced=self._cell.worker.enforced,
            error=error,
            cause=cause,
            artifacts=tuple(collected.artifacts),
            files=collected.files,
            truncated=self.rendering.cut,
            usage=m.UsageInfo(max(0.0, after.cpu_seconds - before.cpu_seconds), after.peak_memory),
            warnings=(*collected.warnings, *self.journal.warnings()),
            animations=animations,
            request_id=self.request_id,
        )

    def _animations(self, artifacts: list[m.ArtifactInfo]) -> tuple[tuple[m.AnimationInfo, ...], list[str]]:
        """What was rendered, and the scenes whose files are not where they were said to be."""
        by_path = {f"{DIRECTORY}{one.name}": one for one in artifacts}
        found, lost = [], []
        for one in self._rendered.values():
            artifact = by_path.get(one.file)
            if artifact is None:
                lost.append(one.scene)
                continue
            found.append(
                m.AnimationInfo(
                    scene=one.scene, quality=self._request.quality, format=self._request.format, width=one.width,
                    height=one.height, fps=one.fps, frames=one.frames, duration=one.duration,
                    animations=one.animations, artifact=artifact, thumbnail=by_path.get(one.thumbnail),
                )
            )  # fmt: skip
        return tuple(found), lost

    def _ended(
        self, code: int | None, before: Counters, after: Counters
    ) -> tuple[m.CodeError | None, m.CauseInfo | None]:
        """What went wrong, and which limit it was: what the kernel counted first."""
        cause = self.rendering.limit_hit
        if code is None:
            return self._never_began(cause), cause
        if cause is None and after.out_of_memory > before.out_of_memory:
            cause = causes.memory(self._options, after.peak_memory)
        raised = self._error
        if raised is not None:
            error = m.CodeError(raised.type, raised.message, raised.traceback, raised.exit_code)
            return error, cause or self._cause_of(raised, before, after)
        if self._done and cause is None:
            return None, self.rendering.cause
        if cause is None and not self._interrupted:
            cause = causes.crashed(Gone(code, self.rendering.broken), "rendering")
        text = "it was interrupted" if cause is None else cause.message
        return m.CodeError("WorkerLost", text, "", exit_code=code if code >= 0 else 128 - code), cause

    def _never_began(self, cause: m.CauseInfo | None) -> m.CodeError:
        if cause is not None:
            return m.CodeError("WorkerLost", cause.message, "")
        if self._interrupted:
            return m.CodeError("KeyboardInterrupt", "it was interrupted before it began", "")
        return m.CodeError("WorkerLost", "the session's worker ended before it began", "")

    def _cause_of(self, raised: Raised, before: Counters, after: Counters) -> m.CauseInfo | None:
        if after.processes_refused > before.processes_refused:
            return causes.processes(self._options)
        return (
            None
            if raised.type == "KeyboardInterrupt"
            else causes.of_exception(raised, self._options, self.journal.refused())
        )

    def _status(self, error: m.CodeError | None, cause: m.CauseInfo | None) -> str:
        if error is None:
            return "ok"
        if self.rendering.limit_hit is not None:
            return "timeout" if self.rendering.limit_hit.kind == causes.TIMEOUT else "killed"
        if self._interrupted:
            return "interrupted"
        if error.type != "WorkerLost" or self._error is not None:
            return "error"
        return "killed" if cause is not None and cause.kind == causes.MEMORY else "crashed"
