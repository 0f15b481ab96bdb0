"""Web apps as tools answer them: those of `start_web_app` and `stop_web_app`, and all of a session's."""

from __future__ import annotations

from typing import Annotated

from mcp_types import ContentBlock
from msgspec import Meta, Struct

from sandbox.mcp import artifacts, uris
from sandbox.mcp.sessions import Held
from sandbox.mcp.text import cut
from sandbox.results import WebAppData

_MOST_LOG = 4000
_BAD_STATUS = 400


class AppTold(Struct, omit_defaults=True):
    """A web app."""

    name: Annotated[str, Meta(description="Pass it to start_web_app to replace the app, and to stop_web_app.")]
    app_type: str
    url: Annotated[str, Meta(description="Where the user's browser reaches it.")]
    port: int
    state: Annotated[str, Meta(description="starting, running, restarting or ended.")]
    pid: Annotated[int, Meta(description="Its process inside; absent if it has ended.")] = 0
    status: Annotated[int, Meta(description="The HTTP status of its first answer; a 500 is one too.")] = 0
    why: Annotated[str, Meta(description="How it has ended.")] = ""
    exit_code: int | None = None
    path: Annotated[str, Meta(description="Its file in the workspace.")] = ""
    log: Annotated[str, Meta(description="The end of what it has printed.")] = ""
    log_uri: Annotated[str, Meta(description="Where read_file reads all that it has printed until then.")] = ""
    screenshot_uri: Annotated[str, Meta(description="A picture of its page.")] = ""
    notes: Annotated[list[str], Meta(description="What could not be done, and why.")] = []


def told(held: Held, app: WebAppData) -> AppTold:
    """An app as data."""
    return AppTold(
        name=app.name, app_type=app.app_type, url=app.url, port=app.port, state=app.state, pid=app.pid,
        status=app.status, why=app.why, exit_code=app.exit_code, path=app.path or "",
        log=cut(app.log, _MOST_LOG),
        log_uri="" if app.log_artifact is None else uris.artifact(held.name, app.log_artifact.id),
        screenshot_uri="" if app.screenshot is None else uris.artifact(held.name, app.screenshot.id),
        notes=list(app.notes),
    )  # fmt: skip


def line(app: AppTold) -> str:
    """An app in a line of text."""
    where = f"runs at {app.url}" if app.state == "running" else f"is {app.state}{app.why and f' ({app.why})'}"
    return f"the {app.app_type} app {app.name!r} {where}"


def text(app: AppTold, notes: list[str]) -> str:
    """An app that was started, as text: what it has printed if its page fails, and the rest in square brackets."""
    printed = [app.log.rstrip("\n")] if app.status >= _BAD_STATUS and app.log.strip() else []
    return "\n".join([*printed, *(f"[{note}]" for note in [*_notes(app), *notes])])


def _notes(app: AppTold) -> list[str]:
    status = f", which answers with {app.status}" if app.status else ""
    found = [f"{line(app)}{status}, process {app.pid}"]
    found += [f"its code: {app.path}"] if app.path else []
    found += [f"its log: {app.log_uri}"] if app.log_uri else []
    return [*found, *app.notes]


async def content(held: Held, app: WebAppData) -> tuple[ContentBlock, ...]:
    """The picture of its page, if there is one, and a link to its log."""
    pictures = await artifacts.content(held.name, [app.screenshot]) if app.screenshot is not None else ()
    if app.log_artifact is None:
        return pictures
    return (*pictures, artifacts.link(artifacts.described(held.name, app.log_artifact)))
