"""`start_web_app` and `stop_web_app`: programs inside that answer the user's browser."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from sandbox.errors import SandboxWebAppError, UsageError
from sandbox.mcp import apps, fields
from sandbox.mcp.apps import AppTold
from sandbox.mcp.call import Call
from sandbox.mcp.reply import Reply, ToolError
from sandbox.mcp.sessions import Held
from sandbox.mcp.text import listed
from sandbox.mcp.tool import Hints, Tool
from sandbox.sdk.web import WebApp

START = """\
Serve a web app from the session, and return the address (http://127.0.0.1:PORT) where the user's browser reaches \
it. Use it for an interactive page, a dashboard, a form or an API: flask, streamlit, fastapi, dash, gradio, or \
app_type=http for any program that serves HTTP. For a figure or a table execute is enough.

It returns when the app answers, with a picture of its page if the machine has Chromium; look at it. If the app \
does not come up, the error has its log. Call it again with the same name to replace the app at the same \
address; a second app beside it needs another name. The app has the session's files, limits and isolation (so \
normally no network), and not its variables. It runs until stop_web_app or the end of the server; after \
restore_checkpoint, or when code has killed the session's process, it begins again with the files of then.

Every program and user of the machine can connect to the address, so serve nothing there that they should not \
see, and do not count on who asks."""

STOP = """\
Stop a web app that start_web_app has started: its connections end, and its port is free. Use it when the user is \
done with an app or needs the port; to change an app call start_web_app with its name instead. It returns the end \
of the app's log and says which apps of the session are left; get_execution_info lists them too. The app's files \
stay, so start_web_app(path=...) can serve it again."""


class StartApp(Struct, forbid_unknown_fields=True):
    """The arguments."""

    code: Annotated[
        str, Meta(description="Python source of the whole app, which is written to apps/NAME.py in the workspace.")
    ] = ""
    app_type: Annotated[
        Literal["flask", "streamlit", "fastapi", "dash", "gradio", "http"],
        Meta(
            description=(
                "The framework; the app's object or its own server is found in the code, and the port is seen to. "
                "http is any program, which has to listen on 127.0.0.1 at the port in $PORT."
            ),
            extra_json_schema={"type": "string"},
        ),
    ] = "flask"
    port: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description=(
                "The port wanted on the user's machine, from 1024; the next free one is used if it is taken, any for "
                "0. An app that is replaced keeps the one it has."
            ),
        ),
    ] = 5000
    path: Annotated[
        str,
        Meta(
            description=(
                "Instead of code: a file of the workspace, or a directory with an app.py, main.py, streamlit_app.py or "
                "server.py. Write apps of several files with write_file."
            )
        ),
    ] = ""
    command: Annotated[
        str,
        Meta(description="Instead of code, with app_type=http: a line of shell, such as python3 -m http.server $PORT"),
    ] = ""
    name: Annotated[str, Meta(description="What the app is called in the session.")] = "app"
    screenshot: Annotated[bool, Meta(description="Take a picture of its page, which takes some seconds.")] = True
    timeout: Annotated[float, Meta(gt=0, le=300, description="Seconds in which it has to answer.")] = 30.0
    session_id: fields.SessionId = ""


class AppStarted(Struct, omit_defaults=True):
    """The app that was started."""

    session_id: fields.AnsweredSession
    app: AppTold
    replaced: Annotated[bool, Meta(description="Whether it has taken the place of an app of this name.")] = False


async def _start(call: Call, asked: StartApp) -> Reply:
    async with call.session(asked.session_id) as held, call.progress():
        there = [app.name for app in await held.box.web.list()]
        try:
            app = await (_replaced(held, asked) if asked.name in there else _begun(held, asked))
        except (SandboxWebAppError, UsageError) as error:
            raise ToolError(f"{error}{_remedy(call, held, asked, error)}") from error
        await held.save_files()
        started = AppStarted(held.name, apps.told(held, app), asked.name in there)
        notes = [f"session {held.name}", *([held.told()] if held.news else [])]
        return Reply(started, apps.text(started.app, notes), await apps.content(held, app))


async def _begun(held: Held, asked: StartApp) -> WebApp:
    held.has_apps = True
    return await held.box.web.start(
        app_type=asked.app_type, port=asked.port, name=asked.name, timeout=asked.timeout, restore=True,
        screenshot=asked.screenshot, **_source(asked),
    )  # fmt: skip


async def _replaced(held: Held, asked: StartApp) -> WebApp:
    app = await held.box.web.get(asked.name)
    return await app.restart(
        app_type=asked.app_type, timeout=asked.timeout, screenshot=asked.screenshot, **_source(asked)
    )


def _source(asked: StartApp) -> dict[str, Any]:
    """What is to be served. The engine says what is wrong with none or several."""
    return {"code": asked.code or None, "path": asked.path or None, "command": asked.command or None}


def _remedy(call: Call, held: Held, asked: StartApp, error: Exception) -> str:
    """What can be done here about a failure, besides what the failure says itself."""
    if isinstance(error, SandboxWebAppError):
        if error.reason == "missing":
            return (
                f"\nFor the user to do: install it where the server runs, or start that with `--with {asked.app_type}`."
                " Without: app_type=http, whose program can use Python's own http.server"
            )
        return f"\nNothing serves as {asked.name!r}. Mend that and call start_web_app again"
    if held.box.isolation == "landlock" and call.server.options.network != "host":
        return (
            ". For the user to do: `sandbox doctor` says what keeps this machine from the level namespaces. Without: "
            "write HTML below artifacts/, or show figures"
        )
    return ""


class StopApp(Struct, forbid_unknown_fields=True):
    """The arguments."""

    name: Annotated[str, Meta(description="Which app; the one there is if left out.")] = ""
    session_id: fields.SessionId = ""


class AppStopped(Struct, omit_defaults=True):
    """The app that was stopped, and what is left."""

    session_id: fields.AnsweredSession
    app: AppTold
    left: Annotated[list[AppTold], Meta(description="The session's other apps.")] = []


async def _stop(call: Call, asked: StopApp) -> Reply:
    async with call.session(asked.session_id) as held:
        found = {app.name: app for app in await held.box.web.list()}
        app = await _wanted(found, asked.name).stop()
        left = [apps.told(held, one) for one in found.values() if one.name != app.name]
        stopped = AppStopped(held.name, apps.told(held, app), left)
        others = "; ".join(apps.line(one) for one in left) or "no other app is left"
        notes = [f"stopped {app.name!r}, port {app.port} is free", others, f"session {held.name}"]
        return Reply(stopped, "\n".join([*_log(stopped.app), *(f"[{note}]" for note in notes)]))


def _wanted(found: dict[str, WebApp], name: str) -> WebApp:
    """Raises ToolError."""
    if name in found:
        return found[name]
    if not name and len(found) == 1:
        return next(iter(found.values()))
    there = f"there are: {listed(list(found))}" if found else "the session has none"
    raise ToolError(f"which web app? {f'There is no {name!r}; ' if name else ''}{there}")


def _log(app: AppTold) -> list[str]:
    return [app.log.rstrip("\n")] if app.log.strip() else []


TOOLS = (
    Tool(
        "start_web_app", "Serve a web app", START, StartApp, AppStarted, _start,
        Hints(destructive=True, open_world=True),
    ),
    Tool(
        "stop_web_app", "Stop a web app", STOP, StopApp, AppStopped, _stop, Hints(destructive=True, idempotent=True)
    ),
)  # fmt: skip
