"""`POST /v1/messages`: the protocol's own messages, for our SDK. A request in, its events out, each after its length.

A request has a name of the client's choice (`Idempotency-Key`). Sent again under the same name, it is not carried out
again: its answer is sent from where `Sandbox-After` says. `DELETE /v1/messages/NAME` cancels it.
"""

from __future__ import annotations

import re
import struct
from typing import Any

import msgspec

from sandbox.errors import SandboxConnectionError, UsageError
from sandbox.protocol import messages as m
from sandbox.server.gate import Gate
from sandbox.server.http import Call

KIND = "application/vnd.sandbox.messages"
_NAME = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_LENGTH = struct.Struct(">I")
_LAST = 1 << 31  # in the length of the event that ends the answer
# They change nothing, so that a server that was restarted may simply carry them out again.
_READS = (
    m.Complete, m.ReadFile, m.ListFiles, m.StatFile, m.ListArtifacts, m.ReadArtifact, m.GetMetrics, m.GetStats,
    m.GetHistory, m.ListCheckpoints, m.ListVariables, m.Compare,
)  # fmt: skip


async def answer(call: Call, gate: Gate) -> None:
    """Answer a request."""
    name, after = _checked_name(call.header("idempotency-key")), _checked_after(call.header("sandbox-after"))
    request = _decoded(await call.body())
    if gate.recordings.refuses(call.caller.key.owner, "once", name):
        raise SandboxConnectionError("the request was cancelled before it came", {"status": 409})
    if after is not None and gate.recordings.get(call.caller.key.owner, "once", name) is None:
        _check_safe(request, after)
    recording = gate.begin(call.caller, request, name)
    try:
        await call.stream(recording, after or 0, KIND, _framed, silence=_LENGTH.pack(0), cancels=not recording.kept)
    except LookupError:
        raise SandboxConnectionError("what was lost of this answer is not kept", {"status": 410}) from None


def cancel(call: Call, gate: Gate, name: str) -> None:
    """Cancel a request, if it is not answered yet. Its last event says so."""
    recording = gate.recordings.get(call.caller.key.owner, "once", name)
    if recording is not None:
        recording.cancel()
    else:
        gate.recordings.refuse(call.caller.key.owner, "once", _checked_name(name))


def _check_safe(request: Any, after: int) -> None:
    """A request that is sent again, and of which nothing is known. Raises SandboxConnectionError."""
    if after or not isinstance(request, _READS):
        raise SandboxConnectionError(
            "the server was restarted, or the answer forgotten: whether the request was carried out is not known; "
            "the session's history has every execution that was",
            {"status": 410},
        )


def _framed(events: list[bytes], ended: bool) -> bytes:
    end = len(events) - 1 if ended else -1
    heads = (_LENGTH.pack(len(data) | (_LAST if n == end else 0)) for n, data in enumerate(events))
    return b"".join(part for pair in zip(heads, events, strict=True) for part in pair)


def _decoded(body: bytes) -> Any:
    try:
        return m.decode_request(body)
    except msgspec.MsgspecError as error:
        raise UsageError(f"not a valid request: {error}") from error


def _checked_name(name: str | None) -> str:
    if name is None or not _NAME.fullmatch(name):
        raise UsageError("Idempotency-Key has to be 16 to 64 letters, digits and - or _, different for each request")
    return name


def _checked_after(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise UsageError("Sandbox-After is a number of events")
    return int(text)
