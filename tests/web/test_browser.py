"""Apps in a real browser: pictures of them, clicks in them, and what the browser keeps a page from.

Skipped, with the reason, where there is no Chromium. `SANDBOX_TEST_WEB_ENVIRONMENT` may name a virtual environment with
the frameworks.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
from pathlib import Path

import pytest
from tests.web.browser import Visit, browser, visit
from tests.web.conftest import SERVER, BoxWith, get

from sandbox import LocalSandbox, SandboxWebAppError
from sandbox.engine.thread import EngineThread
from sandbox.engine.web import chromium
from sandbox.engine.web.chromium import Chromium

__all__ = ["browser", "visit"]  # fixtures

pytestmark = [pytest.mark.needs_namespaces, pytest.mark.timeout(180)]

_PAGE = """
from flask import Flask, request
app = Flask(__name__)
count = 0

@app.route("/", methods=["GET", "POST"])
def page():
    global count
    count += request.method == "POST"
    return f"<body style='background:#0000ff'><form method=post><button>{count}</button></form></body>"
"""
_STREAMLIT = """
import streamlit as st
if "count" not in st.session_state:
    st.session_state.count = 0
if st.button("more"):
    st.session_state.count += 1
st.title(f"clicked {st.session_state.count}")
"""
_BUTTON = "document.querySelector('button[data-testid=stBaseButton-secondary]')"


def pixel(png: bytes) -> tuple[int, int]:
    """The size that a PNG says it has."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.usefixtures("browser")
async def test_a_picture_of_a_page_is_an_artifact(box: LocalSandbox) -> None:
    pillow = pytest.importorskip("PIL.Image")
    blue = SERVER.replace('self.answer(b"hello from " + self.path.encode())', "self.blue()").replace(
        "    def get_go(self):",
        "    def blue(self):\n        self.answer(b'<body style=\"background:#0000ff\">')\n\n    def get_go(self):",
    )
    app = await box.web.start(blue, "http", 0, screenshot=True)
    assert app.notes == ()
    assert app.screenshot is not None
    assert (app.screenshot.mime, pixel(app.screenshot.read())) == ("image/png", (1280, 800))
    with pillow.open(app.screenshot.path) as image:
        assert image.convert("RGB").getpixel((700, 500)) == (0, 0, 255)
    small = await app.take_screenshot("/there", width=320, height=200)
    assert pixel(await small.aread()) == (320, 200)
    assert [one.name for one in box.list_artifacts()] == ["http-1.log", "http-1.png", "http-1-2.png"]
    assert "GET /there" in await app.logs()


@pytest.mark.usefixtures("browser")
async def test_a_page_that_asks_its_visitor_something_has_a_picture_too(box: LocalSandbox) -> None:
    asks = SERVER.replace(
        'b"hello from " + self.path.encode()', "b'<script>alert(1); confirm(2); prompt(3); fetch(\"/after\")</script>'"
    )
    app = await box.web.start(asks, "http", 0, screenshot=True)
    assert app.notes == ()
    assert "GET /after" in await app.logs()


async def test_without_chromium_an_app_starts_and_says_why_there_is_no_picture(
    box: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chromium, "_NAMES", ("no-such-chromium",))
    app = await box.web.start(SERVER, "http", 0, screenshot=True)
    assert app.screenshot is None
    assert app.notes == ("there is no picture: this machine has no Chromium: none of no-such-chromium is in PATH",)
    with pytest.raises(SandboxWebAppError, match="this machine has no Chromium") as caught:
        await app.take_screenshot()
    assert caught.value.reason == "picture"


@pytest.mark.usefixtures("browser")
async def test_what_the_host_lacks_for_a_picture_is_told_and_leaves_nothing_open(
    box: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await box.web.start(SERVER, "http", 0)
    made: list[tuple[int, int]] = []
    pipe = os.pipe2

    def lacking(flags: int) -> tuple[int, int]:
        if len(made) == 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        made.append(pipe(flags))
        return made[0]

    with monkeypatch.context() as patched:
        patched.setattr(os, "pipe2", lacking)
        with pytest.raises(SandboxWebAppError, match="Too many open files") as caught:
            await app.take_screenshot()
    assert caught.value.reason == "picture"
    # That the first pair was closed is for the check that every test has.


@pytest.mark.usefixtures("browser")
async def test_a_browser_whose_end_is_cancelled_leaves_nothing(box: LocalSandbox, engine: EngineThread) -> None:
    launcher = engine._engine.sessions.launcher
    used = set(launcher.ids._used)

    async def cancelled() -> Chromium:
        made = Chromium(launcher, 1)
        task = asyncio.current_task()
        assert task is not None
        with contextlib.suppress(asyncio.CancelledError):
            async with made:
                asyncio.get_running_loop().call_soon(task.cancel)
        return made

    made = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(cancelled(), engine._loop))
    assert launcher.ids._used == used
    assert not made._profile.exists()
    assert all(str(made._profile).encode() not in _read(f"/proc/{pid}/cmdline") for pid in _processes())


@pytest.mark.usefixtures("browser")
async def test_what_a_browser_has_printed_is_not_read_from_where_it_can_put_something_else(
    box: LocalSandbox, engine: EngineThread, tmp_path: Path
) -> None:
    """It may have been taken over, and where the engine is root it has another user."""
    (tmp_path / "secret").write_text("the host's own")

    async def said() -> str:
        async with Chromium(engine._engine.sessions.launcher, 1) as made:
            log = made._profile / "log"
            log.unlink(missing_ok=True)
            log.symlink_to(tmp_path / "secret")
            return made.said()

    found = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(said(), engine._loop))
    assert "the host's own" not in found


def _processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


@pytest.mark.usefixtures("browser")
async def test_a_page_is_never_opened_without_chromiums_own_sandbox(box: LocalSandbox, visit: Visit) -> None:
    app = await box.web.start(SERVER, "http", 0)
    page = await visit(app.url, app.port)
    await page.until("document.body && document.body.innerText.includes('hello')")
    assert not any("--no-sandbox" in flag for flag in chromium._FLAGS)
    renderers = [
        status
        for pid in _processes()
        if b"--type=renderer" in _read(f"/proc/{pid}/cmdline")
        if (status := _read(f"/proc/{pid}/status"))
    ]
    assert renderers
    for status in renderers:
        assert b"Seccomp:\t2" in status
        assert not (os.geteuid() == 0 and b"\nUid:\t0\t" in status)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


async def test_a_page_reaches_the_app_and_nothing_else_of_the_host(
    box: LocalSandbox, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control is the same browser without the flags that keep it off."""
    app = await box.web.start(SERVER, "http", 0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.setblocking(False)
        tries = f"""Promise.all(['127.0.0.1', 'localhost', '[::1]', 'other.localhost'].map(host =>
            fetch(`http://${{host}}:{port}/`, {{mode: 'no-cors', signal: AbortSignal.timeout(2000)}})
                .then(() => 'reached', error => error.name)))"""
        page = await visit(app.url, app.port)
        await page.until("document.body && document.body.innerText.includes('hello')")
        assert await page.says("fetch('/again').then(answer => answer.status)") == 200
        assert set(await page.says(tries)) <= {"TypeError", "TimeoutError"}
        with pytest.raises(BlockingIOError):
            server.accept()
        without = tuple(flag for flag in chromium._FLAGS if "proxy" not in flag and "resolver" not in flag)
        monkeypatch.setattr(chromium, "_FLAGS", without)
        control = await visit(app.url, app.port)
        await control.until("document.body && document.body.innerText.includes('hello')")
        await control.says(tries)
        server.accept()[0].close()


async def test_a_flask_app_is_clicked(box_with: BoxWith, visit: Visit) -> None:
    box = await box_with("flask")
    app = await box.web.start(_PAGE, port=0)
    page = await visit(app.url, app.port)
    for count in (0, 1, 2):
        await page.until(f"document.querySelector('button')?.innerText === '{count}'")
        await page.says("document.querySelector('button').click()")


async def test_a_streamlit_app_is_clicked(box_with: BoxWith, visit: Visit) -> None:
    """Its page is made over a WebSocket, so this shows that those go through too."""
    box = await box_with("streamlit")
    app = await box.web.start(_STREAMLIT, "streamlit", 0)
    page = await visit(app.url, app.port)
    for count in (0, 1, 2):
        await page.until(f"document.querySelector('h1')?.innerText.includes('clicked {count}')")
        # The button comes later than the text, and a click while the script runs may be lost.
        await page.until("!!document.querySelector('[data-test-script-state=notRunning]')")
        await page.until(f"!!{_BUTTON}")
        await page.says(f"{_BUTTON}.click()")


# --- frameworks without a browser -----------------------------------------------------------------------------------

_OTHERS = {
    "fastapi": """
from fastapi import FastAPI
app = FastAPI()
@app.get("/")
def page(): return {"greeting": "hello"}
if __name__ == "__main__":
    import uvicorn
    uvicorn.run("fastapi-1:app", host="0.0.0.0", port=80, reload=True)
""",
    "dash": """
from dash import Dash, html
app = Dash(__name__, title="hello")
app.layout = html.Div()
if __name__ == "__main__":
    app.run(debug=True, port=80)
""",
    "gradio": """
import gradio
demo = gradio.Interface(lambda text: text, "text", "text", title="hello")
demo.launch(share=True)
""",
}


@pytest.mark.parametrize("kind", _OTHERS)
async def test_other_frameworks_serve_on_the_port_that_they_are_given(box_with: BoxWith, kind: str) -> None:
    box = await box_with(kind)
    app = await box.web.start(_OTHERS[kind], kind, 0)
    assert b"hello" in (await get(app)).body


async def test_a_streamlit_script_that_raises_is_found_though_its_server_answers(box_with: BoxWith) -> None:
    box = await box_with("streamlit")
    with pytest.raises(SandboxWebAppError, match="answers, and its script raises an exception") as caught:
        await box.web.start("import streamlit as st\nst.title('x')\n1 / 0", "streamlit", 0)
    assert caught.value.reason == "failed"
    assert caught.value.log.startswith("ZeroDivisionError: division by zero\n")
    assert 'streamlit-1.py", line 3' in caught.value.log
    assert "\x1b" not in caught.value.log
    with pytest.raises(SandboxWebAppError, match="SyntaxError") as caught:
        await box.web.start("if:", "streamlit", 0)
    assert caught.value.reason == "ended"


async def test_a_streamlit_script_that_never_ends_is_taken_to_be_right(box_with: BoxWith) -> None:
    box = await box_with("streamlit")
    endless = (
        "import streamlit as st, time\nplace = st.empty()\nwhile True:\n    place.write(time.time()); time.sleep(0.1)"
    )
    app = await box.web.start(endless, "streamlit", 0)
    assert (app.state, app.notes) == ("running", ())
