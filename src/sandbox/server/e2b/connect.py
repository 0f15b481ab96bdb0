"""The Connect protocol, with JSON: calls with one answer, and calls with a stream of them."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Iterable
from typing import NamedTuple, TypeVar

import msgspec

from sandbox.errors import SandboxError, UsageError
from sandbox.protocol import messages as m
from sandbox.server.e2b.visit import decoded
from sandbox.server.http import Call, Written, failure, status_of
from sandbox.server.recordings import Recording

STREAM = "application/connect+json"
_UNARY = "application/json"
_FRAME = struct.Struct(">BI")
_LAST = 0x02
_COMPRESSED = 0x01
_MOST_FRAME = 4 * 1024 * 1024
_MOST_TIMEOUT_MS = 10_000_000_000
_CODES = {
    "file_not_found": "not_found", "file_exists": "already_exists", "usage": "invalid_argument",
    "file": "invalid_argument", "quota": "resource_exhausted", "store_full": "resource_exhausted",
    "timeout": "deadline_exceeded", "start": "unavailable", "connection": "unavailable", "closed": "unavailable",
    "session_not_found": "unavailable",
}  # fmt: skip
_BY_STATUS = {401: "unauthenticated", 403: "permission_denied", 404: "not_found", 501: "unimplemented"}
_STATUSES = {
    "not_found": 404, "already_exists": 409, "invalid_argument": 400, "resource_exhausted": 429, "unavailable": 503,
    "deadline_exceeded": 504, "unauthenticated": 401, "permission_denied": 403, "unimplemented": 501, "internal": 500,
}  # fmt: skip
Shape = TypeVar("Shape")


def code_of(error: SandboxError) -> str:
    """What an error is called here."""
    return _BY_STATUS.get(int(error.details.get("status") or 0)) or _CODES.get(error.code, "internal")


async def refuse(call: Call, error: SandboxError) -> None:
    """Answer with an error. That there is no such sandbox (any more) is said as the proxy before it would."""
    status = status_of(error)
    if status == 502:
        body: dict[str, object] = {"code": 502, "message": error.message}
    else:
        code = code_of(error)
        body, status = {"code": code, "message": error.message}, _STATUSES[code]
    await call.refused(error, status, msgspec.json.encode(body))


async def said(call: Call, shape: type[Shape]) -> Shape:
    """The message of a call that has one. Raises UsageError."""
    kind = (call.header("content-type") or "").partition(";")[0].strip()
    body = await call.body()
    if kind == STREAM:
        messages = list(_Frames().feed(body))
        if len(messages) > 1:
            raise UsageError(f"{len(messages)} messages, where one is taken")
        return decoded(messages[0] if messages else b"", shape)
    if kind != _UNARY:
        raise UsageError(f"the content type {kind[:100]!r} is not spoken here: use Connect with JSON", {"status": 415})
    return decoded(body, shape)


async def all_said(call: Call) -> AsyncIterator[bytes]:
    """The messages of a call with a stream of them, as they come. Raises UsageError."""
    frames = _Frames()
    async for piece in call.pieces():
        for data in frames.feed(piece):
            yield data


class _Frames:
    """Takes bytes, gives messages."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> Iterable[bytes]:
        self._waiting += data
        while len(self._waiting) >= _FRAME.size:
            flags, size = _FRAME.unpack_from(self._waiting)
            if flags & _COMPRESSED:
                raise UsageError("compressed messages are not taken")
            if size > _MOST_FRAME:
                raise UsageError(f"a message of {size} bytes: at most {_MOST_FRAME}", {"status": 413})
            end = _FRAME.size + size
            if len(self._waiting) < end:
                return
            message = bytes(self._waiting[_FRAME.size : end])
            del self._waiting[:end]
            if not flags & _LAST:
                yield message


def timeout_of(call: Call) -> float | None:
    """The seconds that a call may take; None for as long as it takes. Raises UsageError."""
    text = call.header("connect-timeout-ms")
    if text is None or text == "0":
        return None
    if not text.isascii() or not text.isdigit() or int(text[:20]) > _MOST_TIMEOUT_MS:
        raise UsageError(f"connect-timeout-ms={text[:20]!r} is not a number of milliseconds")
    return int(text) / 1000


def frame(message: object, flags: int = 0) -> bytes:
    """One message of a stream."""
    data = msgspec.json.encode(message)
    return _FRAME.pack(flags, len(data)) + data


def end(error: SandboxError | None = None) -> bytes:
    """The end of a stream."""
    said: dict[str, object] = {}
    if error is not None:
        said = {"error": {"code": code_of(error), "message": error.message}}
    return frame(said, _LAST)


class Saying(NamedTuple):
    """What a stream says: of each event, where nothing happens, and whether its last event is an error."""

    messages: Callable[[m.AnyEvent], Iterable[object]]
    keepalive: object
    fault: Callable[[m.AnyEvent], SandboxError | None] = failure


async def stream(
    call: Call, recording: Recording, after: int, saying: Saying, first: Iterable[object] = (), *, cancels: bool = False
) -> None:
    """Send what there is to say of events from number `after` on, and before that the `first`.

    `cancels`: the client's going cancels.
    """

    def form(found: list[bytes], ended: bool) -> list[bytes]:
        events = [m.decode_event(one) for one in found]
        parts = [frame(message) for event in events for message in saying.messages(event)]
        if ended:
            parts.append(end(saying.fault(events[-1])))
        return parts

    written = Written(STREAM, form, frame(saying.keepalive), head=b"".join(map(frame, first)))
    await call.stream(recording, after, written, cancels=cancels)
