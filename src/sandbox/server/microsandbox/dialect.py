"""`POST /api/v1/rpc`: one call in, its result out."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from sandbox.errors import SandboxError, UsageError
from sandbox.server.access import Access
from sandbox.server.gate import Gate
from sandbox.server.http import Call, status_of
from sandbox.server.keys import Key
from sandbox.server.microsandbox import calls

_RPC, _HEALTH = "/api/v1/rpc", "/api/v1/health"
_INVALID, _NO_METHOD, _PARAMETERS, _FAILED = -32600, -32601, -32602, -32000
_CODES = {400: _PARAMETERS, 404: _FAILED, 405: _NO_METHOD, 501: _NO_METHOD}
# Answered as what they are, so that proxies and people see them; everything else is 200, as clients want it.
_STATUSES = {401, 402, 403, 413, 429}


class _Request(Struct):
    jsonrpc: str = ""
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: str | int | None = None


class Microsandbox:
    """Answers microsandbox's clients. A sandbox of theirs is one of ours of the same name."""

    def takes(self, call: Call) -> bool:
        """Whether it is at this API's paths."""
        return call.scope["path"] in {_RPC, _HEALTH}

    async def admit(self, call: Call, access: Access, address: str) -> Key:
        """As for our own API."""
        return await access.admit(call.header("authorization"), address)

    async def answer(self, call: Call, gate: Gate) -> None:
        """Answer a call. Raises SandboxError."""
        if call.scope["path"] == _HEALTH:
            await call.json({"message": "Service is healthy"})
            return
        if call.scope["method"] != "POST":
            raise UsageError("calls are sent with POST", {"status": 405})
        request = _decoded(await call.body(), _Request)
        call.scope["rpc.id"] = request.id
        if request.jsonrpc != "2.0":
            raise UsageError('a call has "jsonrpc": "2.0"', {"rpc": _INVALID})
        if request.method not in calls.METHODS:
            raise UsageError(f"there is no method {request.method[:100]!r}", {"rpc": _NO_METHOD})
        shape, carry_out = calls.METHODS[request.method]
        result = await carry_out(calls.Asking(call, gate), _decoded(bytes(request.params), shape))
        if request.id is None:
            await call.respond(200, b"", "application/json")  # a notification
        else:
            await call.json({"jsonrpc": "2.0", "result": result, "id": request.id})

    async def refuse(self, call: Call, error: SandboxError) -> None:
        """Answer with an error. Its clients show the message of one that comes with status 200."""
        status = status_of(error)
        code = error.details.get("rpc") or _CODES.get(status, _FAILED)
        body = {
            "jsonrpc": "2.0", "error": {"code": code, "message": error.message, "data": {"code": error.code}},
            "id": call.scope.get("rpc.id"),
        }  # fmt: skip
        await call.refused(error, status if status in _STATUSES else 200, msgspec.json.encode(body))

    async def close(self) -> None:
        """Nothing of it goes on."""


_Shape = TypeVar("_Shape")


def _decoded(body: bytes, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not a valid call: {error}") from error
