"""`sandbox.web`: web apps that run inside and are reached on the host's loopback."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sandbox.errors import SandboxError, SandboxWebAppError, UsageError
from sandbox.options import checked_env, checked_timeout
from sandbox.protocol import messages as m
from sandbox.results import Artifact, WebAppData
from sandbox.sdk import checks
from sandbox.sdk.connection import Connection

START_SECONDS = 60.0
ArtifactOf = Callable[[m.ArtifactInfo], Artifact]


class Web:
    """Starts and lists web apps.

    An app runs in the sandbox, with its restrictions and limits and without a network. The engine listens on
    127.0.0.1 of this machine and carries what connects there to the app. It ends with the session's worker.
    """

    def __init__(self, connection: Connection, artifact_of: ArtifactOf) -> None:
        self._connection, self._artifact_of = connection, artifact_of

    async def start(  # noqa: PLR0913
        self,
        code: str | None = None,
        app_type: str = "flask",
        port: int = 5000,
        *,
        path: str | os.PathLike[str] | None = None,
        command: str | Sequence[str] | None = None,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = START_SECONDS,
        restore: bool = False,
        screenshot: bool = False,
        hosts: Sequence[str] = (),
    ) -> WebApp:
        """Start a web app; return when it answers.

        Args:
            code: Its source, which is written to `apps/NAME.py` in the workspace. It may start its server or not.
            app_type: flask, fastapi, streamlit, dash, gradio; or http for any program that serves HTTP.
            port: Wanted on this machine's loopback, from 1024; the next free one if it is taken, any for 0. With
                `http` it is also the port on which the program listens inside, and is in its $PORT.
            path: Instead of code, a file of the workspace, or a directory that has an app.py, main.py or the like.
            command: Instead of code, for `http`: a program with its arguments, or a line of shell.
            name: What it is called; made from its type if left out.
            env: Environment variables besides the sandbox's.
            timeout: Seconds in which it has to answer.
            restore: Start it again whenever the session goes on with another worker: after a crash or a rollback.
            screenshot: Take a picture of its page, if this machine has Chromium. See `WebApp.take_screenshot`.
            hosts: Names by which browsers reach it besides 127.0.0.1 and localhost, as behind a proxy of yours. Any
                other is refused, since it may be a foreign page's.

        Raises SandboxWebAppError, with the app's `log`, if it ends, does not answer, or its framework is missing.
        """
        request = m.StartWebApp(
            self._connection.session,
            checks.text("app_type", app_type),
            checks.whole("port", port),
            None if name is None else checks.text("name", name),
            None if code is None else checks.text("code", code),
            None if path is None else checks.inside("path", path),
            _argv(command),
            checked_env(env or {}),
            _seconds(timeout),
            bool(restore),
            bool(screenshot),
            _names(hosts),
        )
        return self._handle(await _one(self._connection, request))

    async def list(self) -> list[WebApp]:
        """Return the session's apps, oldest first, those that have ended too."""
        answer = await self._connection.ask(m.ListWebApps(self._connection.session), m.WebAppsListed)
        return [self._handle(info) for info in answer.apps]

    async def get(self, name: str) -> WebApp:
        """Return an app by its name. Raises UsageError, with the names there are."""
        request = m.ListWebApps(self._connection.session, checks.text("name", name))
        return self._handle(await _one(self._connection, request))

    def _handle(self, info: m.WebAppInfo) -> WebApp:
        return WebApp(self._connection, info, self._artifact_of)


class WebApp(WebAppData):
    """A handle on a web app. What its attributes say is as of the last call about it; `refresh` asks again."""

    def __init__(self, connection: Connection, info: m.WebAppInfo, artifact_of: ArtifactOf) -> None:
        self._connection, self._artifact_of = connection, artifact_of
        super().__init__(**vars(WebAppData.of(info, artifact_of)))

    async def refresh(self) -> WebApp:
        """Ask what has become of it. Returns itself. Raises UsageError once it was stopped."""
        return self._learn(await _one(self._connection, m.ListWebApps(self._connection.session, self.name)))

    async def logs(self) -> str:
        """Return all that is kept of what it has printed since it was last started. Raises UsageError once stopped."""
        request = m.ListWebApps(self._connection.session, self.name, log=True)
        info = await _one(self._connection, request)
        self._learn(info)
        return info.log

    async def restart(
        self,
        code: str | None = None,
        *,
        app_type: str | None = None,
        path: str | os.PathLike[str] | None = None,
        command: str | Sequence[str] | None = None,
        timeout: float = START_SECONDS,
        screenshot: bool = False,
    ) -> WebApp:
        """End it and start it again at the same url: as it was, or as what is given. Returns itself.

        `code`, `path` and `command` are as for `start`, at most one of them. Raises SandboxWebAppError; the app is
        then ended, keeps its port, and can be restarted with better code.
        """
        request = m.RestartWebApp(
            self._connection.session,
            self.name,
            None if code is None else checks.text("code", code),
            _seconds(timeout),
            bool(screenshot),
            None if app_type is None else checks.text("app_type", app_type),
            None if path is None else checks.inside("path", path),
            _argv(command),
        )
        try:
            return self._learn(await _one(self._connection, request))
        except SandboxWebAppError:
            with suppress(SandboxError):
                await self.refresh()  # it is not what it was
            raise

    async def stop(self) -> WebApp:
        """End it, with its connections, and give its port back. Returns itself, with how it was.

        Raises UsageError if it was stopped before.
        """
        return self._learn(await _one(self._connection, m.StopWebApp(self._connection.session, self.name)))

    async def take_screenshot(self, path: str = "/", *, width: int = 1280, height: int = 800) -> Artifact:
        """Return a picture of a page of the app as a PNG.

        This machine must have Chromium or Chrome, which runs in its own sandbox and reaches nothing but this app.
        Raises SandboxWebAppError with the reason if there can be none.
        """
        request = m.ScreenshotWebApp(
            self._connection.session,
            self.name,
            checks.text("path", path),
            checks.whole("width", width, 1),
            checks.whole("height", height, 1),
        )
        answer = await self._connection.ask(request, m.ArtifactsListed)
        self.screenshot = self._artifact_of(answer.artifacts[0])
        return self.screenshot

    def _learn(self, info: m.WebAppInfo) -> WebApp:
        vars(self).update(vars(WebAppData.of(info, self._artifact_of)))
        return self


async def _one(connection: Connection, request: m.Request) -> m.WebAppInfo:
    answer = await connection.ask(request, m.WebAppsListed)
    return answer.apps[0]


def _argv(command: str | Sequence[str] | None) -> tuple[str, ...]:
    """A program with its arguments; a line of shell is one for /bin/sh, which goes on as what it starts."""
    if command is None:
        return ()
    if isinstance(command, str):
        return ("/bin/sh", "-c", checks.text("command", command))
    return checks.argv(command, ())


def _seconds(timeout: object) -> float:
    seconds = checked_timeout(timeout)
    if seconds is None:
        raise UsageError("timeout=None: an app has to answer in some time, such as 60 seconds")
    return seconds


def _names(hosts: Sequence[str]) -> tuple[str, ...]:
    if isinstance(hosts, str):
        raise UsageError(f"hosts is {hosts!r}: it must be a list, such as [{hosts!r}]")
    return tuple(checks.text("hosts", one) for one in hosts)
