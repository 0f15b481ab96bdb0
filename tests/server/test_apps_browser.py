"""An app on a server in a real browser: it is clicked at its url, and its page gets at nothing else of the server.

Skipped, with the reason, where there is no Chromium.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.serving import Serving
from tests.web.browser import Page, browser, there, visit
from tests.web.test_browser import _PAGE, _STREAMLIT

from sandbox import RemoteSandbox
from sandbox.engine.web import chromium

__all__ = ["browser", "there", "visit"]  # fixtures
pytestmark = [pytest.mark.needs_namespaces, pytest.mark.timeout(180)]
Visit = Callable[[str, int], Coroutine[Any, Any, Page]]


@pytest.fixture(autouse=True)
def _finds_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user's browser does: it is kept off everything but 127.0.0.1 otherwise."""
    without = tuple(flag for flag in chromium._FLAGS if "proxy" not in flag and "resolver" not in flag)
    monkeypatch.setattr(chromium, "_FLAGS", without)


async def test_a_flask_app_is_clicked_and_its_page_gets_nothing_of_the_server(serving: Serving, visit: Visit) -> None:
    if importlib.util.find_spec("flask") is None:
        pytest.skip("flask is not installed")
    key = serving.key()
    async with await RemoteSandbox(serving.url, key) as box:
        app = await box.web.start(_PAGE)
        other = await box.web.start(_PAGE)
        port = urlsplit(serving.url).port or 0
        page = await visit(app.url, port)
        for count in (0, 1, 2):
            await page.until(f"document.querySelector('button')?.innerText === '{count}'")
            await page.says("document.querySelector('button').click()")
        own = "fetch('/').then(answer => answer.status)"
        assert await page.says(own) == 200
        for foreign in (f"http://127.0.0.1:{port}", f"http://localhost:{port}", other.url):
            for options in ("{}", f"{{headers: {{Authorization: 'Bearer {key}'}}}}"):
                tried = f"fetch('{foreign}/v1/sandboxes', {options}).then(() => 'read', error => error.name)"
                assert await page.says(tried) == "TypeError", (foreign, options)
        await page.says("document.cookie = 'mine=1; domain=localhost'")
        assert await page.says("document.cookie") == ""
        await box.delete()


async def test_a_streamlit_app_is_clicked(serving: Serving, visit: Visit) -> None:
    """Its page is made over a WebSocket."""
    if importlib.util.find_spec("streamlit") is None:
        pytest.skip("streamlit is not installed")
    button = "document.querySelector('button[data-testid=stBaseButton-secondary]')"
    async with await RemoteSandbox(serving.url, serving.key()) as box:
        app = await box.web.start(_STREAMLIT, "streamlit")
        page = await visit(app.url, urlsplit(serving.url).port or 0)
        for count in (0, 1, 2):
            await page.until(f"document.querySelector('h1')?.innerText.includes('clicked {count}')")
            await page.until("!!document.querySelector('[data-test-script-state=notRunning]')")
            await page.until(f"!!{button}")
            await page.says(f"{button}.click()")
        await box.delete()
