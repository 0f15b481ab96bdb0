"""The code interpreter: executions as streams of lines, and contexts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct

from sandbox.errors import SandboxError, UsageError
from sandbox.options import checked_env
from sandbox.protocol import messages as m
from sandbox.server.e2b import beside, contexts, paths, results
from sandbox.server.e2b.boxes import DEFAULT_CONTEXT, Box
from sandbox.server.e2b.visit import Gone, Visit
from sandbox.server.http import AnswerLost, Written, failure
from sandbox.server.recordings import Recording

_LINES = "application/x-ndjson"
_SILENCE = b'{"type":"keepalive"}\n'
_MOST_CONTEXTS = 100
_FIRST_SECONDS = 0.2  # for an execution to be refused: later on that is a line of the answer
_SWITCH_SECONDS = 60.0


class _Execute(Struct):
    code: str
    context_id: str | None = None
    language: str | None = None
    env_vars: dict[str, str] | None = None


class _New(Struct):
    cwd: str | None = None
    language: str | None = None


class Interpreter:
    """Answers what is for the interpreter's port."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._asked: dict[tuple[str, str], list[str]] = {}  # contexts in which code runs, or waits for its turn

    def _turn(self, box: Box, session: str) -> asyncio.Lock:
        """The lock of a session in which something has to happen step after step."""
        return self._turns.setdefault((box.owner, session), asyncio.Lock())

    @contextmanager
    def _asking(self, box: Box, context: str) -> Generator[None]:
        asked = self._asked.setdefault((box.owner, box.id), [])
        asked.append(context)
        try:
            yield
        finally:
            asked.remove(context)
            if not asked:
                self._asked.pop((box.owner, box.id), None)

    async def execute(self, visit: Visit) -> None:
        """Run code. It is interrupted when its client goes."""
        said = await visit.said(_Execute)
        env = checked_env(said.env_vars or {})
        context, language = beside.wanted(visit.box, said.context_id, said.language)
        cwd = _known(visit, context)
        if language == beside.PYTHON:
            await self._execute(visit, said.code, context, env)
            return
        session = await beside.opened(visit, context, cwd)
        async with self._turn(visit.box, session), AsyncExitStack() as stack:
            if env:
                sets, restores = beside.to_set(env), beside.to_restore()
                await stack.enter_async_context(self._with_env(visit, session, sets, restores))
            await _run(visit, m.Run(session, said.code, None, language=language))

    async def _execute(self, visit: Visit, code: str, context: str, env: dict[str, str]) -> None:
        """Run Python: in the sandbox's own session."""
        async with AsyncExitStack() as stack:
            stack.enter_context(self._asking(visit.box, context))
            if visit.box.python_contexts or env:
                await stack.enter_async_context(self._turn(visit.box, visit.id))
            if visit.box.python_contexts:
                cwd = visit.box.contexts.get(context, paths.HOME)
                await self._prepare(visit, visit.id, contexts.to_switch(context, cwd))
            if env:
                await stack.enter_async_context(
                    self._with_env(visit, visit.id, contexts.to_set(env), contexts.to_restore())
                )
            await _run(visit, m.Run(visit.id, code, None))

    async def create(self, visit: Visit) -> None:
        """Make a context. Its variables are its own; the files are the sandbox's."""
        said = await visit.said(_New)
        language = beside.language_of(said.language) or beside.PYTHON
        cwd = said.cwd or paths.HOME
        if len(visit.box.contexts) >= _MOST_CONTEXTS:
            raise UsageError(f"the sandbox has {_MOST_CONTEXTS} contexts, the most there can be: remove one")
        listed = await visit.ask(m.StatFile(visit.id, paths.inward(cwd)), m.FilesListed)
        if listed.entries[0].kind != "directory":
            raise UsageError(f"cwd={cwd!r} is not a directory")
        name = os.urandom(8).hex()
        if language != beside.PYTHON:
            beside.check_room(visit.box)
            await beside.opened(visit, name, cwd)
            visit.box.languages = {**visit.box.languages, name: language}
        visit.box.contexts = {**visit.box.contexts, name: cwd}
        visit.boxes.keep(visit.box)
        await visit.call.json(_shown(visit.box, name, cwd), 201)

    async def list(self, visit: Visit) -> None:
        """All contexts."""
        there = {DEFAULT_CONTEXT: paths.HOME, **visit.box.contexts}
        if beside.has_begun(visit, beside.JAVASCRIPT):
            there[beside.JAVASCRIPT] = paths.HOME
        await visit.call.json([_shown(visit.box, name, cwd) for name, cwd in there.items()])

    async def remove(self, visit: Visit, name: str) -> None:
        """Remove a context with its variables."""
        cwd = _known(visit, name)
        if name in {DEFAULT_CONTEXT, beside.JAVASCRIPT}:
            raise UsageError("the default context cannot be removed: restart it")
        await self._drop(visit, name, cwd, removed=True)
        visit.box.contexts = {one: cwd for one, cwd in visit.box.contexts.items() if one != name}
        visit.box.languages = {one: known for one, known in visit.box.languages.items() if one != name}
        visit.boxes.keep(visit.box)
        await visit.call.respond(204, b"", _LINES)

    async def restart(self, visit: Visit, name: str) -> None:
        """Let a context begin anew, without variables."""
        cwd = _known(visit, name)
        await self._drop(visit, name, cwd)
        if beside.of_context(visit.box, name) != beside.PYTHON:
            await beside.opened(visit, name, cwd)
        await visit.call.json(_shown(visit.box, name, cwd))

    async def _drop(self, visit: Visit, name: str, cwd: str, *, removed: bool = False) -> None:
        if beside.of_context(visit.box, name) != beside.PYTHON:
            await beside.forget(visit, name)
            return
        if self._asked.get((visit.box.owner, visit.box.id), [])[:1] == [name]:
            await visit.ask(m.Interrupt(visit.id), m.Done)
        async with self._turn(visit.box, visit.id):
            if removed:  # code without a context runs in whichever is there
                await self._prepare(visit, visit.id, contexts.to_switch(DEFAULT_CONTEXT, paths.HOME))
            await self._prepare(visit, visit.id, contexts.to_drop(name, cwd))

    async def _prepare(self, visit: Visit, session: str, code: str) -> None:
        """Run code of ours. Raises SandboxError if it does not do what it should."""
        recording = visit.begin(m.Run(session, code, _SWITCH_SECONDS))
        try:
            async with visit.call.watched(recording) as gone:
                while not recording.ended and not gone.done():
                    await recording.more(recording.count(), _SWITCH_SECONDS, gone.done)
            if gone.done() and not recording.ended:
                raise AnswerLost("the client has gone")
        finally:
            recording.cancel()
        _check_prepared(recording)

    @asynccontextmanager
    async def _with_env(self, visit: Visit, session: str, sets: str, restores: str) -> AsyncGenerator[None]:
        """Environment variables for what is run meanwhile: code that sets them, and code that puts them back."""
        try:
            await self._prepare(visit, session, sets)
            yield
        finally:
            # Without waiting: executions have their turns in the order in which they were begun.
            visit.begin(m.Run(session, restores, _SWITCH_SECONDS))


def _check_prepared(recording: Recording) -> None:
    last = m.decode_event(recording.take(recording.count() - 1)[-1])
    error = failure(last)
    if error is not None:
        raise error
    if isinstance(last, m.ExecutionFinished) and last.status != "ok":
        why = last.error.message if last.error is not None else last.cause.message if last.cause is not None else ""
        raise SandboxError(f"the context could not be prepared: {why}", {"status": 500})


async def _run(visit: Visit, request: m.Run) -> None:
    recording = visit.begin(request)
    await recording.is_running(_FIRST_SECONDS)
    if recording.ended and recording.number is None:
        error = failure(m.decode_event(recording.take(0)[-1]))
        if error is not None:
            raise Gone(visit.id) if error.code in {"closed", "session_not_found"} else error
    told = False

    def form(events: list[bytes], _ended: bool) -> list[bytes]:
        nonlocal told
        found = []
        if not told and recording.number is not None:
            told = True
            found.append({"type": "number_of_executions", "execution_count": recording.number})
        found += [line for event in results.together(map(m.decode_event, events)) for line in results.lines(event)]
        return [b"".join(msgspec.json.encode(line) + b"\n" for line in found)]

    await visit.call.stream(recording, 0, Written(_LINES, form, _SILENCE, head=b""), cancels=True)


def _known(visit: Visit, name: str) -> str:
    """A context's working directory. Raises UsageError."""
    cwd = paths.HOME if name in {DEFAULT_CONTEXT, beside.JAVASCRIPT} else visit.box.contexts.get(name)
    if cwd is None:
        raise UsageError(f"Context {name[:100]} not found", {"status": 404})
    return cwd


def _shown(box: Box, name: str, cwd: str) -> dict[str, str]:
    return {"id": name, "language": beside.of_context(box, name), "cwd": cwd}
