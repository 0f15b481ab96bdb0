"""A tool as data: its name, what it takes and answers as schemas, hints for clients, and the function that does it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import mcp_types
import msgspec
from mcp_types import ToolAnnotations

from sandbox.mcp.reply import Reply, ToolError

if TYPE_CHECKING:
    from sandbox.mcp.call import Call

_AT = re.compile(r"\A(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?\Z", re.DOTALL)
_PART = re.compile(r"([^.\[\]]+)|(\[[^\]]*\])")
_TYPES = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "object": "an object"}
_TYPE = re.compile(r"`(str|int|float|bool|object)`")


class Hints(NamedTuple):
    """What a client may tell its user before it asks. `open_world`: others than the sandbox take part."""

    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False


class Tool:
    """One tool. `takes` and `answers` are Structs: their fields with descriptions are the schemas."""

    def __init__(
        self,
        name: str,
        title: str,
        description: str,
        takes: type[msgspec.Struct],
        answers: type[msgspec.Struct],
        do: Callable[[Call, Any], Awaitable[Reply]],
        hints: Hints,
    ) -> None:
        self.name, self.title, self.description = name, title, description
        self.takes, self.answers, self.do, self.hints = takes, answers, do, hints

    def listed(self) -> mcp_types.Tool:
        """The tool as clients are told of it."""
        return mcp_types.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.input_schema,
            output_schema=schema(self.answers),
            annotations=ToolAnnotations(
                title=self.title,
                read_only_hint=self.hints.read_only,
                destructive_hint=self.hints.destructive,
                idempotent_hint=self.hints.idempotent,
                open_world_hint=self.hints.open_world,
            ),
        )

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """JSON schema of the arguments."""
        return schema(self.takes)

    def arguments(self, given: dict[str, Any] | None) -> Any:
        """Check arguments. Models write null for what they leave out, and numbers as text: both are taken.

        Raises ToolError.
        """
        present = {name: value for name, value in (given or {}).items() if value is not None}
        try:
            return msgspec.convert(present, self.takes, strict=False)
        except msgspec.ValidationError as error:
            raise ToolError(f"{self.name}: {_explained(str(error), self.input_schema)}. {self._usage()}") from error

    def _usage(self) -> str:
        required = set(self.input_schema["required"])
        names = ", ".join(
            f"{name} (required)" if name in required else name for name in self.input_schema["properties"]
        )
        return f"It takes: {names}" if names else "It takes no arguments"


def _explained(text: str, whole: dict[str, Any]) -> str:
    """What msgspec says of a value, in words that need no Python."""
    match = _AT.match(text)
    assert match is not None
    what = _TYPE.sub(lambda found: _TYPES[found[1]], match["what"])
    what = what.replace("Object missing required field", "missing").replace(
        "Object contains unknown field", "there is no argument"
    )
    what = what[:1].lower() + what[1:]
    if what.startswith("invalid enum value") and (allowed := _allowed(match["where"] or "", whole)):
        what += f"; it is one of {', '.join(map(repr, allowed))}"
    return f"argument {match['where']}: {what}" if match["where"] else what.replace("missing `", "missing argument `")


def _allowed(where: str, whole: dict[str, Any]) -> list[str]:
    """The values that the schema of arguments names for one of them, or for what is within it."""
    found = whole
    for name, index in _PART.findall(where):
        found = found.get("items", {}) if index else found.get("properties", {}).get(name, {})
    return [value for one in (found, *found.get("anyOf", ())) for value in one.get("enum", ()) if value is not None]


def schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """A Struct's JSON schema in one piece: some clients do not follow references."""
    whole = msgspec.json.schema(struct)
    definitions = whole["$defs"]
    found = _inlined(deepcopy(definitions[struct.__name__]), definitions)
    assert isinstance(found, dict)
    found.pop("title", None)
    found.pop("description", None)
    return found


def _inlined(value: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_inlined(inner, definitions) for inner in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        named = deepcopy(definitions[value["$ref"].rpartition("/")[2]])
        named.pop("title", None)
        rest = {key: inner for key, inner in value.items() if key != "$ref"}
        return _inlined({**named, **rest}, definitions)
    return {key: _inlined(inner, definitions) for key, inner in value.items()}
