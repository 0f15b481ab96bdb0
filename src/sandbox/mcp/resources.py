"""Resources: an overview that teaches a model to use the server, artifacts, and outputs that were cut."""

from __future__ import annotations

import asyncio

from mcp_types import ListResourcesResult, ReadResourceResult, Resource, ResourceTemplate, TextResourceContents

from sandbox import Artifact
from sandbox.mcp import artifacts, uris
from sandbox.mcp.call import Call
from sandbox.mcp.guide import OVERVIEW
from sandbox.mcp.reply import ToolError
from sandbox.mcp.sessions import Held

_MOST_LISTED = 100
_TEXT = "text/plain"

TEMPLATES = [
    ResourceTemplate(
        uri_template=uris.ARTIFACT_TEMPLATE,
        name="artifact",
        title="Artifact",
        description="A figure or file that an execution produced. list_artifacts names those that there are.",
    )
]
_GUIDE = Resource(
    uri=uris.OVERVIEW,
    name="overview",
    title="How to use the sandbox",
    description="What the sandbox is, which tool is for what, and what is kept.",
    mime_type="text/markdown",
)


async def listing(call: Call) -> ListResourcesResult:
    """The overview, and the artifacts of the client's default session if that is open."""
    found = [_GUIDE]
    held = call.server.sessions.open_default(call.client)
    if held is not None:
        for one in (await artifacts_of(held))[-_MOST_LISTED:]:
            address = uris.artifact(held.name, one.id)
            found.append(Resource(uri=address, name=one.name, mime_type=one.mime, size=one.size))
    return ListResourcesResult(resources=found)


async def read(call: Call, uri: str) -> ReadResourceResult:
    """The content of a resource. Raises ToolError, SandboxError."""
    if uri == uris.OVERVIEW:
        guide = TextResourceContents(uri=uri, mime_type="text/markdown", text=OVERVIEW)
        return ReadResourceResult(contents=[guide])
    address = uris.parsed(uri)
    async with call.session(address.session) as held:
        mime = _TEXT if address.kind == uris.OUTPUT else (await _artifact(held, address)).mime
        return ReadResourceResult(contents=[artifacts.resource(uri, mime, await data_of(call, held, uri))])


async def data_of(call: Call, held: Held, uri: str) -> bytes:
    """The bytes that an address names, in the session that it names. Raises ToolError."""
    address = uris.parsed(uri)
    if address.kind == uris.ARTIFACTS:
        return await artifacts.data_of(await _artifact(held, address))
    data = call.server.outputs.get(call.client.scope, uri)
    if data is None:
        raise ToolError(
            f"the output {uri!r} is not kept any more, only the latest ones are, until the server ends: run it again "
            "and print less, or write to a file"
        )
    return data


async def _artifact(held: Held, address: uris.Address) -> Artifact:
    if held.has_apps and address.id.endswith(".log"):
        await held.box.web.list()  # which brings the logs of web apps up to date
    return artifacts.find(await artifacts_of(held), address.id)


async def artifacts_of(held: Held) -> list[Artifact]:
    """A session's artifacts, oldest first. In a thread: the store may be busy."""
    return await asyncio.to_thread(held.box.list_artifacts)
