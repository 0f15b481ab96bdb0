"""The API's description for machines, made of the same table and the same messages as the API."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from sandbox import __version__
from sandbox.protocol import messages as m
from sandbox.server.operations import FIELDS, OPERATIONS, Operation

_PLACE = re.compile(r"\{(\w+)\}")
_REFERENCE = "#/components/schemas/{name}"
_STREAMS = {m.Run: (m.ExecutionStarted, m.Output, m.ResultShown), m.StartCommand: (m.CommandStarted, m.Output)}


class New(Struct, frozen=True, forbid_unknown_fields=True):
    """A sandbox to be made. `id` is made up if it is left out."""

    id: str | None = None
    options: m.SessionOptions = m.SessionOptions()


class Created(Struct, frozen=True):
    """A sandbox that is started now, and what confines it."""

    id: str
    isolation: str
    network: str
    enforced: tuple[str, ...]


class Described(Struct, frozen=True):
    """A sandbox. `state` is running, ready, parked or stopped; `memory` and `disk` in MB, `created` since 1970."""

    id: str
    state: str
    created: float
    name: str | None
    memory: int
    cpus: float
    disk: int
    timeout: float | None
    idle_timeout: float | None
    persist: bool


class Listed(Struct, frozen=True):
    """Sandboxes, the oldest first."""

    sandboxes: tuple[Described, ...]


class Written(Struct, frozen=True):
    """A file that was written."""

    path: str
    size: int


class Problem(Struct, frozen=True):
    """What went wrong. The code is one of `sandbox.errors` and never changes; the message may.

    `request_id` is that of the answer's `X-Request-Id`, by which the server's logs know the request.
    """

    code: str
    message: str
    details: dict[str, Any] = {}
    request_id: str | None = None


class Error(Struct, frozen=True):
    """The body of every answer that is no success."""

    error: Problem


_BODIES: dict[tuple[str, str], type[Any]] = {("POST", "/v1/sandboxes"): New}
_ANSWERS: dict[tuple[str, str], tuple[int, type[Any]]] = {
    ("GET", "/v1/sandboxes"): (200, Listed),
    ("POST", "/v1/sandboxes"): (201, Created),
    ("GET", "/v1/sandboxes/{sandbox}"): (200, Described),
    ("POST", "/v1/sandboxes/{sandbox}/start"): (200, Created),
    ("PUT", "/v1/sandboxes/{sandbox}/files/{path}"): (201, Written),
}


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    types = {one for operation in OPERATIONS for one in (operation.of, operation.answer) if one is not None}
    types |= {New, Created, Described, Listed, Written, Error, m.ExecutionStarted, m.Output, m.ResultShown}
    types |= {m.CommandStarted, m.FilesChanged, m.Watching}
    ordered = sorted(types, key=lambda one: str(one.__name__))
    _, components = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "enhanced-sandbox", "version": __version__, "description": __doc__ and _TEXT},
        "security": [{"key": []}],
        "paths": {**paths, "/healthz": {"get": _health()}},
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in _only_bodies(components)},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


_TEXT = (
    "Isolated, stateful Python sessions. Streams are lines of JSON (application/x-ndjson), one event each; empty lines "
    "say that nothing has happened for a while. Bytes in JSON are base64."
)


def _only_bodies(components: dict[str, Any]) -> set[str]:
    """Requests: what of them is sent is written out where it is sent."""
    return {one.of.__name__ for one in OPERATIONS if one.of is not None} & components.keys()


def _operation(operation: Operation, components: dict[str, Any]) -> dict[str, Any]:
    inside = set(_PLACE.findall(operation.path))
    fields, required = _fields(operation, components, inside)
    found: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _identifier(operation),
        "parameters": [_place(name) for name in sorted(inside)],
        "responses": {**_success(operation), "default": _content("What went wrong", "application/json", _of(Error))},
    }
    queries: dict[str, Any] = {name: _simple(kind) for name, kind in operation.query.items()}
    if operation.method in {"GET", "DELETE"}:
        queries |= fields
    found["parameters"] += [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in queries.items()
    ]
    if (body := _body(operation, fields, required)) is not None:
        found["requestBody"] = body
    return found


def _fields(operation: Operation, components: dict[str, Any], inside: set[str]) -> tuple[dict[str, Any], set[str]]:
    """The message's fields that are not in the path."""
    if operation.of is None:
        return {}, set()
    schema = components[operation.of.__name__]
    hidden = {"do", "session", *(FIELDS.get(name, name) for name in inside), *operation.fixed}
    fields = {name: value for name, value in schema["properties"].items() if name not in hidden}
    return fields, set(schema.get("required", ())) - hidden


def _body(operation: Operation, fields: dict[str, Any], required: set[str]) -> dict[str, Any] | None:
    if operation.method == "PUT":
        return {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    if operation.method != "POST":
        return None
    own = _BODIES.get((operation.method, operation.path))
    if own is None and not fields:
        return None
    schema = _of(own) if own is not None else {
        "type": "object", "properties": fields, "required": sorted(required), "additionalProperties": False,
    }  # fmt: skip
    return {"required": bool(required), "content": {"application/json": {"schema": schema}}}


def _success(operation: Operation) -> dict[str, Any]:
    status, answer = _ANSWERS.get((operation.method, operation.path), (200, operation.answer))
    if operation.form == "events" or operation.path.endswith("/events"):
        return {"200": _content("Events, one a line", "application/x-ndjson", {"type": "string"})}
    if answer is None:
        binary = {"schema": {"type": "string", "format": "binary"}}
        whole = {"description": "The content", "content": {"*/*": binary}}
        return {"200": whole, "206": {**whole, "description": "The part that was asked for"}}
    return {str(status): _content("Done", "application/json", _of(answer))}


def _content(text: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {kind: {"schema": schema}}}


def _health() -> dict[str, Any]:
    schema = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}
    return {
        "summary": "Whether the server answers", "operationId": "health", "security": [],
        "responses": {"200": _content("It does", "application/json", schema)},
    }  # fmt: skip


def _of(kind: type[Any]) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _place(name: str) -> dict[str, Any]:
    number = name in {"command", "execution"}
    schema = {"type": "integer", "minimum": 0} if number else {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _simple(kind: type[Any]) -> dict[str, Any]:
    return {"type": {bool: "boolean", int: "integer"}.get(kind, "string")}


def _identifier(operation: Operation) -> str:
    words = [word for word in re.split(r"\W+", operation.path) if word and word not in {"v1", "sandboxes", "sandbox"}]
    return "_".join((operation.method.lower(), *(words or ["sandboxes" if "{" not in operation.path else "sandbox"])))
