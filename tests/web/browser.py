"""A browser for tests of web apps: the same Chromium, as confined, that takes their pictures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from tests.web.conftest import there, until

from sandbox.engine.thread import EngineThread
from sandbox.engine.web import chromium
from sandbox.engine.web.chromium import Chromium, NoChromium
from sandbox.engine.web.devtools import Devtools

__all__ = ["there"]  # a fixture


@pytest.fixture
def browser() -> None:
    """Skips, with the reason, where there is no Chromium."""
    try:
        chromium.find()
    except NoChromium as error:
        pytest.skip(str(error))


class Page:
    """A page in a Chromium that belongs to the engine's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, devtools: Devtools) -> None:
        self._loop, self._devtools = loop, devtools
        self._session = ""

    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def open(self, url: str) -> None:
        target = await self.run(self._devtools.ask("Target.createTarget", url="about:blank"))
        asked = self._devtools.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = (await self.run(asked))["sessionId"]
        await self.run(self._devtools.ask("Page.navigate", self._session, url=url))

    async def says(self, expression: str) -> Any:
        asked = self._devtools.ask(
            "Runtime.evaluate", self._session, expression=expression, returnByValue=True, awaitPromise=True
        )
        return (await self.run(asked)).get("result", {}).get("value")

    async def until(self, expression: str) -> None:
        async def so() -> bool:
            return bool(await self.says(expression))

        await until(so)


Visit = Callable[[str, int], Coroutine[Any, Any, Page]]


@pytest.fixture
async def visit(browser: None, there: EngineThread) -> AsyncIterator[Visit]:
    """Opens a page in the browser that takes the pictures. Skips where its own sandbox is not to be had."""
    begun: list[tuple[Page, Chromium]] = []

    async def visit(url: str, port: int) -> Page:
        started = Chromium(there._engine.sessions.launcher, port)
        page = Page(there._loop, None)  # type: ignore[arg-type]
        await page.run(started.__aenter__())
        begun.append((page, started))
        page._devtools = started.devtools
        await page.open(url)
        return page

    yield visit
    for page, started in begun:
        await page.run(started.__aexit__())
