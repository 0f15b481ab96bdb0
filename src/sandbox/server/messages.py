"""`POST /v1/messages`: the protocol's own messages, for our SDK. A request in, its events out, each after its length.

A request has a name of the client's choice (`Idempotency-Key`). Sent again under the same name, with the number of
events that have come (`Sandbox-After`), it is not carried out again: the rest of its answer is sent. Where the server
knows nothing of it, it has never come, if the server is the one that it was sent to (`Sandbox-Server`) and that was not
long ago (`Sandbox-Age`, in seconds). `DELETE /v1/messages/NAME` cancels it.
"""

from __future__ import annotations

import re
import struct
from typing import Any

import msgspec

from sandbox.errors import SandboxConnectionError, UsageError
from sandbox.protocol import messages as m
from sandbox.server.gate import Gate
from sandbox.server.http import Call, Written
from sandbox.server.recordings import REMEMBERED_SECONDS

KIND = "application/vnd.sandbox.messages"
_NAME = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_LENGTH = struct.Struct(">I")
_LONG = 64 * 1024
_LAST = 1 << 31  # in the length of the event that ends the answer
# To carry them out twice is the same as once, so that a server that was restarted may simply do it.
_HARMLESS = (
    m.OpenSession, m.Complete, m.ListFiles, m.StatFile, m.MakeDirectory, m.WatchFiles, m.ListArtifacts, m.GetMetrics,
    m.GetStats, m.GetHistory, m.ClearCache, m.ListCheckpoints, m.ListVariables, m.Compare, m.GetDigest,
    m.Export, m.ListAnimations,
)  # fmt: skip


async def answer(call: Call, gate: Gate) -> None:
    """Answer a request, or go on answering one."""
    name, after = _checked_name(call.header("idempotency-key")), _checked_after(call.header("sandbox-after"))
    request = _decoded(await call.body())
    owner = call.caller.key.owner
    if gate.recordings.refuses(owner, "once", name):
        raise SandboxConnectionError("the request was cancelled before it came", {"status": 409})
    known = gate.recordings.get(owner, "once", name)
    if after is not None and (known is None or not known.kept):
        if known is not None:
            known.cancel()  # nobody reads it any more
        request, after = _again(call, gate, request, after), 0
        gate.recordings.drop(owner, "once", name)
    recording = gate.begin(call.caller, request, name)
    cancels = not recording.kept
    written = Written(KIND, _framed, _LENGTH.pack(0), ((b"sandbox-server", gate.number.encode()),))
    await call.stream(recording, after or 0, written, cancels=cancels)


def _again(call: Call, gate: Gate, request: Any, after: int) -> Any:
    """What to carry out for a request that comes again and has no recording. Raises SandboxConnectionError."""
    if isinstance(request, (m.ReadFile, m.ReadArtifact)):
        done = after * m.PIECE
        left = None if request.length is None else max(0, request.length - done)
        return msgspec.structs.replace(request, offset=request.offset + done, length=left)
    same = call.header("sandbox-server") == gate.number
    never_came = same and gate.recordings.complete and _age(call) < REMEMBERED_SECONDS
    if after or not (never_came or isinstance(request, _HARMLESS)):
        raise SandboxConnectionError(
            "the server was restarted, or the answer forgotten: whether the request was carried out is not known; "
            "the session's history has every execution that was",
            {"status": 410},
        )
    return request


def _age(call: Call) -> float:
    """Seconds since the request was sent first."""
    text = call.header("sandbox-age") or ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 12 else REMEMBERED_SECONDS


def cancel(call: Call, gate: Gate, name: str) -> None:
    """Cancel a request, if it is not answered yet. Its last event says so."""
    recording = gate.recordings.get(call.caller.key.owner, "once", name)
    if recording is not None:
        recording.cancel()
    else:
        gate.recordings.refuse(call.caller.key.owner, "once", _checked_name(name))


def _framed(events: list[bytes], ended: bool) -> list[bytes]:
    """Each after its length. What is long is not copied once more to be one with its length."""
    end = len(events) - 1 if ended else -1
    parts = [b""]
    for n, data in enumerate(events):
        head = _LENGTH.pack(len(data) | (_LAST if n == end else 0))
        if len(data) > _LONG:
            parts[-1] += head
            parts += (data, b"")
        else:
            parts[-1] += head + data
    return [part for part in parts if part]


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
