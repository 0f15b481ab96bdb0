"""Between callers and the engine: whose sandbox it is, what a key allows, and bringing back what sleeps."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import msgspec

from sandbox.engine.begun import Begun, settled
from sandbox.engine.engine import Engine
from sandbox.errors import SandboxError
from sandbox.protocol import messages as m
from sandbox.server import names, policy, quotas
from sandbox.server.access import require
from sandbox.server.apps.apps import Apps
from sandbox.server.asking import Refused, ask
from sandbox.server.audit import Audit, Caller
from sandbox.server.checks import check
from sandbox.server.observe import Counts
from sandbox.server.recordings import Recording, Recordings
from sandbox.server.registry import Entry, Registry
from sandbox.server.stored import Usage
from sandbox.server.tracing import Tracer

_log = logging.getLogger("sandbox.server")
# Looks at what was: also of a sandbox that is stopped.
_OF_THE_PAST = (m.GetHistory, m.GetStats, m.ListArtifacts, m.ReadArtifact, m.ListAnimations, m.DeleteSession)
_LONG = (m.ReadFile, m.ReadArtifact, m.Export, m.WatchFiles)
_USES_CPU = (
    m.Run, m.StartCommand, m.StartWebApp, m.RestartWebApp, m.ScreenshotWebApp, m.CreateAnimation, m.StartTerminal,
)  # fmt: skip
_STORES = (
    m.Run, m.StartCommand, m.WriteFile, m.Fork, m.MakeCheckpoint, m.StartWebApp, m.RestartWebApp, m.ScreenshotWebApp,
    m.CreateAnimation, m.StartTerminal,
)  # fmt: skip
_METER_SECONDS = 2.0


class Gate:
    """Answers requests of callers. Everything runs in the engine's loop."""

    def __init__(  # noqa: PLR0913, PLR0917
        self, engine: Engine, registry: Registry, cpu: quotas.CpuSeconds, audit: Audit, counts: Counts,
        idle_timeout: float | None, apps: Apps, tracer: Tracer | None = None,
    ) -> None:  # fmt: skip
        self.engine, self.registry, self.counts, self.apps = engine, registry, counts, apps
        self.recordings = Recordings()
        self.number = os.urandom(8).hex()  # by which a client knows that this is not another one
        self._cpu, self._audit, self._idle_timeout = cpu, audit, idle_timeout
        self._usage = Usage(engine.sessions.stored)
        self._waking: dict[str, asyncio.Lock] = {}
        self._starting: dict[str, dict[str, int]] = {}  # by owner: MB of what is being started, by its id
        self._tracer = tracer
        engine.sessions.charge = self._used

    def begin(self, caller: Caller, request: Any, once: str | None = None) -> Recording:
        """Begin to answer. A request of the same `once` from the same owner is the same request, and has one answer.

        Raises SandboxError for what is not even tried.
        """
        owner = caller.key.owner
        if once is not None and (known := self.recordings.get(owner, "once", once)) is not None:
            return known
        require(caller.key, "sandboxes")
        if isinstance(request, m.OpenSession) and request.session is None:
            request = msgspec.structs.replace(request, session=os.urandom(8).hex(), fresh=True)
        check(request)
        if isinstance(request, m.SetNetwork):
            policy.check_network(request, caller.key)
        wanted = names.translated(request, owner)
        recording = self._recording(caller, request)
        self.recordings.begun(recording)
        if once is not None:
            self.recordings.name(recording, owner, "once", once)
        if isinstance(request, (m.Run, m.StartCommand)):
            recording.when_it_begins(lambda one: self._name_by_number(one, owner, request.session))
        if self._is_simple(caller, request, wanted):
            recording.task = self.engine.carry_out(wanted, recording)
        else:
            recording.task = asyncio.get_running_loop().create_task(self._work(caller, request, wanted, recording))
        return recording

    def _recording(self, caller: Caller, request: Any) -> Recording:
        owner, begin = caller.key.owner, time.perf_counter()
        sessions = _sessions_of(request)
        span = self._tracer.begin(caller, request) if self._tracer is not None else None

        def on_end(last: m.LastEvent) -> None:
            seconds = time.perf_counter() - begin
            asyncio.get_running_loop().call_soon(counted, last, seconds)
            self._audit.note(caller, request, last, seconds)

        def counted(last: m.LastEvent, seconds: float) -> None:
            """What need not be done before the caller has its answer."""
            try:
                self._count(caller, request, last, seconds)
                if self._tracer is not None and span is not None:
                    self._tracer.end(span, last)
            finally:
                self.recordings.ended(recording)

        def show(event: m.Event) -> m.Event:
            if isinstance(event, m.WebAppsListed):
                return self.apps.shown(event)
            return names.shown(_without_our_mistakes(event, caller), owner, sessions)

        recording = Recording(caller.request_id, show, on_end, kept=not isinstance(request, _LONG))
        return recording

    def _name_by_number(self, recording: Recording, owner: str, session: str) -> None:
        if recording.command is not None:
            self.recordings.name(recording, owner, "command", session, str(recording.command))
        else:
            self.recordings.name(recording, owner, "execution", session, str(recording.number))

    def _is_simple(self, caller: Caller, request: Any, wanted: Any) -> bool:
        """Whether the engine can have the request at once: nothing is to be looked up, brought back or noted."""
        limits = caller.key.quotas
        if isinstance(request, (m.OpenSession, m.CloseSession, m.DeleteSession, m.Fork, m.SetNetwork)):
            return False
        if isinstance(request, _STORES) and not (limits.disk is limits.cpu_seconds is limits.memory is None):
            return False
        return self._known(wanted.session)

    def _known(self, session: str) -> bool:
        return self.engine.sessions.has(session)

    # --- what takes more than the engine ---

    async def _work(self, caller: Caller, request: Any, wanted: Any, recording: Recording) -> None:
        last: m.LastEvent = m.Failed("closed", "the request was cancelled")
        try:
            last = await self._done(caller, request, wanted, recording)
        except SandboxError as error:
            last = m.Failed(error.code, error.message, error.details)
        except Exception:  # noqa: BLE001 - a mistake of ours: its caller must still get an answer
            _log.exception("a mistake of this program", extra={"request": caller.request_id})
            last = m.Failed("error", "the server made a mistake; its log has it", {"request": caller.request_id})
        finally:
            recording.end(last)

    async def _done(self, caller: Caller, request: Any, wanted: Any, recording: Recording) -> m.LastEvent:
        owner = caller.key.owner
        if isinstance(request, m.OpenSession):
            return await self._open(caller, request)
        if isinstance(request, m.DeleteSession) and await self._forgotten(owner, request.session):
            return m.Done()
        await self._bring_back(owner, request.session, past=isinstance(request, _OF_THE_PAST))
        with self._room(caller, request):
            await self._check_quotas(caller, request)
            last = await ask(self.engine, wanted, recording)
        if isinstance(last, m.Done):
            self._note(owner, request)
        return last

    async def _forgotten(self, owner: str, name: str) -> bool:
        """Delete what works in the files of a session; tell whether that one works in another's, and is deleted too."""
        entry, borrowers = self.registry.get(owner, name), self.registry.borrowers(owner, name)
        borrows = entry is not None and entry.options.files_of is not None
        ids = [one.id for one in borrowers] + ([name] if borrows else [])
        await self.engine.sessions.forget_all([names.inner(owner, one) for one in ids], owner)
        for one in ids:
            self.registry.deleted(owner, one)
        return borrows

    def _note(self, owner: str, request: Any) -> None:
        """Know from now on what has been done: to what works in the files of the session as well."""
        there = [request.session, *(one.id for one in self.registry.borrowers(owner, request.session))]
        match request:
            case m.CloseSession():
                for one in there:
                    self.registry.closed(owner, one)
            case m.DeleteSession():
                self.registry.deleted(owner, request.session)
            case m.SetNetwork():
                for one in there:
                    self.registry.changed(owner, one, network=request.network, policy=request.policy)
            case m.Fork():
                entry = self.registry.get(owner, request.session)
                for one in request.ids if entry is not None else ():
                    self.registry.opened(owner, one, cast("Entry", entry).options)

    async def _open(self, caller: Caller, request: m.OpenSession) -> m.LastEvent:
        owner, name = caller.key.owner, request.session or ""
        known = self.registry.get(owner, name)
        options = policy.checked(request.options, caller.key, self._idle_timeout, new=known is None)
        if known is not None and (begun := Begun.of(known.options)) is not None:
            options = settled(name, options, begun)
        if options.files_of is not None:
            await self._bring_back(owner, options.files_of)
        if known is None or not known.open:
            self._check_room(caller, options.memory, (name,))
        else:
            options = policy.with_values(known.options, options.secrets)
        with self._reserved(owner, (name,), options.memory):
            await self._check_quotas(caller, request)
            return await self._opened(owner, name, options, fresh=request.fresh)

    async def _opened(self, owner: str, name: str, options: m.SessionOptions, *, fresh: bool = False) -> m.LastEvent:
        """Have the engine open a session, and know it from then on."""
        request = m.OpenSession(names.inner_options(options, owner), names.inner(owner, name), fresh, owner)
        last = await ask(self.engine, request)
        if isinstance(last, m.SessionOpened):
            self.registry.opened(owner, name, options)
        return last

    def _check_room(self, caller: Caller, memory: int, ids: tuple[str, ...]) -> None:
        """Whether these may be started, each with so many MB. Raises SandboxQuotaError."""
        limits, owner = caller.key.quotas, caller.key.owner
        if limits.sandboxes is not None:
            there = {one.id for one in self.registry.of(owner) if one.open} | self._starting.get(owner, {}).keys()
            quotas.check_sandboxes(caller.key, len(there), len(set(ids) - there))
        if limits.memory is not None:
            quotas.check_memory(caller.key, len(ids) * memory, self._alive(owner))

    def _alive(self, owner: str) -> list[int]:
        """The memory of those of an owner's sandboxes that have a worker, or are about to."""
        alive = {one.id: one.options.memory for one in self.registry.of(owner) if self._has_worker(one)}
        return list({**alive, **self._starting.get(owner, {})}.values())

    @contextmanager
    def _reserved(self, owner: str, ids: tuple[str, ...], memory: int) -> Iterator[None]:
        """These are being started: whoever asks for room meanwhile has to count them."""
        starting = self._starting.setdefault(owner, {})
        new = {one: memory for one in ids if one not in starting}
        starting.update(new)
        try:
            yield
        finally:
            for one in new:
                del starting[one]

    @contextmanager
    def _room(self, caller: Caller, request: Any) -> Iterator[None]:
        """Room for the workers that a request starts. Raises SandboxQuotaError."""
        owner, ids = caller.key.owner, request.ids if isinstance(request, m.Fork) else (request.session,)
        entry = self.registry.get(owner, request.session)
        wakes = isinstance(request, _USES_CPU) and caller.key.quotas.memory is not None
        if entry is None or not (isinstance(request, m.Fork) or (wakes and not self._has_worker(entry))):
            yield
            return
        self._check_room(caller, entry.options.memory, ids)
        with self._reserved(owner, ids, entry.options.memory):
            yield

    def _has_worker(self, entry: Entry) -> bool:
        return self.engine.sessions.cell_of(names.inner(entry.owner, entry.id)) is not None

    async def _bring_back(self, owner: str, name: str, *, past: bool = False) -> None:
        """Have the engine know a sandbox that it does not know yet, since the server was restarted."""
        session, entry = names.inner(owner, name), self.registry.get(owner, name)
        if self._known(session) or entry is None or not (entry.open or past):
            return
        if entry.options.files_of is not None:
            await self._bring_back(owner, entry.options.files_of)
        async with self._waking.setdefault(session, asyncio.Lock()):
            if self._known(session):
                return
            begin, was_open = time.perf_counter(), entry.open
            last = await self._opened(owner, entry.id, entry.options)
            if isinstance(last, m.SessionOpened) and not was_open:
                await ask(self.engine, m.CloseSession(session))
                self.registry.closed(owner, entry.id)
            self.counts.wakes.observe(time.perf_counter() - begin)
        self._waking.pop(session, None)
        if isinstance(last, m.Failed):
            raise Refused(last)

    async def _check_quotas(self, caller: Caller, request: Any) -> None:
        if isinstance(request, _USES_CPU):
            self._cpu.check(caller.key)
        if isinstance(request, (*_STORES, m.OpenSession)) and caller.key.quotas.disk is not None:
            quotas.check_disk(caller.key, await self._usage.bytes_of(caller.key.owner))

    # --- counting ---

    async def meter(self) -> None:
        """Count what sandboxes use while they run, until this is cancelled."""
        while True:
            await asyncio.sleep(_METER_SECONDS)
            await self.engine.sessions.look_at_cpu_of_all()

    def _used(self, owner: str, seconds: float) -> None:
        self._cpu.add(owner, seconds)
        self.counts.cpu_seconds.inc(seconds)

    def _count(self, caller: Caller, request: Any, last: m.LastEvent, seconds: float) -> None:
        do = request.__struct_config__.tag
        self.counts.requests.labels(do, last.code if isinstance(last, m.Failed) else "ok").inc()
        self.counts.seconds.labels(do).observe(seconds)
        if isinstance(last, m.ExecutionFinished):
            self.counts.executions.labels(last.status, last.cause.kind if last.cause else "").inc()
        if isinstance(request, _USES_CPU) and caller.key.quotas.cpu_seconds is not None:
            self.engine.sessions.look_at_cpu(names.inner(caller.key.owner, request.session))

    def state_of(self, entry: Entry) -> str:
        """running, ready, parked or stopped."""
        if not entry.open:
            return "stopped"
        return self.engine.sessions.state_of(names.inner(entry.owner, entry.id)) or "parked"


def _sessions_of(request: Any) -> tuple[str, ...]:
    """The sessions that an answer may name."""
    match request:
        case m.Fork():
            return (request.session, *request.ids)
        case m.OpenSession(options=m.SessionOptions(files_of=str() as lender)):
            return (request.session or "", lender)
    return (request.session,)


def _without_our_mistakes(event: m.Event, caller: Caller) -> m.Event:
    """A traceback of ours is for our log alone."""
    if isinstance(event, m.Failed) and event.details.get("mistake"):
        _log.error("%s", event.message, extra={"request": caller.request_id})
        return m.Failed("error", "the server made a mistake; its log has it", {"request": caller.request_id})
    return event
