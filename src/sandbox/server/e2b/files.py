"""Files over plain HTTP: their content, in both directions, piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

import msgspec
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from sandbox.errors import SandboxError, UsageError
from sandbox.protocol import messages as m
from sandbox.server import content
from sandbox.server.e2b import paths
from sandbox.server.e2b.visit import Visit, query_of
from sandbox.server.http import Call, status_of

_BYTES = "application/octet-stream"
_MOST_FILES = 1000
_MOST_NAME = 10_000
_INFLATED = 1024 * 1024


async def get(visit: Visit) -> None:
    """A file's content."""
    query = query_of(visit.call)
    paths.check_user(query.get("username"))
    request = m.ReadFile(visit.id, paths.inward(_path(query)))
    await content.send(visit.call, visit.begin(request), 200, _BYTES, [(b"x-content-type-options", b"nosniff")])


async def post(visit: Visit) -> None:
    """Write one file, as the body or as its only part; or several, each a part with its path as the file's name."""
    query = query_of(visit.call)
    paths.check_user(query.get("username"))
    kind, options = parse_options_header(visit.call.header("content-type") or "")
    if kind == b"multipart/form-data":
        written = await _parts(visit, options.get(b"boundary", b""), query.get("path"))
    else:
        written = [await _one(visit, _path(query), _plain(visit.call))]
    await visit.call.json([_info(path) for path in written])


async def _one(visit: Visit, path: str, pieces: AsyncIterator[bytes]) -> str:
    """Write a file: in one go if it is small, so that who watches sees nothing else."""
    inward, start = paths.inward(path), bytearray()
    async for piece in pieces:
        start += piece
        if len(start) > m.MAX_CHUNK:
            await content.store(visit.call, visit.gate, visit.id, inward, _after(bytes(start), pieces))
            return inward
    await visit.ask(m.WriteFile(visit.id, inward, bytes(start)), m.Done)
    return inward


async def _after(start: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for piece in rest:
        yield piece


def _path(query: dict[str, str]) -> str:
    path = query.get("path")
    if not path:
        raise UsageError("which file? give its path")
    return path


def _info(path: str) -> dict[str, str]:
    shown = paths.outward(path)
    return {"path": shown, "name": shown.rpartition("/")[2], "type": "file"}


# --- the body ---


async def _plain(call: Call) -> AsyncIterator[bytes]:
    """The body, unpacked where it is packed. Raises UsageError."""
    packed = call.header("content-encoding")
    if packed in {None, "identity"}:
        async for piece in call.pieces():
            yield piece
        return
    if packed != "gzip":
        raise UsageError(f"the content encoding {str(packed)[:50]!r} is not known: use gzip", {"status": 415})
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        async for piece in call.pieces():
            while piece:  # little at a time: what unpacks to very much must not be in memory at once
                yield unpacking.decompress(piece, _INFLATED)
                piece = unpacking.unconsumed_tail  # noqa: PLW2901
    except zlib.error as error:
        raise UsageError(f"the body is not gzip: {error}") from error
    if not unpacking.eof:
        raise UsageError("the body ends in the middle of its gzip data")


class _Parts:
    """Takes the body of a form, gives its files: (path or None at the beginning of one, data, whether it ends)."""

    def __init__(self, boundary: bytes) -> None:
        self.events: list[tuple[str, bytes]] = []
        self._field, self._value, self._name = b"", b"", b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin, "on_header_field": self._on_field, "on_header_value": self._on_value,
                "on_header_end": self._on_header, "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data, "on_part_end": lambda: self.events.append(("end", b"")),
            },
        )  # fmt: skip

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """What has come: ("begin", name), ("data", bytes), ("end", b""). Raises UsageError."""
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise UsageError(f"the form cannot be read: {error}") from error
        found, self.events = self.events, []
        return found

    def finish(self) -> None:
        """Raises UsageError where the form is not whole."""
        try:
            self._parser.finalize()
        except MultipartParseError as error:
            raise UsageError(f"the form ends too early: {error}") from error

    def _begin(self) -> None:
        self._field, self._value, self._name = b"", b"", b""

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._check(self._field)

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check(self._value)

    def _check(self, text: bytes) -> None:
        if len(text) > _MOST_NAME:
            raise UsageError(f"a header of a part has more than {_MOST_NAME} bytes")

    def _on_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._name = parse_options_header(self._value)[1].get(b"filename", b"")
        self._field, self._value = b"", b""

    def _on_headers(self) -> None:
        self.events.append(("begin", self._name))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self.events.append(("data", data[start:end]))


async def _parts(visit: Visit, boundary: bytes, path: str | None) -> list[str]:
    """Write every file of a form; return the paths. `path` is that of the only one. Raises UsageError."""
    if not boundary:
        raise UsageError("the form has no boundary")
    events = _events(visit.call, _Parts(boundary))
    written: list[str] = []
    async for what, name in events:
        if what == "begin":
            if len(written) >= _MOST_FILES or (written and path is not None):
                raise UsageError("one path for several files" if path else f"at most {_MOST_FILES} files at once")
            target = path or name.decode("utf-8", "replace")
            if not target:
                raise UsageError("a part of the form has no file name, which would be its path")
            written.append(await _one(visit, target, _until_end(events)))
    if not written:
        raise UsageError("the form has no file")
    return written


async def _events(call: Call, parts: _Parts) -> AsyncIterator[tuple[str, bytes]]:
    async for piece in call.pieces():
        for event in parts.feed(piece):
            yield event
    parts.finish()


async def _until_end(events: AsyncIterator[tuple[str, bytes]]) -> AsyncIterator[bytes]:
    async for what, data in events:
        if what == "end":
            return
        yield data
    raise UsageError("the form ends in the middle of a file")


async def refuse(call: Call, error: SandboxError) -> None:
    """Answer with an error."""
    status = status_of(error)
    await call.refused(error, status, msgspec.json.encode({"code": status, "message": error.message}))
