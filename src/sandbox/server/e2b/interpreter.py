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
from sandbox.server.e2b import contexts, paths, results
from sandbox.server.e2b.boxes import DEFAULT_CONTEXT, Box
from sandbox.server.e2b.visit import Gone, Unsupported, Visit
from sandbox.server.http import AnswerLost, Written, failure
from sandbox.server.recordings import Recording

_LINES = "application/x-ndjson"
_SILENCE = b'{"type":"keepalive"}\n'
_PYTHON = {None, "", "python", "python3"}
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

    def _turn(self, box: Box) -> asyncio.Lock:
        """The lock of a sandbox in which something has to happen step after step."""
        return self._turns.setdefault((box.owner, box.id), asyncio.Lock())

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
        _check_language(said.language)
        env = checked_env(said.env_vars or {})
        context = said.context_id or DEFAULT_CONTEXT
        _known(visit, context)
        async with AsyncExitStack() as stack:
            stack.enter_context(self._asking(visit.box, context))
            if visit.box.contexts or env:
                await stack.enter_async_context(self._turn(visit.box))
            if visit.box.contexts:
                await self._prepare(visit, contexts.to_switch(context, visit.box.contexts.get(context, paths.HOME)))
            if env:
                await stack.enter_async_context(self._with_env(visit, env))
            await _run(visit, said.code)

    async def create(self, visit: Visit) -> None:
        """Make a context. Its variables are its own; the files are the sandbox's."""
        said = await visit.said(_New)
        _check_language(said.language)
        cwd = said.cwd or paths.HOME
        if len(visit.box.contexts) >= _MOST_CONTEXTS:
            raise UsageError(f"the sandbox has {_MOST_CONTEXTS} contexts, the most there can be: remove one")
        listed = await visit.ask(m.StatFile(visit.id, paths.inward(cwd)), m.FilesListed)
        if listed.entries[0].kind != "directory":
            raise UsageError(f"cwd={cwd!r} is not a directory")
        name = os.urandom(8).hex()
        visit.box.contexts = {**visit.box.contexts, name: cwd}
        visit.boxes.keep(visit.box)
        await visit.call.json(_shown(name, cwd), 201)

    async def list(self, visit: Visit) -> None:
        """All contexts."""
        there = {DEFAULT_CONTEXT: paths.HOME, **visit.box.contexts}
        await visit.call.json([_shown(name, cwd) for name, cwd in there.items()])

    async def remove(self, visit: Visit, name: str) -> None:
        """Remove a context with its variables."""
        cwd = _known(visit, name)
        if name == DEFAULT_CONTEXT:
            raise UsageError("the default context cannot be removed: restart it")
        await self._drop(visit, name, cwd, removed=True)
        visit.box.contexts = {one: cwd for one, cwd in visit.box.contexts.items() if one != name}
        visit.boxes.keep(visit.box)
        await visit.call.respond(204, b"", _LINES)

    async def restart(self, visit: Visit, name: str) -> None:
        """Let a context begin anew, without variables."""
        cwd = _known(visit, name)
        await self._drop(visit, name, cwd)
        await visit.call.json(_shown(name, cwd))

    async def _drop(self, visit: Visit, name: str, cwd: str, *, removed: bool = False) -> None:
        if self._asked.get((visit.box.owner, visit.box.id), [])[:1] == [name]:
            await visit.ask(m.Interrupt(visit.id), m.Done)
        async with self._turn(visit.box):
            if removed:  # code without a context runs in whichever is there
                await self._prepare(visit, contexts.to_switch(DEFAULT_CONTEXT, paths.HOME))
            await self._prepare(visit, contexts.to_drop(name, cwd))

    async def _prepare(self, visit: Visit, code: str) -> None:
        """Run code of ours. Raises SandboxError if it does not do what it should."""
        recording = visit.begin(m.Run(visit.id, code, _SWITCH_SECONDS))
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
    async def _with_env(self, visit: Visit, env: dict[str, str]) -> AsyncGenerator[None]:
        try:
            await self._prepare(visit, contexts.to_set(env))
            yield
        finally:
            # Without waiting: executions have their turns in the order in which they were begun.
            visit.begin(m.Run(visit.id, contexts.to_restore(), _SWITCH_SECONDS))


def _check_prepared(recording: Recording) -> None:
    last = m.decode_event(recording.take(recording.count() - 1)[-1])
    error = failure(last)
    if error is not None:
        raise error
    if isinstance(last, m.ExecutionFinished) and last.status != "ok":
        why = last.error.message if last.error is not None else last.cause.message if last.cause is not None else ""
        raise SandboxError(f"the context could not be prepared: {why}", {"status": 500})


async def _run(visit: Visit, code: str) -> None:
    recording = visit.begin(m.Run(visit.id, code, None))
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
    cwd = paths.HOME if name == DEFAULT_CONTEXT else visit.box.contexts.get(name)
    if cwd is None:
        raise UsageError(f"Context {name[:100]} not found", {"status": 404})
    return cwd


def _check_language(language: str | None) -> None:
    if language not in _PYTHON:
        raise Unsupported(f"language={str(language)[:50]!r}: code is Python here", 400)


def _shown(name: str, cwd: str) -> dict[str, str]:
    return {"id": name, "language": "python", "cwd": cwd}
