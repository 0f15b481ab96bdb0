"""`sandbox.web` against real apps: that they start, answer, and say why they do not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.web.conftest import SERVER, BoxWith, get, request, until

import sandbox.sync
from sandbox import (
    LocalSandbox,
    SandboxClosedError,
    SandboxError,
    SandboxFileError,
    SandboxWebAppError,
    UsageError,
)
from sandbox.engine.thread import EngineThread
from sandbox.protocol import messages as m

Make = Callable[..., LocalSandbox]
pytestmark = pytest.mark.needs_namespaces

_FLASK = """
from flask import Flask, Response, request
app = Flask(__name__)

@app.get("/")
def page():
    return "<h1>hello</h1>"

@app.post("/sum")
def total():
    return str(sum(request.json))

@app.get("/parts")
def parts():
    return Response((f"part {n};" for n in range(1000)), mimetype="text/plain")

"""
# Each way to end such a file that people use.
_ENDINGS = {
    "nothing": "",
    "guarded": "if __name__ == '__main__':\n    app.run(host='0.0.0.0', port=80, debug=True)\n",
    "unguarded": "app.run()\n",
}


@pytest.mark.parametrize("ending", _ENDINGS)
async def test_a_flask_app_answers_however_it_is_written_to_start(box_with: BoxWith, ending: str) -> None:
    box = await box_with("flask")
    app = await box.web.start(_FLASK + _ENDINGS[ending], port=0)
    assert (app.state, app.status, app.app_type, app.exit_code) == ("running", 200, "flask", None)
    assert await get(app) == (200, b"<h1>hello</h1>")
    answer = await request(app, "POST", "/sum", b"[1, 2, 39]", {"Content-Type": "application/json"})
    assert answer == (200, b"42")
    assert (await get(app, "/parts")).body.count(b";") == 1000
    assert "GET /parts" in await app.logs()
    assert (await get(app, "/nothing")).status == 404


async def test_what_is_known_of_an_app(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0, name="mine")
    assert app.url == f"http://127.0.0.1:{app.port}"
    assert (app.name, app.path, app.restore, app.screenshot, app.notes) == ("mine", "apps/mine.py", False, None, ())
    inside = await box.run(f"open('/proc/{app.pid}/cmdline').read()")
    assert "apps/mine.py" in (inside.text or "")
    assert app.log.startswith(f"listening on {app.inner_port}\n")
    assert app.log_artifact is not None
    assert app.log_artifact in box.list_artifacts()
    assert repr(app) == f"<WebApp 'mine' at {app.url}, running>"


async def test_the_artifact_of_a_log_keeps_up_with_it(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0)
    first = app.log_artifact
    await get(app, "/a-page")
    await app.refresh()
    assert first is not None
    assert app.log_artifact is not None
    assert (first.id, first.path) == (app.log_artifact.id, app.log_artifact.path)
    assert "GET /a-page" in app.log_artifact.read().decode()
    assert [one.name for one in box.list_artifacts()] == ["http-1.log"]


async def test_a_log_whose_artifact_was_removed_becomes_another(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0)
    assert app.log_artifact is not None
    answer = m.RemoveArtifacts(box.session_id, (app.log_artifact.id,))
    await box._connection.ask(answer, m.ArtifactsListed)
    assert box.list_artifacts() == []
    await app.refresh()
    assert [one.read() for one in box.list_artifacts()] == [(await app.logs()).encode()]


async def test_an_app_can_be_a_command_that_is_told_its_port(box: LocalSandbox) -> None:
    await box.files.write("site/index.html", "<p>static</p>")
    line = await box.web.start(command="exec python -m http.server $PORT -d site", app_type="http", port=0)
    argv = await box.web.start(
        command=["python", "-m", "http.server", "4999", "-d", "site"], app_type="http", port=4999
    )
    assert (await get(line)).body == (await get(argv)).body == b"<p>static</p>"
    assert argv.inner_port == 4999


async def test_an_app_can_be_a_directory_of_the_workspace(box: LocalSandbox) -> None:
    await box.files.write("shop/app.py", f"import texts\n{SERVER}".replace('b"hello from "', "texts.GREETING"))
    await box.files.write("shop/texts.py", "GREETING = b'welcome to '")
    app = await box.web.start(path="shop", app_type="http", port=0)
    assert (app.path, (await get(app)).body) == ("shop/app.py", b"welcome to /")
    by_file = await box.web.start(path=Path("/workspace/shop/app.py"), app_type="http", port=0)
    assert by_file.path == "shop/app.py"
    with pytest.raises(UsageError, match=r"'\.' has none of the files app\.py, main\.py"):
        await box.web.start(path=".", app_type="http", port=0)


async def test_code_in_a_string_finds_the_files_of_the_workspace(box: LocalSandbox) -> None:
    await box.files.write("greeting.txt", "from the workspace")
    code = SERVER.replace('b"hello from "', "open('greeting.txt', 'rb').read()")
    app = await box.web.start(code, "http", 0, env={"EXTRA": "1"})
    assert (await get(app)).body == b"from the workspace/"
    assert await box.files.exists("apps/http-1.py")


async def test_two_apps_that_want_one_port_get_two(box_with: BoxWith) -> None:
    box = await box_with("flask")
    code = "from flask import Flask\napp = Flask('x')\napp.get('/')(lambda: 'I am %d')"
    first = await box.web.start(code % 1, port=0, name="one")
    second = await box.web.start(code % 2, port=first.port, name="two")
    assert first.port < second.port
    assert ((await get(first)).body, (await get(second)).body) == (b"I am 1", b"I am 2")
    assert [app.name for app in await box.web.list()] == ["one", "two"]


async def test_a_program_that_chooses_its_port_itself_does_not_get_one_that_is_taken_inside(box: LocalSandbox) -> None:
    """Else whoever listens there would pass for the app."""
    first = await box.web.start(SERVER, "http", 0)
    with pytest.raises(UsageError, match=f"listens on port {first.inner_port} already"):
        await box.web.start(SERVER, "http", first.inner_port)


async def test_a_port_that_is_taken_on_the_host_gives_the_next_free_one(box: LocalSandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        app = await box.web.start(SERVER, "http", taken)
        assert app.port > taken
        assert app.inner_port == taken
        assert (await get(app)).status == 200


async def test_an_app_that_ends_says_with_what_and_shows_its_log(box: LocalSandbox) -> None:
    with pytest.raises(SandboxWebAppError, match="ended before it answered, with exit code 3") as caught:
        await box.web.start("print('no luck'); raise SystemExit(3)", "http", 0)
    assert (caught.value.reason, caught.value.exit_code, caught.value.log) == ("ended", 3, "no luck\n")
    assert "no luck" in str(caught.value)
    assert await box.web.list() == []


async def test_an_app_that_does_not_listen_is_ended_when_its_time_is_up(box: LocalSandbox) -> None:
    with pytest.raises(
        SandboxWebAppError, match=r"did not answer within 0.5 s: it has to listen on .*\$PORT"
    ) as caught:
        await box.web.start(command=["sleep", "4242.5"], app_type="http", port=0, timeout=0.5)
    assert (caught.value.reason, caught.value.exit_code) == ("silent", None)
    assert "4242.5" not in (await box.command.shell("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")).stdout


async def test_an_app_that_listens_late_is_waited_for(box: LocalSandbox) -> None:
    late = "import os, time\nwhile not os.path.exists('now'): time.sleep(0.01)\n" + SERVER
    starting = asyncio.create_task(box.web.start(late, "http", 0))

    async def begun() -> bool:
        return any(app.state == "starting" and app.inner_port for app in await box.web.list())

    await until(begun)
    assert not starting.done()
    await box.files.write("now", "")
    assert (await starting).state == "running"


async def test_what_is_no_http_is_not_taken_for_an_answer(box: LocalSandbox) -> None:
    """It goes on for ever without an end of line: the engine reads a little of it."""
    code = """
import os, socket
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    client, _ = server.accept()
    try:
        while True: client.send(b"x" * 65536)
    except OSError:
        pass
"""
    with pytest.raises(SandboxWebAppError) as caught:
        await box.web.start(code, "http", 0, timeout=1)
    assert caught.value.reason == "silent"


async def test_a_start_that_is_cancelled_leaves_nothing(box: LocalSandbox) -> None:
    starting = asyncio.create_task(box.web.start(command=["sleep", "4243.5"], app_type="http", port=0))

    async def begun() -> bool:
        return any(app.inner_port for app in await box.web.list())

    await until(begun)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    async def gone() -> bool:
        return not await box.web.list()

    await until(gone)
    assert "4243.5" not in (await box.command.shell("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")).stdout


async def test_an_app_answers_while_the_session_runs_code(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0)
    running = asyncio.create_task(box.run("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)"))
    assert (await get(app)).status == 200
    await box.files.write("go", "")
    await running


async def test_new_code_is_served_at_the_same_url(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0)
    url, pid = app.url, app.pid
    assert await app.restart(SERVER.replace("hello from", "changed")) is app
    assert (app.url, (await get(url)).body) == (url, b"changed /")
    assert app.pid != pid
    with pytest.raises(SandboxWebAppError):
        await app.restart("1 / 0")
    assert (await app.refresh()).state == "ended"
    assert "ZeroDivisionError" in app.log
    await app.restart(SERVER)
    assert (await get(url)).status == 200


async def test_an_app_whose_restart_fails_has_ended_and_keeps_its_port(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0)
    with pytest.raises(SandboxWebAppError, match="no_such_module"):
        await app.restart("import no_such_module")
    assert (app.state, app.exit_code) == ("ended", 1)
    port = app.port
    await app.restart(SERVER)
    assert (app.state, app.port, (await get(app)).status) == ("running", port, 200)


async def test_an_app_is_restarted_as_another_one(box: LocalSandbox) -> None:
    await box.files.write("index.html", "a file")
    await box.files.write("other/server.py", SERVER.replace("hello from", "other"))
    app = await box.web.start(SERVER, "http", 0)
    serve = ["python3", "-m", "http.server", str(app.inner_port)]
    await app.restart(command=serve)
    assert (app.path, (await get(app)).body) == (None, b"a file")
    await app.restart(path="other")
    assert (app.path, (await get(app)).body) == ("other/server.py", b"other /")
    for wrong, message in (
        ({"app_type": "django"}, "app_type='django' is not one of"),
        ({"app_type": "flask", "command": "true"}, "command= is for app_type='http', and app_type is 'flask'"),
        ({"code": SERVER, "path": "other"}, "by one of three"),
        ({"path": "nowhere.py"}, "nowhere.py"),
    ):
        with pytest.raises((UsageError, SandboxFileError), match=message):
            await app.restart(**wrong)  # type: ignore[arg-type]
    assert (await get(app)).body == b"other /"


async def test_a_stopped_app_is_forgotten_and_its_port_free(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0)
    await app.stop()
    assert (app.state, app.why, app.pid) == ("ended", "it was stopped", 0)
    with socket.create_server(("127.0.0.1", app.port)):
        pass
    for gone in (app.stop(), app.logs(), app.refresh(), app.restart()):
        with pytest.raises(UsageError, match="there is no web app 'http-1'; there are: none"):
            await gone
    again = await box.web.start(SERVER, "http", app.inner_port)
    assert (await get(again)).status == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"code": "1", "app_type": "django"}, "app_type='django' is not one of 'flask', 'fastapi', 'streamlit'"),
        ({"code": "1", "port": 80}, "port=80 is not from 1024 to 65535, nor 0 for any"),
        ({"code": "1", "port": 70000}, "port=70000 is not from"),
        ({}, "by one of three: code, path= in the workspace, or command="),
        ({"code": "1", "path": "a.py"}, "by one of three"),
        ({"command": "true"}, "command= is for app_type='http', and app_type is 'flask'"),
        ({"code": "1", "name": "../x"}, r"name='\.\./x' is not a name"),
        ({"code": "1", "timeout": None}, "timeout=None"),
        ({"code": "1", "hosts": "a.example"}, "must be a list"),
        ({"code": 1}, "code is 1, not a text"),
        ({"command": ["a\0b"], "app_type": "http"}, "which is not a text without NUL"),
    ],
)
async def test_what_cannot_be_is_refused(box: LocalSandbox, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        await box.web.start(**arguments)  # type: ignore[arg-type]
    assert await box.web.list() == []


async def test_a_name_is_given_once_and_there_are_at_most_eight(box: LocalSandbox) -> None:
    tiny = "import os\nfrom http.server import *\nHTTPServer(('', int(os.environ['PORT'])), SimpleHTTPRequestHandler)"
    code = f"{tiny}.serve_forever()"
    await asyncio.gather(*(box.web.start(code, "http", 0) for _ in range(8)))
    with pytest.raises(UsageError, match="the session has 8 web apps"):
        await box.web.start(code, "http", 0)
    await (await box.web.get("http-3")).stop()
    with pytest.raises(UsageError, match="there is an app 'http-1'"):
        await box.web.start(code, "http", 0, name="http-1")
    assert (await box.web.start(code, "http", 0)).name == "http-3"


async def test_a_missing_framework_is_named_with_what_installs_it(box: LocalSandbox) -> None:
    await box.files.write("apps/flask.py", "raise ModuleNotFoundError('hidden', name='flask')")
    with pytest.raises(SandboxWebAppError, match=r"pip install 'enhanced-sandbox\[web\]'") as caught:
        await box.web.start("app = 1", "flask", 0)
    assert caught.value.reason == "missing"


async def test_limits_hold_for_apps_and_metrics_count_them(make: Make) -> None:
    box = make(memory=256)
    await box.start()
    before = await box.metrics.get("processes")
    app = await box.web.start(SERVER, "http", 0)
    assert await box.metrics.get("processes") > before
    with pytest.raises(SandboxError) as caught:
        await app.restart("x = bytearray(600_000_000)\n" + SERVER)
    assert "MemoryError" in str(caught.value) or "memory" in str(caught.value)


async def test_an_app_ends_with_its_sandbox(make: Make) -> None:
    box = make()
    await box.start()
    app = await box.web.start(SERVER, "http", 0)
    await box.stop()
    with pytest.raises(ConnectionRefusedError):
        await get(app)
    with pytest.raises(SandboxClosedError):
        await app.refresh()
    await box.start()
    assert await box.web.list() == []
    await box.delete()


def test_the_same_without_async(engine: EngineThread) -> None:
    with sandbox.sync.LocalSandbox() as box:
        app = box.web.start(SERVER, "http", 0)
        assert asyncio.run(get(app.url)).status == 200
        assert [one.url for one in box.web.list()] == [app.url]
        app.restart()
        app.stop()
        box.delete()
