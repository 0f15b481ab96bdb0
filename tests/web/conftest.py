"""Apps for the tests of web apps, and clients that speak to them."""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.security.conftest import bait, lab

from sandbox import LocalSandbox
from sandbox.engine.thread import EngineThread
from sandbox.sdk.web import WebApp

__all__ = ["bait", "lab"]  # fixtures

# Of the standard library, so that it runs in every environment. `/after-go` has a first part at once, and a second one
# when somebody has asked for `/go`; `/sent` says how much of `/big` the kernel has taken.
SERVER = """
import os, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

go, sent = threading.Event(), [0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        getattr(self, "get_" + self.path.strip("/").replace("-", "_"), self.get_)()

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"]))[::-1])

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def get_(self):
        self.answer(b"hello from " + self.path.encode())

    def get_go(self):
        go.set()
        self.answer(b"")

    def get_after_go(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3\\r\\none\\r\\n")
        go.wait(60)
        self.wfile.write(b"3\\r\\ntwo\\r\\n0\\r\\n\\r\\n")

    def get_big(self):
        piece = b"x" * 65536
        self.send_response(200)
        self.send_header("Content-Length", str(1024 * len(piece)))
        self.end_headers()
        for _ in range(1024):
            self.wfile.write(piece)
            sent[0] += len(piece)

    def get_sent(self):
        self.answer(str(sent[0]).encode())


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


print("listening on", os.environ["PORT"])
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


class Answer(NamedTuple):
    status: int
    body: bytes


async def get(app: WebApp | str, path: str = "/", **headers: str) -> Answer:
    """Ask for a page on a connection of its own."""
    return await request(app, "GET", path, None, headers)


async def request(
    app: WebApp | str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    where = (app if isinstance(app, str) else app.url).removeprefix("http://")

    def ask() -> Answer:
        connection = http.client.HTTPConnection(where, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


async def until(so: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what no event tells of."""
    async with asyncio.timeout(50):
        while not await so():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def there(_home: None) -> Iterator[EngineThread]:
    """An engine of the module's own, for sandboxes with other packages than this interpreter's."""
    engine = EngineThread(parked=0)
    yield engine
    engine.close()


BoxWith = Callable[..., Awaitable[LocalSandbox]]


@pytest.fixture
async def box_with(there: EngineThread) -> AsyncIterator[BoxWith]:
    """Starts sandboxes that have the packages that are named; they are deleted afterwards."""
    made: list[LocalSandbox] = []

    async def box_with(*modules: str) -> LocalSandbox:
        made.append(LocalSandbox(engine=there, **_environment_with(modules)))
        return await made[-1].start()

    yield box_with
    for one in made:
        if one._opened is not None:
            await one.delete()


def _environment_with(modules: tuple[str, ...]) -> dict[str, str]:
    """The running interpreter if it has these packages, else a virtual environment that is named. Skips without."""
    if all(importlib.util.find_spec(module) for module in modules):
        return {}
    named = os.environ.get("SANDBOX_TEST_WEB_ENVIRONMENT", "")
    if named and all(list(Path(named).glob(f"lib/python*/site-packages/{module}")) for module in modules):
        return {"environment": named}
    pytest.skip(f"{' and '.join(modules)}: neither here nor in the environment that SANDBOX_TEST_WEB_ENVIRONMENT names")
