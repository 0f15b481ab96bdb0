"""A picture of an app's page."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, Any

from sandbox.engine.web.chromium import Chromium, DevtoolsError, NoChromium
from sandbox.engine.web.relay import LOOPBACK

if TYPE_CHECKING:
    from sandbox.engine.launcher import Launcher
    from sandbox.engine.web.devtools import Devtools

_SECONDS = 40.0
_LOAD_SECONDS = 15.0
_SETTLE_SECONDS = 10.0
_LOOK_SECONDS = 0.25
_MOST_DIALOGS = 10  # that are closed so that the page goes on
_STILL = 4  # looks at which nothing was new
_MOST_BYTES = 32 * 1024 * 1024
_PNG = b"\x89PNG\r\n\x1a\n"
# What tells one state of a page from the next; empty while Streamlit runs its script.
_SIGNATURE = """(() => {
  const state = document.querySelector('[data-test-script-state]')?.getAttribute('data-test-script-state');
  if (state && state !== 'notRunning') return '';
  if (document.querySelector('[data-testid="stSkeleton"], [data-testid="stAppSkeleton"]')) return '';
  return [document.readyState, document.documentElement.outerHTML.length].join(' ');
})()"""


async def take(launcher: Launcher, port: int, path: str, size: tuple[int, int]) -> bytes:
    """Return a page as a PNG. Raises NoChromium, saying why there is no picture."""
    said = ""
    try:
        async with asyncio.timeout(_SECONDS), Chromium(launcher, port) as chromium:
            try:
                return await _shoot(chromium.devtools, f"http://{LOOPBACK}:{port}{path}", size)
            finally:
                said = chromium.said()
    except TimeoutError:
        raise NoChromium(f"Chromium had no picture after {_SECONDS:g} s") from None
    except DevtoolsError as error:
        raise NoChromium(_why(str(error), said)) from error
    except OSError as error:
        raise NoChromium(f"Chromium could not be started, or tidied up after: {error}") from error


async def _shoot(devtools: Devtools, url: str, size: tuple[int, int]) -> bytes:
    width, height = size
    target = await devtools.ask("Target.createTarget", url="about:blank")
    attached = await devtools.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
    session = str(attached["sessionId"])
    await devtools.ask("Browser.setDownloadBehavior", behavior="deny")
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    await devtools.ask("Emulation.setDeviceMetricsOverride", session, **metrics)
    devtools.decline("Page.javascriptDialogOpening", "Page.handleJavaScriptDialog", _MOST_DIALOGS)
    await devtools.ask("Page.enable", session)
    loaded = devtools.expect("Page.loadEventFired")
    moved = await devtools.ask("Page.navigate", session, url=url)
    if moved.get("errorText"):
        raise DevtoolsError(f"the page did not load: {moved['errorText']}")
    await asyncio.wait([loaded], timeout=_LOAD_SECONDS)
    await _until_still(devtools, session)
    shot = await devtools.ask("Page.captureScreenshot", session, format="png")
    return _png(shot)


async def _until_still(devtools: Devtools, session: str) -> None:
    """Wait until the page has stopped changing, or for as long as a visitor would."""
    before, still = "", 0
    loop = asyncio.get_running_loop()
    end = loop.time() + _SETTLE_SECONDS
    while still < _STILL and loop.time() < end:
        await asyncio.sleep(_LOOK_SECONDS)
        answer = await devtools.ask("Runtime.evaluate", session, expression=_SIGNATURE, returnByValue=True)
        now = str(answer.get("result", {}).get("value", ""))[:100]
        still = still + 1 if now and now == before else 0
        before = now


def _png(shot: dict[str, Any]) -> bytes:
    data = shot.get("data")
    if not isinstance(data, str) or len(data) > _MOST_BYTES:
        raise DevtoolsError("its picture is too large")
    try:
        png = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise DevtoolsError(f"its picture is none: {error}") from error
    if not png.startswith(_PNG):
        raise DevtoolsError("its picture is no PNG")
    return png


def _why(error: str, said: str) -> str:
    if "sandbox" in said.lower() or "namespace" in said.lower():
        return f"Chromium's own sandbox is not to be had here, and without it no page is opened: {said.strip()[-500:]}"
    return f"Chromium took no picture: {error}; it printed: {said.strip()[-500:]}"
