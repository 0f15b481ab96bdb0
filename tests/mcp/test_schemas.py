"""What the tools say of themselves: golden files, the meta-schema, and what registries look for."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from tests.mcp.golden import FILE, told

TOOLS = told()
NAMED = {
    "execute", "shell_execute", "list_artifacts", "cleanup_artifacts", "get_execution_info", "start_web_app",
    "create_manim_animation",
}  # fmt: skip
_READS = {"read_file", "list_files", "list_artifacts", "session_timeline", "get_execution_info"}


def _properties(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every property at every depth, with a path."""
    found = []
    for name, inner in schema.get("properties", {}).items():
        found.append((name, inner))
        found += [(f"{name}.{below}", one) for below, one in _properties(inner)]
    return found


def test_the_tools_are_those_of_the_golden_file() -> None:
    """Written anew with `python -m tests.mcp.golden`."""
    assert told() == json.loads(FILE.read_text(encoding="utf-8"))


def test_there_are_few_tools() -> None:
    names = [tool["name"] for tool in TOOLS]
    assert len(names) == len(set(names)) <= 16
    assert set(names) >= NAMED


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool["name"])
@pytest.mark.parametrize("which", ["inputSchema", "outputSchema"])
def test_a_schema_is_one_of_an_object_without_references(tool: dict[str, Any], which: str) -> None:
    schema = tool[which]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert "$ref" not in json.dumps(schema)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool["name"])
def test_every_argument_is_described_has_one_type_and_refuses_strangers(tool: dict[str, Any]) -> None:
    schema = tool["inputSchema"]
    assert schema["additionalProperties"] is False
    for name, inner in _properties(schema):
        assert len(inner["description"]) > 10, name
        assert isinstance(inner["type"], str), name
        assert name in schema["required"] or "default" in inner or name == "timeout", name


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool["name"])
def test_a_session_is_never_required_and_always_answered(tool: dict[str, Any]) -> None:
    assert "session_id" not in tool["inputSchema"]["required"]
    assert "session_id" in tool["outputSchema"]["required"]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool["name"])
def test_a_description_says_what_it_does_and_when_to_use_it(tool: dict[str, Any]) -> None:
    text = tool["description"]
    assert 150 < len(text) < 1300
    assert "Use it" in text or "better done with" in text or "Look after" in text
    others = {other["name"] for other in TOOLS} - {tool["name"]}
    if tool["name"] not in {"get_execution_info", "job"}:
        assert any(other in text for other in others), "it says which tool is for what is near to it"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool["name"])
def test_the_hints_are_given_and_agree(tool: dict[str, Any]) -> None:
    hints = tool["annotations"]
    assert set(hints) == {"title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
    assert hints["readOnlyHint"] == (tool["name"] in _READS)
    assert not (hints["readOnlyHint"] and hints["destructiveHint"])
