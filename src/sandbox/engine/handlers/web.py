"""Web apps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from sandbox.beneath import relative
from sandbox.engine import files
from sandbox.engine.handlers.files import write_file
from sandbox.engine.web.app import WebApp
from sandbox.engine.web.chromium import NoChromium
from sandbox.engine.web.kinds import HTTP, KINDS, Spec, place
from sandbox.errors import SandboxError, SandboxWebAppError, UsageError
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.handlers import Emit, Handlers
    from sandbox.engine.launcher import Cell
    from sandbox.engine.session import Session
    from sandbox.engine.sessions import Sessions

MOST_APPS = 8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_LEAST_PORT, _MOST_PORT = 1024, 65535
_MOST_PIXELS = 4096


async def start_web_app(sessions: Sessions, request: m.StartWebApp, emit: Emit) -> m.WebAppsListed:
    session = sessions.active(request.session)
    _check(request)
    name = _new_name(session, request)
    app = session.apps[name] = WebApp(Spec(name, request.app_type, request.port), sessions, session)
    try:
        async with app.turn:
            cell = await _cell(sessions, session)
            app.spec = await _spec(sessions, request, name, emit)
            await app.begin(cell, request.timeout)
    except BaseException:
        if session.apps.get(name) is app:
            del session.apps[name]
        await app.close()
        raise
    if request.screenshot:
        await _try_picture(app)
    return m.WebAppsListed((app.info(),))


async def _cell(sessions: Sessions, session: Session) -> Cell:
    if session.cell is not None and session.cell.worker.alive:
        return session.cell  # without waiting for the code that it may be running
    async with session.turn:
        return await sessions.cell(session)


def _check(request: m.StartWebApp) -> None:
    _check_kind(request.app_type, request.command)
    if request.port != 0 and not _LEAST_PORT <= request.port <= _MOST_PORT:
        raise UsageError(f"port={request.port} is not from {_LEAST_PORT} to {_MOST_PORT}, nor 0 for any")
    if _given(request) != 1:
        raise UsageError("a web app is given by one of three: code, path= in the workspace, or command=")


def _check_kind(kind: str, command: tuple[str, ...]) -> None:
    if kind not in KINDS:
        raise UsageError(f"app_type={kind!r} is not one of {', '.join(map(repr, KINDS))}")
    if command and kind != HTTP:
        raise UsageError(f"command= is for app_type='http', and app_type is {kind!r}")


def _given(request: m.StartWebApp | m.RestartWebApp) -> int:
    return sum(one is not None for one in (request.code, request.path, request.command or None))


def _new_name(session: Session, request: m.StartWebApp) -> str:
    name = _free_name(session, request.app_type) if request.name is None else request.name
    if not _NAME.match(name):
        raise UsageError(f"name={name!r} is not a name: letters, digits, - and _, at most 64")
    if name in session.apps:
        raise UsageError(f"there is an app {name!r}: restart it, stop it, or name this one otherwise")
    if len(session.apps) >= MOST_APPS:
        raise UsageError(f"the session has {MOST_APPS} web apps, the most there can be: stop one")
    return name


def _free_name(session: Session, app_type: str) -> str:
    names = (f"{app_type}-{number}" for number in range(1, MOST_APPS + 2))
    return next(name for name in names if name not in session.apps)


async def _spec(sessions: Sessions, request: m.StartWebApp, name: str, emit: Emit) -> Spec:
    directory, path = await _source(sessions, request, name, emit)
    return Spec(
        name=name, kind=request.app_type, port=request.port, path=path, command=request.command, directory=directory,
        env=request.env, restore=request.restore, hosts=request.hosts, anywhere=request.anywhere,
    )  # fmt: skip


async def _source(
    sessions: Sessions, request: m.StartWebApp | m.RestartWebApp, name: str, emit: Emit
) -> tuple[str, str | None]:
    """The directory that an app runs in, and its file, which is written if it is given as code."""
    if request.code is not None:
        return ".", await _write_code(sessions, request.session, name, request.code, emit)
    if request.path is not None:
        return _place(sessions, request.session, request.path)
    return ".", None


async def _write_code(sessions: Sessions, session: str, name: str, code: str, emit: Emit) -> str:
    path = f"apps/{name}.py"
    await write_file(sessions, m.WriteFile(session, path, code.encode()), emit)
    return path


def _place(sessions: Sessions, session: str, wanted: str) -> tuple[str, str]:
    workspace = sessions.workspace(session)
    path = relative(wanted, str(workspace.path))
    is_directory = files.describe(workspace, m.StatFile(session, path)).kind == "directory"
    there = files.listing(workspace, m.ListFiles(session, path)) if is_directory else ()
    return place(path, is_directory, {entry.path.rpartition("/")[2] for entry in there})


def _app(session: Session, name: str) -> WebApp:
    app: WebApp | None = session.apps.get(name)
    if app is None:
        there = ", ".join(map(repr, session.apps)) or "none"
        raise UsageError(f"there is no web app {name!r}; there are: {there}")
    return app


async def restart_web_app(sessions: Sessions, request: m.RestartWebApp, emit: Emit) -> m.WebAppsListed:
    session = sessions.active(request.session)
    app = _app(session, request.name)
    if _given(request) > 1:
        raise UsageError("a web app is given by one of three: code, path= in the workspace, or command=")
    async with app.turn:
        _app(session, request.name)  # it may have been stopped meanwhile
        cell = await _cell(sessions, session)
        await app.restart(cell, await _new_spec(sessions, request, app.spec, emit), request.timeout)
    if request.screenshot:
        await _try_picture(app)
    return m.WebAppsListed((app.info(),))


async def _new_spec(sessions: Sessions, request: m.RestartWebApp, spec: Spec, emit: Emit) -> Spec:
    kind = request.app_type or spec.kind
    if not _given(request):
        _check_kind(kind, spec.command)
        return msgspec.structs.replace(spec, kind=kind)
    _check_kind(kind, request.command)
    directory, path = await _source(sessions, request, spec.name, emit)
    return msgspec.structs.replace(spec, kind=kind, path=path, directory=directory, command=request.command)


async def stop_web_app(sessions: Sessions, request: m.StopWebApp, emit: Emit) -> m.WebAppsListed:
    session = sessions.active(request.session)
    app = _app(session, request.name)
    del session.apps[request.name]
    await app.close(grace=2.0)
    return m.WebAppsListed((app.info(),))


async def list_web_apps(sessions: Sessions, request: m.ListWebApps, emit: Emit) -> m.WebAppsListed:
    session = sessions.active(request.session)
    apps = list(session.apps.values()) if request.name is None else [_app(session, request.name)]
    return m.WebAppsListed(tuple(app.info(whole_log=request.log) for app in apps))


async def screenshot_web_app(sessions: Sessions, request: m.ScreenshotWebApp, emit: Emit) -> m.ArtifactsListed:
    app = _app(sessions.active(request.session), request.name)
    if not request.path.startswith("/") or any(char <= " " for char in request.path):
        raise UsageError(f"path={request.path!r} is not a path of a page, such as '/'")
    if not (request.width <= _MOST_PIXELS and request.height <= _MOST_PIXELS):
        raise UsageError(f"a picture has at most {_MOST_PIXELS} pixels in a row")
    try:
        return m.ArtifactsListed((await app.picture(request.path, (request.width, request.height)),))
    except NoChromium as error:
        raise SandboxWebAppError(f"there is no picture of {request.name!r}: {error}", {"reason": "picture"}) from error


async def _try_picture(app: WebApp) -> None:
    """A picture that there can be none of is worth a note."""
    try:
        await app.picture("/", (1280, 800))
    except (NoChromium, SandboxError) as error:  # such as an app that has ended meanwhile
        app.note(f"there is no picture: {error}")


HANDLERS: Handlers = {
    m.StartWebApp: start_web_app,
    m.RestartWebApp: restart_web_app,
    m.StopWebApp: stop_web_app,
    m.ListWebApps: list_web_apps,
    m.ScreenshotWebApp: screenshot_web_app,
}
