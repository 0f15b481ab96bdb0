"""What a tool answers: data by its schema, text for a model to read, images, and links to what is left out."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from mcp_types import CallToolResult, ContentBlock, TextContent

from sandbox.errors import SandboxError


class Reply(NamedTuple):
    """`data` is the structured answer. `failed`: what was asked for was not done, or the code raised."""

    data: msgspec.Struct
    text: str
    content: tuple[ContentBlock, ...] = ()
    failed: bool = False

    def result(self) -> CallToolResult:
        """The form that travels."""
        return CallToolResult(
            content=[TextContent(type="text", text=encodable(self.text)), *self.content],
            structured_content=_encodable(msgspec.to_builtins(self.data)),
            is_error=self.failed,
        )


class ToolError(Exception):
    """Something that a model can act on: what is wrong, and what to do about it."""


def failure(error: Exception) -> CallToolResult:
    """A tool's error, in words alone."""
    return CallToolResult(content=[TextContent(type="text", text=encodable(in_words(error)))], is_error=True)


def in_words(error: Exception) -> str:
    """What is wrong, for a model to read."""
    if isinstance(error, (ToolError, SandboxError)):
        return str(error)
    return f"the server made a mistake, please report it: {type(error).__name__}: {error}"


def encodable(text: str) -> str:
    """Text as JSON can carry it: code can print halves of characters."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {key: _encodable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    return value
