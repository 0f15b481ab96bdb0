"""`create_manim_animation`, its jobs and its lists, called by the official client."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp.client import Client
from tests.animations.conftest import DOT, HALVES, HAS_MANIM, colour, decoded, manim, picture
from tests.mcp.conftest import SECONDS, Connected, Serve, program, text_of
from tests.mcp.golden import told

__all__ = ["manim"]  # a fixture
pytestmark = pytest.mark.usefixtures("manim")
SCHEMAS = {tool["name"]: tool["outputSchema"] for tool in told()}
TOOL = "create_manim_animation"


async def rendered(box: Connected, code: str = DOT, **arguments: Any) -> dict[str, Any]:
    """The structured answer of the cheapest rendering, which is what its schema says."""
    data = await box.data(TOOL, code=code, **{"quality": "low_quality", "format": "png", **arguments})
    jsonschema.validate(data, SCHEMAS[TOOL])
    return data


async def blob(client: Client, uri: str) -> bytes:
    """What a client reads of a resource that is no text."""
    (content,) = (await client.read_resource(uri)).contents
    return base64.b64decode(content.model_dump()["blob"])


async def test_a_video_comes_with_a_thumbnail_and_a_link_that_can_be_read(connected: Connected) -> None:
    result = await connected.call(TOOL, code=HALVES, quality="low_quality", scene_name="Halves")
    assert not result.is_error, text_of(result)
    jsonschema.validate(result.structured_content, SCHEMAS[TOOL])
    assert isinstance(result.structured_content, dict)
    (shown,) = result.structured_content["animations"]
    assert {name: shown[name] for name in ("scene", "width", "height", "fps", "frames", "duration", "animations")} == {
        "scene": "Halves", "width": 854, "height": 480, "fps": 15.0, "frames": 15, "duration": 1.0, "animations": 3,
    }  # fmt: skip
    text, image, link = (block.model_dump() for block in result.content)
    assert f"Halves: {shown['uri']}  (video/mp4, 854x480, 1 s, 15 frames, " in text["text"]
    assert colour(picture(base64.b64decode(image["data"])), 0.25, 0.5) == "red"
    assert (link["type"], str(link["uri"]), link["mime_type"]) == ("resource_link", shown["uri"], "video/mp4")
    assert decoded(await blob(connected.client, shown["uri"])).at(1.0, 0.75, 0.5) == "green"


async def test_progress_tells_of_each_animation(serve: Serve) -> None:
    told: list[tuple[float, str]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message or ""))

    async with serve(mode="legacy") as box, asyncio.timeout(SECONDS):
        arguments = {"code": HALVES, "quality": "low_quality"}
        result = await box.client.call_tool(TOOL, arguments, progress_callback=on_progress)
        assert not result.is_error, text_of(result)
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        begun = [text.split(", ")[0] for _, text in told if "animation" in text]
        assert list(dict.fromkeys(begun)) == [f"Halves: animation {number}" for number in (1, 2, 3)]


async def test_animations_are_listed_and_removed(connected: Connected) -> None:
    shown = (await rendered(connected))["animations"]
    await connected.data("execute", code="open('artifacts/note.txt', 'w').write('x')")
    listed = await connected.data("list_artifacts", kind="animation")
    jsonschema.validate(listed, SCHEMAS["list_artifacts"])
    assert listed["animations"] == shown
    assert [one["uri"] for one in listed["artifacts"]] == [shown[0]["uri"]]
    assert shown[0]["uri"] in text_of(await connected.call("list_artifacts", kind="animation"))
    names = {one["name"] for one in (await connected.data("list_artifacts"))["artifacts"]}
    assert names == {"Dots.png", "Dots-thumbnail.png", "note.txt"}
    assert [one["name"] for one in (await connected.data("list_artifacts", kind="text"))["artifacts"]] == ["note.txt"]
    assert (await connected.call("read_file", path=shown[0]["thumbnail_uri"])).content[1].type == "image"
    await connected.data("cleanup_artifacts", kind="image")
    assert "animations" not in await connected.data("list_artifacts", kind="animation")
    assert "has no animations" in text_of(await connected.call("list_artifacts", kind="animation"))


async def test_several_scenes_are_rendered_if_all_are_asked_for(connected: Connected) -> None:
    code = DOT + DOT.replace("Dots", "More")
    refused = await connected.refused(TOOL, code=code, format="png")
    assert "the code has several scenes: Dots, More. Name one, or ask for all" in refused
    shown = (await rendered(connected, code, all_scenes=True))["animations"]
    assert [one["scene"] for one in shown] == ["Dots", "More"]
    (one,) = (await rendered(connected, code, scene_name="More"))["animations"]
    assert one["file"] == "artifacts/More.png"


async def test_a_failure_says_the_users_line(connected: Connected) -> None:
    result = await connected.call(TOOL, code=DOT.replace("Dot(", "Dott("), quality="low_quality")
    assert result.is_error
    jsonschema.validate(result.structured_content, SCHEMAS[TOOL])
    assert result.structured_content["error"]["type"] == "NameError"
    assert 'File "<animation>", line 6, in construct' in text_of(result)
    assert "site-packages" not in text_of(result)
    result = await connected.call(TOOL, code="while True: pass", timeout=0.3)
    assert result.structured_content["cause"]["kind"] == "timeout"


async def test_a_rendering_in_the_background_is_a_job(connected: Connected) -> None:
    begun = await connected.data(TOOL, code=HALVES, quality="low_quality", background=True)
    assert begun["status"] == "running"
    jsonschema.validate(begun, SCHEMAS[TOOL])
    job = await connected.data("job", job_id=begun["job_id"], wait=50)
    jsonschema.validate(job, SCHEMAS["job"])
    assert (job["language"], job["status"], job["animated"]["status"]) == ("manim", "done", "ok")
    assert [one["frames"] for one in job["animated"]["animations"]] == [15]
    listed = await connected.data("list_artifacts", kind="animation")
    assert listed["animations"] == job["animated"]["animations"]


async def test_a_job_that_renders_can_be_cancelled(connected: Connected) -> None:
    endless = DOT.replace("self.add", "while True: self.wait(0.1)\n        self.add")
    begun = await connected.data(TOOL, code=endless, quality="low_quality", background=True)
    assert begun["job_id"] in await connected.refused("execute", code="1")
    told = await connected.data("job", job_id=begun["job_id"], action="cancel")
    assert told["status"] == "cancelled"
    assert (await connected.data("execute", code="1 + 1"))["result"] == "2"


@pytest.mark.skipif(not HAS_MANIM, reason="Manim is not installed")
async def test_a_server_that_is_a_program_renders_and_knows_it_after_a_restart(tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS), program(tmp_path) as client:
        arguments = {"code": DOT, "quality": "low_quality", "format": "png"}
        first = await client.call_tool(TOOL, arguments)
        assert not first.is_error, text_of(first)
    async with asyncio.timeout(SECONDS), program(tmp_path) as client:
        listed = await client.call_tool("list_artifacts", {"kind": "animation"})
        assert listed.structured_content["animations"] == first.structured_content["animations"]
        uri = listed.structured_content["animations"][0]["uri"]
        assert colour(picture(await blob(client, uri)), 0.5, 0.5) == "blue"
