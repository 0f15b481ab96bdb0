"""One execution: a turn of the worker, with its time limit, its results, and a cause for every way it can end."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sandbox.engine import causes, headroom
from sandbox.engine.artifacts import ArtifactStore, NoRoom
from sandbox.engine.cgroups import Counters
from sandbox.engine.collecting import collect
from sandbox.engine.egress.journal import Journal
from sandbox.engine.languages import is_node, of_cell
from sandbox.engine.launcher import Cell
from sandbox.engine.metrics import counters
from sandbox.engine.stored import Kept, most_saved
from sandbox.engine.transcript import Transcript
from sandbox.engine.waiting import uncancelled
from sandbox.engine.worker import Incoming
from sandbox.engine.worker_events import Ended, Figure, Gone, Saved, Shown
from sandbox.errors import ProtocolError, StoreError
from sandbox.protocol.messages import (
    ArtifactInfo,
    CauseInfo,
    CodeError,
    Event,
    ExecutionFinished,
    FileChanges,
    Output,
    ResultShown,
    Run,
    SessionOptions,
    StateInfo,
    UsageInfo,
    VariableInfo,
)

GRACE_SECONDS = 2.0
_SAVE_SECONDS = 60.0
_MOST_RESULT_BYTES = 64 * 1024 * 1024
_MOST_RESULTS = 1000
_MOST_LAST_WORDS = 16 * 1024
_FIGURES = ("image/png", "image/svg+xml", "image/jpeg", "text/html")


class Outcome(msgspec.Struct, frozen=True):
    """How an execution ended, and what only the session wants to know."""

    finished: ExecutionFinished
    worker_lost: bool
    compiled: int | None


class Execution:
    """Runs once. Its time limit interrupts first, which keeps the state, and kills after a grace."""

    def __init__(
        self,
        number: int,
        request: Run,
        options: SessionOptions,
        cell: Cell,
        artifacts: ArtifactStore,
        emit: Callable[[Event], None],
        kept: Kept | None = None,
    ) -> None:
        self.number = number
        self.request_id: str | None = None
        self._kept = kept
        self._transcript = Transcript()
        self.lost_before = ""
        self.restored_before: StateInfo | None = None
        self._request = request
        self._options = options
        self._cell = cell
        self._store = artifacts
        self._emit = emit
        self._timeout = options.timeout if request.timeout == -1 else request.timeout
        self._timed_out = False
        self._interrupted = False
        self._limit: CauseInfo | None = None
        self._artifacts: list[ArtifactInfo] = []
        self._warnings: list[str] = []
        self._results = 0
        self._last_words = ""  # on stderr, as far as a worker that has died may have said why
        self._result_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self.journal = Journal()
        """Says, at the end, what the network policy has refused meanwhile."""

    # --- from outside ---

    def warn(self, warnings: list[str]) -> None:
        """Say something in its result that it has not itself caused."""
        self._warnings += warnings

    def interrupt(self) -> None:
        """Interrupt it; no kill follows."""
        self._interrupted = True
        self._cell.worker.interrupt()

    def stop_for(self, cause: CauseInfo, *, at_once: bool = False) -> None:
        """A limit that the engine watches was hit: interrupt, and kill after the grace, or `at_once`."""
        if self._limit is not None:
            return
        self._limit = cause
        if at_once:
            self._cell.worker.kill(cause.message)
        else:
            self._interrupt_then_kill()

    # --- running ---

    async def run(self) -> Outcome:
        cell = self._cell
        before = cell.counted or counters(cell)
        started_at = time.time()
        begin = time.perf_counter()
        limit = int(self._options.output * 1e6)
        if self._timeout is not None:
            self._timer = asyncio.get_running_loop().call_later(self._timeout, self._on_timeout)
        try:
            await self._request_run(limit)
            end = await self._events()
        finally:
            if self._timer is not None:
                self._timer.cancel()
        seconds = time.perf_counter() - begin
        saved = await self._saved() if self._kept is not None and isinstance(end, Ended) else None
        if self._kept is not None and saved is None and isinstance(end, Ended):
            self._warnings.append(self._changes_lost())
        truncated = cell.worker.finish()
        files = await self._collect()
        after = cell.counted = self._counted(before)
        finished = self._finished(end, truncated, files, before, after, started_at, seconds)
        if self._kept is not None:
            finished = await self._durable(self._kept, finished, saved)
        near = None if cell.worker.gone else cell.headroom.look(cell, after)
        if near is not None:
            told = headroom.warning(near, await self._variables())
            finished = msgspec.structs.replace(finished, warnings=(*finished.warnings, told))
        return Outcome(finished, cell.worker.gone is not None, end.compiled if isinstance(end, Ended) else 0)

    async def _variables(self) -> Sequence[VariableInfo]:
        """What is known of them: nothing where they are not stored, or cannot be."""
        from sandbox.engine import timeline  # noqa: PLC0415 - few executions come near their limit

        if self._kept is None:
            return ()
        try:
            return await uncancelled(self._kept.timeline(timeline.variables))
        except StoreError:
            return ()

    def _changes_lost(self) -> str:
        gone = self._cell.worker.gone
        why = (gone and gone.why) or "the worker ended meanwhile"
        if gone is not None and gone.out_of_memory:
            why = causes.memory(self._options).message
        return f"what this execution changed could not be saved and is lost: {why}"

    async def _saved(self) -> Saved | None:
        """Wait until the worker has said what it changed; None if it ended, or had to be ended, before."""
        worker = self._cell.worker
        timer = asyncio.get_running_loop().call_later(_SAVE_SECONDS, worker.kill, "it did not save its variables")
        try:
            while True:
                try:
                    event = await worker.next()
                except asyncio.CancelledError:
                    continue
                if isinstance(event, Gone):
                    return None
                if isinstance(event, Saved) and event.number == self.number:
                    if event.bytes <= most_saved(self._options.memory):
                        return event
                    worker.kill("it announced more to save than its memory can hold")
                    continue
                self._pass_on(event)
        finally:
            timer.cancel()

    async def _durable(self, kept: Kept, finished: ExecutionFinished, saved: Saved | None) -> ExecutionFinished:
        """Make a checkpoint of it. Being cancelled waits."""
        fd = self._cell.worker.state.fileno()
        if saved is None or fd < 0:  # it was closed meanwhile
            return await uncancelled(self._keep(kept, finished, None, -1))
        try:
            now = kept.save_now(finished, self._request.code, saved, fd, self._cell.workspace, self._transcript)
        except ProtocolError as error:
            return await uncancelled(self._keep_without(kept, finished, error))
        return await uncancelled(self._keep_later(kept, finished, saved)) if now is None else now

    async def _keep_later(self, kept: Kept, finished: ExecutionFinished, saved: Saved) -> ExecutionFinished:
        # A descriptor of its own: the worker's may be closed while a thread reads, and its number be another's then.
        with self._cell.worker.state.dup() as state:
            try:
                return await self._keep(kept, finished, saved, state.fileno())
            except ProtocolError as error:
                return await self._keep_without(kept, finished, error)

    async def _keep_without(self, kept: Kept, finished: ExecutionFinished, error: ProtocolError) -> ExecutionFinished:
        """What it sends is not to be believed."""
        worker = self._cell.worker
        worker.kill(f"it broke the protocol: {error.message}")
        while not isinstance(await worker.next(), Gone):
            pass  # else the next execution would meet a worker that is just ending
        finished = msgspec.structs.replace(finished, warnings=(*finished.warnings, self._changes_lost()))
        return await self._keep(kept, finished, None, -1)

    async def _keep(self, kept: Kept, finished: ExecutionFinished, saved: Saved | None, fd: int) -> ExecutionFinished:
        return await kept.save(finished, self._request.code, saved, fd, self._cell.workspace, self._transcript)

    async def _request_run(self, output_limit: int) -> None:
        """Send the request. A worker that does not read keeps a long one waiting, until its time is up."""
        request, worker = self._request, self._cell.worker
        message = {"do": "run", "code": request.code, "number": self.number, "key": request.cache_key, "save": False}
        if is_node(self._options.language):
            message["language"] = of_cell(request.language, self._options.language)
        if self._kept is not None:
            message["save"] = "whole" if self._kept.whole else "delta"
        try:
            await worker.request(message, output_limit)
        except asyncio.CancelledError:
            self._interrupted = True
            worker.kill("its request was cancelled half way")

    def _counted(self, before: Counters) -> Counters:
        try:
            return counters(self._cell)
        except FileNotFoundError:
            return before  # the session was closed meanwhile, and its group with it

    async def _events(self) -> Ended | Gone:
        """Pass events on until the last one. Being cancelled interrupts the code and waits for its end."""
        while True:
            try:
                event = await self._cell.worker.next()
            except asyncio.CancelledError:
                self._interrupted = True
                self._interrupt_then_kill()
                continue
            if isinstance(event, Gone) or (isinstance(event, Ended) and event.number == self.number):
                return event
            self._pass_on(event)

    def _pass_on(self, event: Incoming) -> None:
        match event:
            case Output():
                self._note(event)
            case Shown():
                self._show(event, figure=isinstance(event, Figure))
            case _:
                self._cell.worker.kill(f"it broke the protocol: {type(event).__name__} during an execution")

    def _show(self, event: Shown | Figure, *, figure: bool) -> None:
        data = {mime: _content(mime, value) for mime, value in event.data.items()}
        self._results += 1
        self._result_bytes += sum(map(_size, (*data.values(), event.chart)))
        if self._results > _MOST_RESULTS or self._result_bytes > _MOST_RESULT_BYTES:
            if "results" not in "".join(self._warnings):
                self._warnings.append(
                    f"more than {_MOST_RESULTS} results or {_MOST_RESULT_BYTES >> 20} MB: the rest is dropped"
                )
            return
        if event.dropped:
            self._warnings.append(f"a result was shown without {', '.join(event.dropped)}: too large or too deep")
        if figure:
            self._keep_figure(data)
        shown = ResultShown(data, main=event.main, chart=event.chart)
        self._note(shown)

    def _note(self, event: Output | ResultShown) -> None:
        if isinstance(event, Output) and event.stream == "stderr":
            self._last_words = (self._last_words + event.text)[-_MOST_LAST_WORDS:]
        if self._kept is not None:
            self._transcript.add(event)
        self._emit(event)

    def _keep_figure(self, data: dict[str, Any]) -> None:
        for mime in _FIGURES:
            content = data.get(mime)
            if content and isinstance(content, (str, bytes)):
                raw = content if isinstance(content, bytes) else content.encode()
                try:
                    self._artifacts.append(self._store.add_figure(self.number, mime, raw))
                except NoRoom as error:
                    self._warnings.append(f"a figure was not kept as an artifact: {error}")
                return

    def _on_timeout(self) -> None:
        self._timed_out = True
        self._interrupt_then_kill()

    def _interrupt_then_kill(self) -> None:
        worker = self._cell.worker
        worker.interrupt()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(
            GRACE_SECONDS, worker.kill, "it did not stop when interrupted"
        )

    # --- the end ---

    async def _collect(self) -> FileChanges:
        collected = await collect(self.number, self._cell.workspace, self._store)
        self._artifacts += collected.artifacts
        self._warnings += collected.warnings
        return collected.files

    def _finished(
        self,
        end: Ended | Gone,
        truncated: tuple[str, ...],
        files: FileChanges,
        before: Counters,
        after: Counters,
        started_at: float,
        seconds: float,
    ) -> ExecutionFinished:
        cause = self._cause(end, truncated, before, after)
        error = _error(end, cause)
        return ExecutionFinished(
            number=self.number,
            status=self._status(end),
            execution_time=seconds,
            started_at=started_at,
            cache_hit=isinstance(end, Ended) and end.cache_hit,
            isolation=self._cell.zygote.spec.level,
            network=self._options.network,
            enforced=self._cell.worker.enforced,
            error=error,
            cause=cause,
            state=self._state(end),
            artifacts=tuple(self._artifacts),
            files=files,
            truncated=truncated,
            usage=UsageInfo(max(0.0, after.cpu_seconds - before.cpu_seconds), after.peak_memory),
            warnings=(*self._warnings, *self.journal.warnings()),
            request_id=self.request_id,
        )

    def _state(self, end: Ended | Gone) -> StateInfo:
        if self.restored_before is not None:
            self._warnings.insert(0, f"the worker was lost before, and its variables restored: {self.lost_before}")
            return self.restored_before
        if self.lost_before:
            self._warnings.insert(0, f"the variables of earlier executions are lost: {self.lost_before}")
        return StateInfo("lost" if self.lost_before or isinstance(end, Gone) else "kept")

    def _status(self, end: Ended | Gone) -> str:
        if self._timed_out:
            return "timeout"
        if isinstance(end, Gone):
            return "killed" if self._limit else "crashed"
        if self._limit:
            return "limit"
        if end.interrupted and self._interrupted:
            return "interrupted"
        return "error" if end.error else "ok"

    def _cause(
        self, end: Ended | Gone, truncated: tuple[str, ...], before: Counters, after: Counters
    ) -> CauseInfo | None:
        if self._timed_out:
            return causes.timeout(self._timeout or 0.0)
        if self._limit is not None:
            return self._limit
        if isinstance(end, Gone) or end.error is not None:
            return self._cause_of_failure(end, before, after)
        return causes.output(self._options, truncated) if truncated else None

    def _cause_of_failure(self, end: Ended | Gone, before: Counters, after: Counters) -> CauseInfo | None:
        """What the kernel counted first, then how the worker ended or what the code raised."""
        if after.out_of_memory > before.out_of_memory:
            return causes.memory(self._options, after.peak_memory)
        if after.processes_refused > before.processes_refused:
            return causes.processes(self._options)
        if isinstance(end, Gone) and (end.out_of_memory or causes.is_heap_full(self._last_words, self._options)):
            return causes.memory(self._options)
        if isinstance(end, Gone):
            return self._cell.worker.limit or causes.crashed(end)
        return (
            None
            if end.error is None or end.interrupted
            else causes.of_exception(end.error, self._options, self.journal.refused())
        )


def _error(end: Ended | Gone, cause: CauseInfo | None) -> CodeError | None:
    if isinstance(end, Gone):
        text = cause.message if cause else "the worker is gone"
        # As a shell gives it: what os._exit was given, or 128 and the number of the signal.
        return CodeError("WorkerLost", text, "", exit_code=end.code if end.code >= 0 else 128 - end.code)
    if end.error is None:
        return None
    return CodeError(end.error.type, end.error.message, end.error.traceback, end.error.exit_code)


def _size(value: object) -> int:
    """About how many bytes of memory a value takes. Anything but text takes at least eight times what it is sent as."""
    return len(value) if isinstance(value, (str, bytes)) else 8 * len(msgspec.msgpack.encode(value))


def _content(mime: str, value: object) -> Any:
    """Images and documents come as base64 and become bytes; text and JSON stay what they are."""
    binary = (
        mime.startswith(("image/", "audio/", "video/", "application/pdf", "application/octet")) and "svg" not in mime
    )
    if not binary or not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""
