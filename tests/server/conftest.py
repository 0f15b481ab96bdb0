"""One server for most tests, and a plain HTTP client for what is not the SDK's."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.serving import Serving

from sandbox.remote import loops
from sandbox.remote.client import close_connections


@pytest.fixture(scope="session")
def serving(_home: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that nobody changes."""
    with Serving(tmp_path_factory.mktemp("serving")) as serving:
        yield serving


@pytest.fixture
def own(_home: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that is the test's own, not started yet. The test ends it, or leaves it to this."""
    serving = Serving(tmp_path_factory.mktemp("own"))
    yield serving
    serving.__exit__()


@pytest.fixture(autouse=True)
async def _connections() -> AsyncIterator[None]:
    yield
    close_connections()
    await loops.close()


class Http:
    """Requests with a key. Answers are (status, decoded body), with headers in `headers`."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url
        given = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.session = aiohttp.ClientSession(headers=given)
        self.headers: Any = {}

    async def __call__(self, method: str, path: str, json: object = None, **more: Any) -> tuple[int, Any]:
        if json is not None:
            more["data"] = msgspec.json.encode(json)
        if isinstance(more.get("data"), bytes):
            more["data"] = io.BytesIO(more["data"])
        async with self.session.request(method, f"{self._url}{path}", **more) as response:
            self.headers = response.headers
            body = await response.read()
        return response.status, _decoded(body, response.headers.get("content-type", ""))

    def open(self, method: str, path: str, **more: Any) -> Any:
        """A request whose answer is read by hand."""
        return self.session.request(method, f"{self._url}{path}", **more)


def _decoded(body: bytes, kind: str) -> Any:
    if kind == "application/json":
        return msgspec.json.decode(body) if body else None
    if kind == "application/x-ndjson":
        return [msgspec.json.decode(line) for line in body.splitlines() if line]
    return body


@pytest.fixture
async def http(serving: Serving) -> AsyncIterator[Http]:
    """The shared server, with a key and an owner of the test's own."""
    made = Http(serving.url, serving.key("sandboxes", "metrics"))
    yield made
    _, listed = await made("GET", "/v1/sandboxes")
    for one in listed["sandboxes"]:
        await made("DELETE", f"/v1/sandboxes/{one['id']}")
    await made.session.close()


@pytest.fixture
async def clients() -> AsyncIterator[Any]:
    """Makes clients of a server, by key."""
    made: list[Http] = []

    def make(url: str, key: str | None) -> Http:
        made.append(Http(url, key))
        return made[-1]

    yield make
    for one in made:
        await one.session.close()
