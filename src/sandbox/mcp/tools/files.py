"""`read_file`, `write_file` and `list_files`: the workspace, and whatever else has an address here."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, NamedTuple

from mcp_types import ImageContent
from msgspec import Meta, Struct

from sandbox.errors import SandboxFileError
from sandbox.mcp import artifacts, fields, resources, uris
from sandbox.mcp.call import Call
from sandbox.mcp.reply import Reply, ToolError
from sandbox.mcp.sessions import Held
from sandbox.mcp.text import MOST_TEXT, size
from sandbox.mcp.tool import Hints, Tool

_MOST_ENTRIES = 500
_MOST_BYTES = 100_000

READ = """\
Read a file of the session's workspace, or anything that an answer has named by a sandbox:// URI (an artifact, \
the whole of an output that was cut). Use it to look at content: text comes as text, PNG, JPEG, GIF and WebP \
images as images to see, anything else as base64.

Long files come in parts: next_offset is where to go on. To search a large file, grep with shell_execute or work \
on it with execute instead of reading all of it."""

WRITE = """\
Write a text file, or a binary one as base64, into the session's workspace, making the directories above it and \
replacing a file that is there. Use it to bring data or source code that Python and the shell then work on; \
small snippets need no file, give them to execute. The file is saved with the session."""

LIST = """\
List the files of a directory of the session's workspace, with sizes and times. Use it to see what is there; for \
what an execution has produced, see list_artifacts."""


class ReadFile(Struct, forbid_unknown_fields=True):
    """The arguments."""

    path: Annotated[
        str, Meta(min_length=1, description="A path in the workspace, such as data/table.csv, or a sandbox:// URI.")
    ]
    offset: Annotated[int, Meta(ge=0, description="The byte to begin at.")] = 0
    length: Annotated[int, Meta(ge=1, le=_MOST_BYTES, description="How many bytes at most.")] = MOST_TEXT
    session_id: fields.SessionId = ""


class Read(Struct, omit_defaults=True):
    """A part of a file."""

    session_id: fields.AnsweredSession
    path: str
    size: Annotated[int, Meta(description="Bytes of the whole file.")]
    offset: Annotated[int, Meta(description="The byte that this part begins at.")]
    encoding: Annotated[
        Literal["utf-8", "base64", "image"], Meta(description="How content is given; an image is not repeated in it.")
    ]
    content: str
    next_offset: Annotated[int | None, Meta(description="Where to go on; absent at the end of the file.")] = None


async def _read(call: Call, asked: ReadFile) -> Reply:
    is_address = asked.path.startswith(f"{uris.SCHEME}://")
    session = uris.parsed(asked.path).session if is_address else asked.session_id
    async with call.session(session) as held:
        source = await (_addressed(call, held, asked.path) if is_address else _in_workspace(held, asked.path))
        data, image = await _part(source, asked)
        return _answer(held, asked, source.size, data, image)


class _Source(NamedTuple):
    size: int
    read: Callable[[int, int], Awaitable[bytes]]


async def _addressed(call: Call, held: Held, uri: str) -> _Source:
    whole = await resources.data_of(call, held, uri)

    async def read(offset: int, length: int) -> bytes:
        return whole[offset : offset + length]

    return _Source(len(whole), read)


async def _in_workspace(held: Held, path: str) -> _Source:
    async def read(offset: int, length: int) -> bytes:
        return b"".join([part async for part in held.box.files.chunks(path, offset, length)])

    try:
        found = await held.box.files.stat(path)
    except SandboxFileError as error:
        raise ToolError(f"{error}. list_files shows what there is") from error
    if found.is_dir:
        raise ToolError(f"{path!r} is a directory: list_files shows what is in it")
    return _Source(found.size, read)


async def _part(source: _Source, asked: ReadFile) -> tuple[bytes, ImageContent | None]:
    """The bytes that were asked for; or an image, which is only of use as a whole."""
    if not asked.offset and source.size <= artifacts.MOST_IMAGES and artifacts.kind_of(await source.read(0, 32)):
        whole = await source.read(0, source.size)
        image = artifacts.image(whole)
        return (whole, image) if image else (whole[: asked.length], None)
    return await source.read(asked.offset, asked.length), None


def _answer(held: Held, asked: ReadFile, whole: int, data: bytes, image: ImageContent | None) -> Reply:
    text = None if image else _text(data)
    taken = len(data) if text is None else len(text.encode())
    end = asked.offset + taken
    read = Read(
        session_id=held.name,
        path=asked.path,
        size=whole,
        offset=asked.offset,
        encoding="image" if image else "base64" if text is None else "utf-8",
        content="" if image else base64.b64encode(data).decode("ascii") if text is None else text,
        next_offset=end if end < whole and taken else None,
    )
    notes = [f"[{asked.path}: bytes {asked.offset} to {end} of {whole}, {read.encoding}]"]
    if read.next_offset is not None:
        notes.append(f"[there is more: go on with offset={read.next_offset}]")
    return Reply(read, "\n".join([*([read.content] if read.content else []), *notes]), (image,) if image else ())


def _text(data: bytes) -> str | None:
    """Bytes as text, less a character at the end of which only a part is there; None if they are no text."""
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data" or not error.start:
            return None
        return data[: error.start].decode("utf-8")


class WriteFile(Struct, forbid_unknown_fields=True):
    """The arguments."""

    path: Annotated[str, Meta(min_length=1, description="Where, in the workspace: data/table.csv")]
    content: Annotated[str, Meta(description="All of the file's content.")]
    encoding: Annotated[
        Literal["utf-8", "base64"],
        Meta(description="How content is given.", extra_json_schema={"type": "string"}),
    ] = "utf-8"
    session_id: fields.SessionId = ""


class Written(Struct, omit_defaults=True):
    """A file that was written."""

    session_id: fields.AnsweredSession
    path: str
    size: Annotated[int, Meta(description="Bytes.")]


async def _write(call: Call, asked: WriteFile) -> Reply:
    data = _content(asked)
    async with call.session(asked.session_id) as held:
        await held.box.files.write(asked.path, data)
        await held.save_files()
        written = Written(held.name, asked.path, len(data))
        return Reply(written, f"[wrote {size(len(data))} to {asked.path}, session {held.name}]")


def _content(asked: WriteFile) -> bytes:
    """Raises ToolError."""
    if asked.encoding == "utf-8":
        return asked.content.encode("utf-8", "replace")
    try:
        return base64.b64decode(asked.content, validate=True)
    except binascii.Error as error:
        raise ToolError(f"content is not base64: {error}. Give encoding='utf-8' for text") from error


class ListFiles(Struct, forbid_unknown_fields=True):
    """The arguments."""

    path: Annotated[str, Meta(description="A directory of the workspace.")] = "."
    recursive: Annotated[bool, Meta(description="Everything below it as well.")] = False
    session_id: fields.SessionId = ""


class Entry(Struct):
    """One file."""

    path: str
    kind: Annotated[Literal["file", "directory", "link", "other"], Meta(extra_json_schema={"type": "string"})]
    size: int
    modified_at: str


class Listed(Struct, omit_defaults=True):
    """The files of a directory."""

    session_id: fields.AnsweredSession
    files: list[Entry]
    left_out: Annotated[int, Meta(description="How many more there are.")] = 0


async def _list(call: Call, asked: ListFiles) -> Reply:
    async with call.session(asked.session_id) as held:
        found = await held.box.files.list(asked.path, recursive=asked.recursive)
        entries = [
            Entry(one.path, one.kind, one.size, one.modified_at.isoformat())  # type: ignore[arg-type]
            for one in found[:_MOST_ENTRIES]
        ]
        listed = Listed(held.name, entries, max(len(found) - _MOST_ENTRIES, 0))
        return Reply(listed, _listing(asked.path, listed))


def _listing(path: str, listed: Listed) -> str:
    lines = [f"{one.path}/" if one.kind == "directory" else f"{one.path}  {size(one.size)}" for one in listed.files]
    if listed.left_out:
        lines.append(f"[and {listed.left_out} more: list a directory below, or use shell_execute with find]")
    return "\n".join(lines) or f"[there is nothing in {path}]"


TOOLS = (
    Tool("read_file", "Read a file", READ, ReadFile, Read, _read, Hints(read_only=True, idempotent=True)),
    Tool("write_file", "Write a file", WRITE, WriteFile, Written, _write, Hints(destructive=True, idempotent=True)),
    Tool("list_files", "List files", LIST, ListFiles, Listed, _list, Hints(read_only=True, idempotent=True)),
)
