"""The HTTP API for people: JSON in, JSON or lines of it out. It becomes the same messages that the SDK sends."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.routing import Match, Route

from sandbox.errors import SessionNotFound, UsageError
from sandbox.protocol import messages as m
from sandbox.server import content
from sandbox.server.described import Created, Described, New, document
from sandbox.server.gate import Gate
from sandbox.server.http import HEARTBEAT_SECONDS, Call, Written, failure, last_of
from sandbox.server.operations import FIELDS, OPERATIONS, Operation
from sandbox.server.recordings import Recording

LINES = "application/x-ndjson"
_INTEGERS = {"command", "execution"}


class Api:
    """Finds the operation of a request and answers it."""

    def __init__(self) -> None:
        self._routes = [(Route(_pattern(one.path), _unused, methods=[one.method]), one) for one in OPERATIONS]
        self._document = msgspec.json.encode(document())

    async def answer(self, call: Call, gate: Gate) -> None:
        """Answer a request. Raises SandboxError."""
        if call.scope["path"] == "/openapi.json":
            await call.respond(200, self._document, "application/json")
            return
        operation, path = self._find(call)
        if operation.form == "":
            await _OWN[operation.method, operation.path](call, gate, path)
            return
        query, given = await _given(call, operation, path)
        recording = gate.begin(call.caller, _message(operation, path, given, call.scope["method"]), _once(call))
        if operation.form == "json":
            await call.json(await last_of(recording))
        else:
            await _events(call, recording, 0, attached=query.get("attached", operation.of is m.WatchFiles))

    def _find(self, call: Call) -> tuple[Operation, dict[str, Any]]:
        allowed = set()
        for route, operation in self._routes:
            match, found = route.matches(call.scope)
            if match is Match.FULL:
                return operation, _path(found["path_params"])
            if match is Match.PARTIAL:
                allowed.add(operation.method)
        if allowed:
            methods = ", ".join(sorted(allowed))
            raise UsageError(f"{call.scope['method']} is not to be had here; there are: {methods}", {"status": 405})
        raise UsageError(f"there is nothing at {call.scope['path'][:200]}; see /openapi.json", {"status": 404})


async def _unused(_request: Any) -> None:
    """Routes are only matched."""


def _pattern(path: str) -> str:
    return path.replace("{path}", "{path:path}").replace("{artifact}", "{artifact:path}")


def _path(found: dict[str, Any]) -> dict[str, Any]:
    values = {FIELDS.get(name, name): value for name, value in found.items()}
    for name in _INTEGERS & values.keys():
        if not values[name].isascii() or not values[name].isdigit() or len(values[name]) > 12:
            raise UsageError(f"{values[name][:100]!r} is not the number of one", {"status": 404})
        values[name] = int(values[name])
    return values


def _once(call: Call) -> str | None:
    key = call.header("idempotency-key")
    if key is not None and not 0 < len(key) <= 200:
        raise UsageError("an Idempotency-Key has 1 to 200 characters")
    return None if key is None else f"rest:{call.scope['method']}:{call.scope['path']}:{key}"


# --- what was sent ---


def query_of(call: Call, known: dict[str, type[Any]]) -> dict[str, Any]:
    """The query's values, of these types. Raises UsageError for others."""
    found = parse_qs(call.scope["query_string"].decode("latin-1"), keep_blank_values=True, strict_parsing=False)
    if unknown := found.keys() - known.keys():
        there = f"; there are: {', '.join(known)}" if known else ""
        raise UsageError(f"there is no parameter {', '.join(map(repr, sorted(unknown)))}{there}")
    values = {}
    for name, (*_, value) in found.items():
        try:
            values[name] = msgspec.convert(value, known[name], strict=False)
        except msgspec.ValidationError as error:
            raise UsageError(f"{name}={value[:100]!r}: {error}") from error
    return values


async def _given(call: Call, operation: Operation, path: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is for the answer's form, and what is the message's."""
    if operation.method in {"GET", "DELETE"}:
        fields = {one.name: one.type for one in msgspec.structs.fields(operation.of)}  # type: ignore[arg-type]
        own = {name: kind for name, kind in fields.items() if name not in path and name not in operation.fixed}
        found = query_of(call, {**own, **operation.query})
        return {name: found.pop(name) for name in operation.query if name in found}, found
    return query_of(call, operation.query), await body_of(call)


async def body_of(call: Call) -> dict[str, Any]:
    """The request's JSON object; an empty one for no body. Raises UsageError."""
    data = await call.body()
    try:
        return msgspec.json.decode(data, type=dict[str, Any]) if data else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the body is not a JSON object: {error}") from error


def _message(operation: Operation, path: dict[str, Any], given: dict[str, Any], method: str) -> Any:
    assert operation.of is not None
    if set(given) & {*path, "do", *operation.fixed}:
        raise UsageError(f"{', '.join(sorted(set(given) & {*path, 'do', *operation.fixed}))} cannot be given here")
    try:
        return msgspec.convert(
            {**given, **path, **operation.fixed}, operation.of, strict=method not in {"GET", "DELETE"}
        )
    except msgspec.ValidationError as error:
        raise UsageError(f"not a valid request: {error}") from error


# --- what is answered ---


async def _events(call: Call, recording: Recording, after: int, *, attached: bool) -> None:
    """Send events as lines, from line `after` on. An execution's number is the first."""
    await recording.is_running(HEARTBEAT_SECONDS)
    if recording.ended and recording.count() == 1 and recording.number is None:
        error = failure(m.decode_event(recording.take(0)[0]))
        if error is not None:
            raise error
    first = b"" if recording.number is None else _line(m.ExecutionStarted(recording.number))
    at = max(0, after - 1) if first else after

    def lines(events: list[bytes], _ended: bool) -> bytes:
        nonlocal first
        before, first = (first if after == 0 else b""), b""
        return before + b"".join(_line(m.decode_event(one)) for one in events)

    await call.stream(recording, at, Written(LINES, lines, b"\n"), cancels=attached)


def _line(event: m.Event) -> bytes:
    return msgspec.json.encode(event) + b"\n"


# --- operations of their own ---


def described(gate: Gate, owner: str, name: str) -> Described:
    """One sandbox. Raises SessionNotFound."""
    entry = gate.registry.get(owner, name)
    if entry is None:
        raise SessionNotFound(f"there is no sandbox {name[:200]!r}")
    options = entry.options
    return Described(
        entry.id, gate.state_of(entry), entry.created, options.name, options.memory, options.cpus, options.disk,
        options.timeout, options.idle_timeout, options.persist,
    )  # fmt: skip


async def _list(call: Call, gate: Gate, path: dict[str, Any]) -> None:
    query_of(call, {})
    owner = call.caller.key.owner
    await call.json({"sandboxes": [described(gate, owner, one.id) for one in gate.registry.of(owner)]})


async def _get(call: Call, gate: Gate, path: dict[str, Any]) -> None:
    query_of(call, {})
    await call.json(described(gate, call.caller.key.owner, path["session"]))


async def _create(call: Call, gate: Gate, path: dict[str, Any]) -> None:
    query_of(call, {})
    try:
        new = msgspec.convert(await body_of(call), New)
    except msgspec.ValidationError as error:
        raise UsageError(f"not a valid request: {error}") from error
    name = new.id or os.urandom(8).hex()
    if new.id is not None and gate.registry.get(call.caller.key.owner, new.id) is not None:
        raise UsageError(f"there is a sandbox {new.id!r} already: start it, or take another id", {"status": 409})
    recording = gate.begin(call.caller, m.OpenSession(new.options, name, fresh=new.id is None), _once(call))
    await _answer_opened(call, recording, 201)


async def _start(call: Call, gate: Gate, path: dict[str, Any]) -> None:
    query_of(call, {})
    entry = gate.registry.get(call.caller.key.owner, path["session"])
    if entry is None:
        raise SessionNotFound(f"there is no sandbox {path['session'][:200]!r}")
    recording = gate.begin(call.caller, m.OpenSession(entry.options, entry.id), _once(call))
    await _answer_opened(call, recording, 200)


async def _answer_opened(call: Call, recording: Recording, status: int) -> None:
    opened = await last_of(recording)
    assert isinstance(opened, m.SessionOpened)
    await call.json(Created(opened.session, opened.isolation, opened.network, opened.enforced), status)


async def _remove_artifact(call: Call, gate: Gate, path: dict[str, Any]) -> None:
    query_of(call, {})
    request = m.RemoveArtifacts(path["session"], (path["artifact"],))
    await call.json(await last_of(gate.begin(call.caller, request, _once(call))))


async def _execution(call: Call, gate: Gate, path: dict[str, Any]) -> None:
    await _again(call, gate, "execution", path["session"], path["execution"])


async def _command(call: Call, gate: Gate, path: dict[str, Any]) -> None:
    await _again(call, gate, "command", path["session"], path["command"])


async def _again(call: Call, gate: Gate, what: str, session: str, number: int) -> None:
    after = query_of(call, {"after": int}).get("after", 0)
    if after < 0:
        raise UsageError(f"after={after} is negative")
    recording = gate.recordings.get(call.caller.key.owner, what, session, str(number))
    if recording is None:
        raise UsageError(
            f"the events of {what} {number} are not kept (any more); the history has what became of executions",
            {"status": 404},
        )
    await _events(call, recording, after, attached=False)


_OWN = {
    ("GET", "/v1/sandboxes"): _list,
    ("POST", "/v1/sandboxes"): _create,
    ("GET", "/v1/sandboxes/{sandbox}"): _get,
    ("POST", "/v1/sandboxes/{sandbox}/start"): _start,
    ("GET", "/v1/sandboxes/{sandbox}/executions/{execution}/events"): _execution,
    ("GET", "/v1/sandboxes/{sandbox}/commands/{command}/events"): _command,
    ("GET", "/v1/sandboxes/{sandbox}/files/{path}"): content.get_file,
    ("PUT", "/v1/sandboxes/{sandbox}/files/{path}"): content.put_file,
    ("GET", "/v1/sandboxes/{sandbox}/artifacts/{artifact}"): content.get_artifact,
    ("DELETE", "/v1/sandboxes/{sandbox}/artifacts/{artifact}"): _remove_artifact,
    ("GET", "/v1/sandboxes/{sandbox}/export"): content.export,
}
