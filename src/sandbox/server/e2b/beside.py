"""Contexts in JavaScript and TypeScript: each is a session of its own that works in the sandbox's files.

The sandbox lends it its workspace (`sandbox.engine.lending`), so it is paused and deleted with the sandbox. Code
without a context that is in one of these languages runs in one for both, which the first such code begins.
"""

from __future__ import annotations

import json

import msgspec

from sandbox.errors import UsageError
from sandbox.protocol import messages as m
from sandbox.server.e2b import paths
from sandbox.server.e2b.boxes import DEFAULT_CONTEXT, Box
from sandbox.server.e2b.visit import Unsupported, Visit

PYTHON, JAVASCRIPT = "python", "javascript"
_NAMES = {
    "": PYTHON, "python": PYTHON, "python3": PYTHON, "javascript": JAVASCRIPT, "js": JAVASCRIPT, "node": JAVASCRIPT,
    "typescript": "typescript", "ts": "typescript",
}  # fmt: skip
_MOST = 8
_SET = """{
    const wanted = %s;
    const before = Object.keys(wanted).map((name) => [name, process.env[name]]);
    (globalThis._e2b_env ??= []).push(before);
    Object.assign(process.env, wanted);
}; undefined"""
_RESTORE = """
for (const [name, value] of (globalThis._e2b_env ?? []).reverse().flat())
    if (value === undefined) delete process.env[name]; else process.env[name] = value;
delete globalThis._e2b_env; undefined"""


def language_of(said: str | None) -> str | None:
    """A language by the name that clients use; None where they leave it open. Raises Unsupported."""
    if said is None:
        return None
    found = _NAMES.get(said.lower())
    if found is None:
        raise Unsupported(f"language={said[:50]!r}: code is Python, JavaScript or TypeScript here", 400)
    return found


def of_context(box: Box, context: str) -> str:
    """The language of a context that there is."""
    return box.languages.get(context, JAVASCRIPT if context == JAVASCRIPT else PYTHON)


def wanted(box: Box, context: str | None, said: str | None) -> tuple[str, str]:
    """The context that code is for, and its language. Raises UsageError."""
    asked = language_of(said)
    if context is None:
        language = asked or PYTHON
        return (DEFAULT_CONTEXT if language == PYTHON else JAVASCRIPT), language
    language = of_context(box, context)
    if asked is not None and asked != language and PYTHON in {asked, language}:
        raise UsageError(f"language={asked!r} in a context in {language}")
    return context, asked or language


def session_of(box: Box, context: str) -> str:
    """The id of a context's session."""
    return f"{box.id}-{context}"


def has_begun(visit: Visit, context: str) -> bool:
    """Whether a context has a session, open or not."""
    return visit.gate.registry.get(visit.box.owner, session_of(visit.box, context)) is not None


async def opened(visit: Visit, context: str, cwd: str) -> str:
    """The session of a context, open. A new one begins in `cwd`. Raises SandboxError."""
    name = session_of(visit.box, context)
    known = visit.gate.registry.get(visit.box.owner, name)
    if known is not None and known.open:
        return name
    box = visit.boxes.entry(visit.box)
    assert box is not None
    options = msgspec.structs.replace(box.options, language=JAVASCRIPT, files_of=visit.id)
    await visit.ask(m.OpenSession(options, name), m.SessionOpened)
    if known is None and (inward := paths.inward(cwd)) != ".":
        await visit.ask(m.Run(name, f"process.chdir({json.dumps(inward)})"), m.ExecutionFinished)
    return name


async def forget(visit: Visit, context: str) -> None:
    """End a context's session with its variables, whatever runs in it."""
    if has_begun(visit, context):
        await visit.ask(m.DeleteSession(session_of(visit.box, context)), m.Done)


def check_room(box: Box) -> None:
    """Whether there may be one more of these contexts. Raises UsageError."""
    if len(box.languages) >= _MOST:
        raise UsageError(f"the sandbox has {_MOST} contexts in JavaScript and TypeScript, the most there can be")


def to_set(env: dict[str, str]) -> str:
    """Code after which these environment variables are set."""
    return _SET % json.dumps(env)


def to_restore() -> str:
    """Code after which they are as they were."""
    return _RESTORE
