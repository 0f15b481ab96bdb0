"""Web apps in a sandbox."""

from __future__ import annotations

from msgspec import Struct, field

from sandbox.protocol.artifacts import ArtifactInfo
from sandbox.protocol.base import LastEvent, Request


class WebAppInfo(Struct, frozen=True):
    """A web app. `state` is starting, running, restarting or ended; `why` says how it came to its end.

    `port` is on the engine's machine, `inner_port` inside. `status` is what its page answered with at the start.
    `id` is another one for each app that is started, also of the same name, and stays when it is restarted.
    """

    id: str
    name: str
    app_type: str
    url: str
    port: int
    inner_port: int
    pid: int
    state: str
    status: int = 0
    exit_code: int | None = None
    why: str = ""
    path: str | None = None
    restore: bool = False
    started_at: float = 0.0
    connections: int = 0
    log: str = ""
    log_artifact: ArtifactInfo | None = None
    screenshot: ArtifactInfo | None = None
    notes: tuple[str, ...] = ()


class StartWebApp(Request, frozen=True, tag="start_web_app"):
    """Start a web app from `code`, from a file or directory of the workspace, or as a command.

    Answered by `WebAppsListed` with that one, once it answers. `anywhere`: `port` is for inside alone, and the one on
    the engine's machine is any that is free.
    """

    session: str
    app_type: str
    port: int
    name: str | None = None
    code: str | None = None
    path: str | None = None
    command: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    timeout: float = 60.0
    restore: bool = False
    screenshot: bool = False
    hosts: tuple[str, ...] = ()
    anywhere: bool = False


class RestartWebApp(Request, frozen=True, tag="restart_web_app"):
    """End an app and start it again at its port: as it was, or from new code, another file, or as a command."""

    session: str
    name: str
    code: str | None = None
    timeout: float = 60.0
    screenshot: bool = False
    app_type: str | None = None
    path: str | None = None
    command: tuple[str, ...] = ()


class StopWebApp(Request, frozen=True, tag="stop_web_app"):
    """End an app, give its port back and forget it. Answered by `WebAppsListed` with how it was."""

    session: str
    name: str


class ListWebApps(Request, frozen=True, tag="list_web_apps"):
    """List the session's apps, oldest first, or one by its name; `log`: with all that is kept of what they printed."""

    session: str
    name: str | None = None
    log: bool = False


class ScreenshotWebApp(Request, frozen=True, tag="screenshot_web_app"):
    """Take a picture of an app's page. Answered by `ArtifactsListed` with that one."""

    session: str
    name: str
    path: str = "/"
    width: int = 1280
    height: int = 800


class WebAppsListed(LastEvent, frozen=True, tag="web_apps_listed"):
    """Web apps."""

    apps: tuple[WebAppInfo, ...]
