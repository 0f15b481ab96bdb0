"""Content over HTTP: files of the workspace, artifacts, exports. Piece by piece, in both directions."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

from sandbox.errors import SandboxError, SandboxFileNotFoundError, UsageError
from sandbox.protocol import messages as m
from sandbox.server.gate import Gate
from sandbox.server.http import HEARTBEAT_SECONDS, AnswerLost, Call, Headers, failure, last_of
from sandbox.server.recordings import Recording

_RANGE = re.compile(r"bytes=(\d{1,18})?-(\d{1,18})?", re.ASCII)
_BYTES = "application/octet-stream"
# What a browser shows without running anything.
_SHOWN = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_SAFE: Headers = [(b"x-content-type-options", b"nosniff"), (b"accept-ranges", b"bytes")]


async def get_file(call: Call, gate: Gate, path: dict[str, Any]) -> None:
    """A file, or a range of it. It may change while it is read, so that its length is not promised."""
    _no_query(call)
    part = None
    if call.header("range"):
        listed = await _ask(call, gate, m.StatFile(path["session"], path["path"]), m.FilesListed)
        (entry,) = listed.entries
        part = _part(call.header("range"), entry.size) if entry.kind == "file" else None
    offset, length = part or (0, None)
    request = m.ReadFile(path["session"], path["path"], offset, length)
    headers = [*_SAFE, *_ranged(part, entry.size)] if part else [*_SAFE]
    await send(call, gate.begin(call.caller, request), 206 if part else 200, _BYTES, headers)


async def get_artifact(call: Call, gate: Gate, path: dict[str, Any]) -> None:
    """An artifact, or a range of it."""
    _no_query(call)
    listed = await _ask(call, gate, m.ListArtifacts(path["session"]), m.ArtifactsListed)
    found = next((one for one in listed.artifacts if one.id == path["artifact"]), None)
    if found is None:
        raise SandboxFileNotFoundError(f"the sandbox has no artifact {path['artifact'][:200]!r}")
    part = _part(call.header("range"), found.size)
    offset, length = part or (0, None)
    headers = [*_SAFE, *(_ranged(part, found.size) if part else []), (b"etag", f'"{found.sha256}"'.encode())]
    kind = found.mime if found.mime in _SHOWN else _BYTES
    request = m.ReadArtifact(path["session"], found.id, offset, length)
    await send(call, gate.begin(call.caller, request), 206 if part else 200, kind, headers)


async def export(call: Call, gate: Gate, path: dict[str, Any]) -> None:
    """The session as a file."""
    found = parse_qs(call.scope["query_string"].decode("latin-1"))
    form = found.pop("format", ["notebook"])[-1]
    if found:
        raise UsageError(f"there is no parameter {', '.join(map(repr, sorted(found)))}; there are: format")
    kind = "application/x-ipynb+json" if form == "notebook" else _BYTES
    await send(call, gate.begin(call.caller, m.Export(path["session"], form)), 200, kind, [*_SAFE])


async def put_file(call: Call, gate: Gate, path: dict[str, Any]) -> None:
    """Write a file piece by piece. It appears under its name only when it is whole."""
    _no_query(call)
    session, target = path["session"], path["path"]
    size = call.header("content-length")
    written = await store(call, gate, session, target, call.pieces(), int(size) if size and size.isdigit() else 0)
    await call.json({"path": target, "size": written}, 201)


async def store(call: Call, gate: Gate, session: str, target: str, pieces: AsyncIterator[bytes], size: int = 0) -> int:
    """Write a file from pieces, of `size` bytes if that is known; return how many there were. Raises SandboxError."""
    if not target or target.endswith("/"):
        raise UsageError(f"{target!r} names a directory: leave off the slash")
    part = os.path.join(os.path.dirname(target), f".part-{os.urandom(6).hex()}")
    try:
        written = await _write(call, gate, session, part, pieces, size)
        await _check_whole(call, gate, session, part, written)
        await _ask(call, gate, m.RenameFile(session, part, target), m.Done)
    except BaseException as error:
        gate.begin(call.caller, m.RemoveFile(session, part))
        if isinstance(error, SandboxError):
            error.message = error.message.replace(part, target)
        raise
    return written


async def _write(call: Call, gate: Gate, session: str, part: str, pieces: AsyncIterator[bytes], whole: int) -> int:
    written, waiting = 0, bytearray()
    async for piece in pieces:
        waiting += piece
        while len(waiting) >= m.MAX_CHUNK:
            await _append(call, gate, m.WriteFile(session, part, bytes(waiting[: m.MAX_CHUNK]), written > 0, whole))
            written += m.MAX_CHUNK
            del waiting[: m.MAX_CHUNK]
    if waiting or not written:
        await _append(call, gate, m.WriteFile(session, part, bytes(waiting), written > 0, whole))
    return written + len(waiting)


async def _append(call: Call, gate: Gate, request: m.WriteFile) -> None:
    await _ask(call, gate, request, m.Done)


async def _check_whole(call: Call, gate: Gate, session: str, part: str, size: int) -> None:
    """The code inside can reach the part: what it removed would have begun anew with the next piece."""
    found = (await _ask(call, gate, m.StatFile(session, part), m.FilesListed)).entries[0]
    if (found.kind, found.size) != ("file", size):
        raise UsageError("something inside has changed the file while it was written", {"status": 409})


async def _ask(call: Call, gate: Gate, request: m.Request, answer: type[Any]) -> Any:
    last = await last_of(gate.begin(call.caller, request))
    assert isinstance(last, answer)
    return last


async def send(call: Call, recording: Recording, status: int, kind: str, headers: Headers) -> None:
    """Send the data of an answer as it comes. Raises the SandboxError that it may be, if that is the first thing."""
    at = 0
    try:
        async with call.watched(recording) as gone:
            while not gone.done():
                await recording.more(at, HEARTBEAT_SECONDS, gone.done)
                for event in map(m.decode_event, recording.take(at)):
                    at += 1
                    error = failure(event)
                    if error is not None:
                        raise AnswerLost(error.message) if call.answered else error
                    if not call.answered:
                        await call.begin(status, kind, headers)
                    await call.piece(event.data if isinstance(event, m.Data) else b"", more=not event.last)
                if recording.ended and recording.count() == at:
                    return
    finally:
        recording.cancel()


def _no_query(call: Call) -> None:
    if call.scope["query_string"]:
        raise UsageError("there are no parameters here")


def _part(header: str | None, size: int) -> tuple[int, int] | None:
    """Where a range begins and how long it is; None for the whole. Raises UsageError for one beyond the end."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or not any(match.groups()):
        return None  # several ranges, or other units: the whole is an answer to those too
    first, last = (None if text is None else int(text) for text in match.groups())
    if first is None:
        first, last = max(0, size - (last or 0)), size - 1
    last = min(size - 1 if last is None else last, size - 1)
    if first >= size or last < first:
        raise UsageError(f"the range begins beyond the end: there are {size} bytes", {"status": 416})
    return first, last - first + 1


def _ranged(part: tuple[int, int] | None, size: int) -> Headers:
    return [] if part is None else [(b"content-range", f"bytes {part[0]}-{part[0] + part[1] - 1}/{size}".encode())]
