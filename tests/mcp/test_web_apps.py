"""Web apps over MCP: started, looked at, replaced and stopped, and that a session keeps those that run."""

from __future__ import annotations

import asyncio
import http.client
import socket
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.mcp.conftest import Connected, Serve, program, text_of
from tests.mcp.golden import told
from tests.web.browser import Visit, browser, there, visit
from tests.web.conftest import get, until

from sandbox.engine.web import chromium
from sandbox.mcp.sessions import Held, Holding

__all__ = ["browser", "there", "visit"]  # fixtures

SCHEMAS = {tool["name"]: tool["outputSchema"] for tool in told()}
PLAIN = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""
COUNTER = """
from flask import Flask, request
app = Flask(__name__)
count = 0

@app.route("/", methods=["GET", "POST"])
def page():
    global count
    count += request.method == "POST"
    return f"<body style='background:#0000ff'><form method=post><button>{count}</button></form></body>"
"""
namespaces = pytest.mark.needs_namespaces


async def _started(box: Connected, **arguments: Any) -> dict[str, Any]:
    """Start an app without a framework or a picture; what is told of it."""
    given = {"app_type": "http", "port": 0, "screenshot": False, **arguments}
    if not {"code", "path", "command"} & set(given):
        given["code"] = PLAIN
    data = await box.data("start_web_app", **given)
    jsonschema.validate(data, SCHEMAS["start_web_app"])
    return data


def _held(box: Connected) -> Held:
    (held,) = box.server.has.sessions._held.values()
    return held


# --- a program, its client and a browser ----------------------------------------------------------------------------


@namespaces
@pytest.mark.timeout(180)
async def test_an_app_is_clicked_replaced_and_stopped_over_stdio(tmp_path: Path, browser: None, visit: Visit) -> None:
    pytest.importorskip("flask")
    async with program(tmp_path) as client:
        result = await client.call_tool("start_web_app", {"code": COUNTER, "port": 0})
        assert not result.is_error, text_of(result)
        (image,) = [one for one in result.content if one.type == "image"]
        assert image.mime_type == "image/png"
        app = result.structured_content["app"]
        page = await visit(app["url"], app["port"])
        for count in (0, 1, 2):
            await page.until(f"document.querySelector('button')?.innerText === '{count}'")
            await page.says("document.querySelector('button').click()")
        again = await client.call_tool(
            "start_web_app", {"code": COUNTER.replace("{count}", "new"), "screenshot": False}
        )
        assert again.structured_content["replaced"]
        assert again.structured_content["app"]["url"] == app["url"]
        assert again.structured_content["app"]["pid"] != app["pid"]
        assert b"new" in (await get(app["url"])).body
        stopped = await client.call_tool("stop_web_app", {})
        assert "GET / " in stopped.structured_content["app"]["log"]
        assert f"port {app['port']} is free, " in text_of(stopped).replace("]\n[", ", ")
        with pytest.raises(ConnectionRefusedError):
            await get(app["url"])


# --- starting -------------------------------------------------------------------------------------------------------


@namespaces
async def test_the_answer_has_the_address_the_code_and_a_log_that_can_be_read(connected: Connected) -> None:
    result = await connected.call("start_web_app", code=PLAIN, app_type="http", port=0, screenshot=False)
    assert not result.is_error, text_of(result)
    app = result.structured_content["app"]
    assert (app["name"], app["state"], app["status"], app["path"]) == ("app", "running", 200, "apps/app.py")
    assert f"the http app 'app' runs at {app['url']}, which answers with 200, process {app['pid']}" in text_of(result)
    (link,) = [one for one in result.content if one.type == "resource_link"]
    assert (link.uri, link.name) == (app["log_uri"], "app.log")
    assert (await get(app["url"], "/some/where")).body == b"hello"
    assert "/some/where" in (await connected.data("read_file", path=link.uri))["content"]
    await get(app["url"], "/else")
    (content,) = (await connected.client.read_resource(link.uri)).contents
    assert "/else" in content.text  # type: ignore[union-attr]


@namespaces
async def test_a_path_of_the_workspace_and_a_command_are_served_too(connected: Connected) -> None:
    await connected.data("write_file", path="site/text", content="x")
    await connected.data(
        "write_file", path="site/app.py", content=PLAIN.replace('b"hello"', "open('text','rb').read()")
    )
    from_path = await _started(connected, path="site")
    assert (await get(from_path["app"]["url"])).body == b"x"
    command = await _started(connected, command="cd site && exec python3 -m http.server $PORT", name="files")
    assert (await get(command["app"]["url"], "/text")).body == b"x"
    names = [app["name"] for app in (await connected.data("get_execution_info"))["web_apps"]]
    assert names == ["app", "files"]


@namespaces
async def test_a_taken_port_gives_the_next_one_and_says_so(connected: Connected) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = await connected.call("start_web_app", code=PLAIN, app_type="http", port=port, screenshot=False)
        app = result.structured_content["app"]
        assert port < app["port"] <= port + 100
        assert app["notes"] == [f"port {port} was not free, so it is at {app['port']}"]
        assert app["notes"][0] in text_of(result)


@namespaces
@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("if:", "SyntaxError"),
        ("import sys; sys.exit(3)", "ended before it answered, with exit code 3"),
    ],
)
async def test_code_that_does_not_serve_is_an_error_with_its_log(connected: Connected, code: str, says: str) -> None:
    said = await connected.refused("start_web_app", code=code, app_type="http", port=0)
    assert says in said
    assert said.endswith("Mend that and call start_web_app again")
    assert "web_apps" not in await connected.data("get_execution_info")


@namespaces
async def test_an_app_that_does_not_answer_in_time_says_where_it_has_to_listen(connected: Connected) -> None:
    said = await connected.refused("start_web_app", command="sleep 60", app_type="http", port=0, timeout=0.5)
    assert "did not answer within 0.5 s: it has to listen on 127.0.0.1 or 0.0.0.0, on port " in said


@namespaces
async def test_a_page_that_fails_is_shown_with_what_it_printed(connected: Connected) -> None:
    fails = PLAIN.replace("self.send_response(200)", "print('deep trouble'); self.send_response(500)")
    result = await connected.call("start_web_app", code=fails, app_type="http", port=0, screenshot=False)
    assert result.structured_content["app"]["status"] == 500
    assert text_of(result).startswith("deep trouble\n")


@namespaces
async def test_a_missing_framework_says_what_the_user_can_do(connected: Connected) -> None:
    hides = "raise ModuleNotFoundError('hidden', name='flask')"
    await connected.data("write_file", path="apps/flask.py", content=hides)
    said = await connected.refused("start_web_app", code="app = 1", port=0)
    assert "needs flask, which is not installed" in said
    assert "start that with `--with flask`" in said


@namespaces
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "is given by one of three: code, path= in the workspace, or command="),
        ({"code": "1", "path": "x.py"}, "is given by one of three"),
        ({"code": "1", "app_type": "django"}, "argument app_type: invalid enum value 'django'"),
        ({"code": "1", "port": 80}, "port=80 is not from 1024 to 65535"),
        ({"code": "1", "port": -1}, "argument port: expected a whole number >= 0"),
        ({"code": "1", "name": "../x"}, "name='../x' is not a name"),
        ({"command": "true"}, "command= is for app_type='http', and app_type is 'flask'"),
        ({"path": "nowhere.py"}, "nowhere.py"),
    ],
)
async def test_what_cannot_be_is_refused(connected: Connected, arguments: dict[str, Any], says: str) -> None:
    assert says in await connected.refused("start_web_app", **arguments)


async def test_without_namespaces_the_error_says_what_to_do(tmp_path: Path) -> None:
    async with program(tmp_path, "--isolation", "landlock") as client:
        result = await client.call_tool("start_web_app", {"code": PLAIN, "app_type": "http", "port": 0})
        info = await client.call_tool("get_execution_info", {})
    said = text_of(result)
    if "could not be put in force" in said:
        pytest.skip(f"level landlock is not to be had here: {said}")
    assert result.is_error
    assert "a web app needs a network of its own, and isolation='landlock' has none" in said
    assert "`sandbox doctor` says" in said
    assert any("start_web_app needs them" in hint for hint in info.structured_content["hints"])


@namespaces
async def test_without_chromium_there_is_a_note_instead_of_a_picture(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chromium, "_NAMES", ("no-such-chromium",))
    result = await connected.call("start_web_app", code=PLAIN, app_type="http", port=0)
    assert not result.is_error
    assert "[there is no picture: this machine has no Chromium: none of no-such-chromium is in PATH]" in text_of(result)


# --- replacing and stopping -----------------------------------------------------------------------------------------


@namespaces
async def test_an_app_can_be_replaced_by_one_of_another_kind(connected: Connected) -> None:
    first = (await _started(connected))["app"]
    await connected.data("write_file", path="index.html", content="from a file")
    second = await _started(connected, command="exec python3 -m http.server $PORT", port=4000)
    assert second["replaced"]
    assert (second["app"]["url"], "path" in second["app"]) == (first["url"], False)
    assert (await get(first["url"])).body == b"from a file"
    assert (await _started(connected))["app"]["url"] == first["url"]
    assert (await get(first["url"])).body == b"hello"


@namespaces
async def test_what_fails_to_replace_an_app_is_told_and_can_be_mended(connected: Connected) -> None:
    first = (await _started(connected))["app"]
    assert "ZeroDivisionError" in await connected.refused(
        "start_web_app", code="1 / 0", app_type="http", screenshot=False
    )
    (ended,) = (await connected.data("get_execution_info"))["web_apps"]
    assert (ended["state"], ended["exit_code"]) == ("ended", 1)
    assert "app 'app' is ended (" in text_of(await connected.call("get_execution_info"))
    assert (await _started(connected))["app"]["url"] == first["url"]


@namespaces
async def test_stopping_says_what_is_left_and_which_there_are(connected: Connected) -> None:
    assert "the session has none" in await connected.refused("stop_web_app")
    for name in ("one", "two", "three"):
        await _started(connected, name=name)
    assert "there are: one, two, three" in await connected.refused("stop_web_app")
    assert "There is no 'four'; there are: one, two, three" in await connected.refused("stop_web_app", name="four")
    data = await connected.data("stop_web_app", name="two")
    jsonschema.validate(data, SCHEMAS["stop_web_app"])
    assert (data["app"]["state"], [app["name"] for app in data["left"]]) == ("ended", ["one", "three"])
    assert [(await get(app["url"])).status for app in data["left"]] == [200, 200]


# --- what becomes of apps -------------------------------------------------------------------------------------------


@namespaces
async def test_an_app_comes_back_when_code_has_killed_the_process(connected: Connected) -> None:
    app = (await _started(connected))["app"]
    await connected.call("execute", code="import os; os._exit(1)")

    async def back() -> bool:
        (now,) = (await connected.data("get_execution_info"))["web_apps"]
        return bool(now["state"] == "running" and now["pid"] != app["pid"])

    await until(back)
    assert (await get(app["url"])).body == b"hello"


@namespaces
async def test_after_going_back_an_app_serves_the_files_of_then(connected: Connected) -> None:
    shows = PLAIN.replace('b"hello"', "open('text', 'rb').read()")
    await connected.data("write_file", path="text", content="")
    app = (await _started(connected, code=shows))["app"]
    await connected.data("execute", code="open('text', 'w').write('first')")
    await connected.data("execute", code="open('text', 'w').write('second')")
    assert (await get(app["url"])).body == b"second"
    await connected.data("restore_checkpoint", execution=1)

    async def back() -> bool:
        try:
            return (await get(app["url"])).body == b"first"
        except (OSError, http.client.HTTPException):
            return False

    await until(back)


@namespaces
async def test_a_session_with_an_app_is_not_stopped_until_the_app_is(serve: Serve) -> None:
    async with serve(holding=Holding(idle_seconds=0.2)) as box:
        app = (await _started(box))["app"]
        held = _held(box)
        looks: list[bool] = []
        serves = held.serves

        async def looked() -> bool:
            looks.append(await serves())
            return looks[-1]

        held.serves = looked  # type: ignore[method-assign]
        async with asyncio.timeout(50):
            while len(looks) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert all(looks)
        assert held.started
        assert (await get(app["url"])).body == b"hello"
        await box.data("stop_web_app")
        async with asyncio.timeout(50):
            while box.server.has.sessions._held:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not held.started


@namespaces
async def test_no_session_with_an_app_makes_room_for_another(serve: Serve) -> None:
    async with serve(holding=Holding(most=2)) as box:
        app = (await _started(box, session_id="serves"))["app"]
        await box.data("execute", code="1", session_id="works")
        await box.data("execute", code="1", session_id="new")
        assert {held.name for held in box.server.has.sessions._held.values()} == {"serves", "new"}
        await _started(box, session_id="new")
        said = await box.refused("execute", code="1", session_id="one-more")
        assert "2 sessions are at work or have a web app" in said
        assert (await get(app["url"])).status == 200
        await box.data("stop_web_app", session_id="serves")
        await box.data("execute", code="1", session_id="more")


@namespaces
async def test_a_session_that_goes_on_says_how_to_serve_its_apps_again(serve: Serve) -> None:
    async with serve() as box:
        await _started(box)
    async with serve() as box:
        result = await box.call("list_files", path="apps")
        assert not result.is_error
        said = text_of(await box.call("execute", code="1"))
        assert "Web apps have ended; start_web_app serves them again, with path=apps/app.py" in said
        assert (await get((await _started(box, path="apps/app.py"))["app"]["url"])).body == b"hello"


@namespaces
async def test_apps_end_with_the_server(serve: Serve) -> None:
    async with serve() as box:
        app = (await _started(box))["app"]
    with pytest.raises(ConnectionRefusedError):
        await get(app["url"])


@namespaces
async def test_an_app_starts_while_a_job_runs(connected: Connected) -> None:
    job = await connected.data("start_job", code="import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    app = (await _started(connected))["app"]
    assert (await get(app["url"])).status == 200
    await connected.data("write_file", path="go", content="")
    assert (await connected.data("job", job_id=job["job_id"]))["status"] == "done"


@namespaces
async def test_a_start_that_is_cancelled_leaves_nothing(connected: Connected) -> None:
    async with asyncio.timeout(50):
        call = asyncio.create_task(
            connected.client.call_tool("start_web_app", {"command": "sleep 4246.5", "app_type": "http", "port": 0})
        )
        while not connected.server.has.sessions._held or not _held(connected).started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        box = _held(connected).box

        async def begun() -> bool:
            return any(app.inner_port for app in await box.web.list())

        await until(begun)
        call.cancel()
        await asyncio.wait([call])

        async def gone() -> bool:
            return not await box.web.list()

        await until(gone)
