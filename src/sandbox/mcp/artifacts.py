"""Artifacts as clients get them: small images at once, everything else as a link to be read when it is wanted."""

from __future__ import annotations

import base64
from typing import Annotated

from mcp_types import BlobResourceContents, ContentBlock, ImageContent, ResourceLink, TextResourceContents
from msgspec import Meta, Struct

from sandbox import Artifact
from sandbox.mcp import uris
from sandbox.mcp.reply import ToolError
from sandbox.mcp.text import size

MOST_IMAGES = 700_000
"""Bytes of images in one answer: with the base64 of them it stays below the 1 MB that some clients take."""
MOST_READ = 32 * 1024 * 1024
_MOST_PIXELS = 8000  # on a side: models take no more
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_TEXTS = ("text/", "application/json", "application/xml", "image/svg+xml")


class Described(Struct, omit_defaults=True):
    """An artifact: a figure, or a file that was written below artifacts/."""

    uri: Annotated[str, Meta(description="Read it with read_file, or as a resource.")]
    name: str
    mime_type: str
    size: Annotated[int, Meta(description="Bytes.")]
    execution: Annotated[int, Meta(description="The execution that made it.")]
    created_at: str


def described(session: str, one: Artifact) -> Described:
    """An artifact as data."""
    address = uris.artifact(session, one.id)
    return Described(address, one.name, one.mime, one.size, one.execution, one.created_at.isoformat())


def line(one: Described) -> str:
    """An artifact in a line of text."""
    return f"{one.uri}  ({one.mime_type}, {size(one.size)})"


def link(one: Described) -> ResourceLink:
    """An artifact as a resource that a client may read."""
    return ResourceLink(uri=one.uri, name=one.name, mime_type=one.mime_type, size=one.size)


async def content(session: str, artifacts: list[Artifact]) -> tuple[ContentBlock, ...]:
    """Images as long as there is room for them, links to the others."""
    blocks: list[ContentBlock] = []
    left = MOST_IMAGES
    for one in artifacts:
        found = image(await one.aread()) if one.mime.startswith("image/") and one.size <= left else None
        left -= one.size if found else 0
        blocks.append(found or link(described(session, one)))
    return tuple(blocks)


def kind_of(data: bytes) -> str | None:
    """The MIME type of an image that models take, by what it begins with; None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)


def image(data: bytes) -> ImageContent | None:
    """Bytes as an image; None if they are none that a model takes, whatever they are called."""
    kind = kind_of(data)
    if kind is None or (kind == "image/png" and max(_png_sides(data)) > _MOST_PIXELS):
        return None
    return ImageContent(type="image", data=base64.b64encode(data).decode("ascii"), mime_type=kind)


def _png_sides(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def resource(uri: str, mime: str, data: bytes) -> TextResourceContents | BlobResourceContents:
    """The content of a resource: text where it is some."""
    if mime.startswith(_TEXTS):
        try:
            return TextResourceContents(uri=uri, mime_type=mime, text=data.decode("utf-8"))
        except UnicodeDecodeError:
            pass
    return BlobResourceContents(uri=uri, mime_type=mime, blob=base64.b64encode(data).decode("ascii"))


def find(artifacts: list[Artifact], wanted: str) -> Artifact:
    """The artifact of an id. Raises ToolError."""
    for one in artifacts:
        if one.id == wanted:
            return one
    raise ToolError(f"the session has no artifact {wanted!r}: list_artifacts names those that there are")


async def data_of(one: Artifact) -> bytes:
    """An artifact's bytes. Raises ToolError for more than can be sent."""
    if one.size > MOST_READ:
        raise ToolError(
            f"{one.name} has {size(one.size)}, and at most {size(MOST_READ)} can be sent: read a part of it with code, "
            "or copy it from the host"
        )
    return await one.aread()
