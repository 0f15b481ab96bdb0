"""Web apps of sandboxes on a server, as their visitors reach them: by a signed name, and by nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from tests.serving import Serving
from tests.web.conftest import SERVER, until

from sandbox import RemoteSandbox

pytestmark = pytest.mark.needs_namespaces

# Says what it was asked with; `/cookie` has one for a whole domain.
_TELLS = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close, X-Mine")
        self.send_header("X-Mine", "1")
        self.send_header("Set-Cookie", "a=1; Path=/; Domain=localhost; HttpOnly")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Referrer-Policy", "unsafe-url")
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
_SOCKETS = """
import os
from websockets.sync.server import serve
def handle(socket):
    for text in socket:
        socket.send(text[::-1])
def allowed(connection, request):
    if request.path == "/private":
        return connection.respond(403, "no")
with serve(handle, "127.0.0.1", int(os.environ["PORT"]), max_size=None, process_request=allowed,
           subprotocols=["reversed"]) as server:
    server.serve_forever()
"""
# Answers a readiness check well, and everybody else with these bytes.
_BROKEN = """
import os, socketserver
class Handler(socketserver.StreamRequestHandler):
    asked = 0
    def handle(self):
        while (line := self.rfile.readline()) not in (b"\\r\\n", b""):
            pass
        Handler.asked += 1
        self.wfile.write(b"HTTP/1.0 200 OK\\r\\n\\r\\n" if Handler.asked == 1 else {bytes})
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


class Visitor:
    """A browser's requests: to the server's address, by the name that the app's url has."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.session = aiohttp.ClientSession()

    def get(self, url: str, path: str = "/", method: str = "GET", **more: Any) -> Any:
        headers = {"Host": urlsplit(url).netloc, **more.pop("headers", {})}
        return self.session.request(method, f"{self.server}{path}", headers=headers, **more)

    async def status(self, url: str, path: str = "/") -> int:
        async with self.get(url, path) as answer:
            return int(answer.status)


@pytest.fixture
async def visitor(serving: Serving) -> AsyncIterator[Visitor]:
    made = Visitor(serving.url)
    yield made
    await made.session.close()


@pytest.fixture
async def far(serving: Serving) -> AsyncIterator[RemoteSandbox]:
    """A sandbox on the server."""
    box = await RemoteSandbox(serving.url, serving.key())
    yield box
    if box._opened is not None:
        await box.delete()
    assert "Traceback" not in serving.log


async def test_an_app_is_visited_at_its_url_for_as_long_as_it_runs(far: RemoteSandbox, visitor: Visitor) -> None:
    app = await far.web.start(SERVER, "http", 5000)
    assert (app.state, app.inner_port) == ("running", 5000)
    assert urlsplit(app.url).hostname.endswith(".localhost")  # type: ignore[union-attr]
    async with visitor.get(app.url, "/a%20b?c=d") as answer:
        assert (answer.status, await answer.text()) == (200, "hello from /a%20b?c=d")
    async with visitor.get(app.url, "/", "POST", data=b"abc" * 100_000) as answer:
        assert await answer.read() == b"cba" * 100_000
    url = app.url
    assert (await app.restart()).url == url == (await far.web.get("http-1")).url
    assert await visitor.status(url) == 200
    await app.stop()
    assert await visitor.status(url) == 404
    again = await far.web.start(SERVER, "http", 5000, name="http-1")
    assert again.url != url
    assert [await visitor.status(one) for one in (url, again.url)] == [404, 200]
    await far.delete()
    assert await visitor.status(again.url) == 404


async def test_what_an_app_leaves_is_read_from_the_server(far: RemoteSandbox) -> None:
    app = await far.web.start("print('begun', flush=True)\n" + SERVER, "http", 0)
    assert app.log_artifact is not None
    assert (await app.log_artifact.aread()).startswith(b"begun")


async def test_a_name_that_was_not_given_out_opens_nothing(far: RemoteSandbox, visitor: Visitor) -> None:
    one = await far.web.start(SERVER, "http", 0)
    other = await far.web.start(SERVER, "http", 0)
    label, rest = one.url.removeprefix("http://").split(".", 1)
    theirs = other.url.removeprefix("http://").split(".", 1)[0]
    forged = [label[:n] + ("a" if label[n] != "a" else "b") + label[n + 1 :] for n in range(0, len(label), 7)]
    forged += [theirs[:22] + label[22:], label[:-1], f"{label}a", "a" * 48, "xn--a", label.replace(label[0], "1")]
    for name in forged:
        assert await visitor.status(f"http://{name}.{rest}") == 404, name
    assert await visitor.status(f"http://{label.upper()}.{rest}") == 200


async def test_the_servers_own_name_needs_a_key_whoever_asks(
    far: RemoteSandbox, visitor: Visitor, serving: Serving
) -> None:
    app = await far.web.start(SERVER, "http", 0)
    for path in ("/", "/v1/sandboxes", "/metrics", "/openapi.json"):
        assert await visitor.status(serving.url, path) == 401
        assert await visitor.status(app.url, path) == 200  # the app's own page of that name
    headers = {"Origin": app.url, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x"}
    async with visitor.get(serving.url, "/v1/sandboxes", "OPTIONS", headers=headers) as answer:
        assert answer.status == 401
        assert not any(name.lower().startswith("access-control") for name in answer.headers)


async def test_headers_of_one_connection_and_keys_do_not_go_on(far: RemoteSandbox, visitor: Visitor) -> None:
    app = await far.web.start(_TELLS, "http", 0)
    asked = {
        "Connection": "keep-alive, X-Hop", "X-Hop": "1", "X-Kept": "1", "Cookie": "a=1", "X-Forwarded-For": "1.2.3.4",
        "Authorization": "Bearer sbx_12345678_secret", "TE": "trailers",
    }  # fmt: skip
    async with visitor.get(app.url, headers=asked) as answer:
        seen = dict(await answer.json(content_type=None))
        assert answer.headers.getall("Set-Cookie") == ["a=1; Path=/; HttpOnly", "b=2"]
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "X-Mine" not in answer.headers
    host = urlsplit(app.url).netloc
    assert (seen["host"], seen["x-forwarded-host"], seen["x-forwarded-proto"]) == (host, host, "http")
    assert (seen["x-kept"], seen["cookie"], seen["connection"]) == ("1", "a=1", "close")
    assert not {"x-hop", "x-forwarded-for", "authorization", "te"} & set(seen)
    async with visitor.get(app.url, headers={"Authorization": "Basic YTpi"}) as answer:
        assert dict(await answer.json(content_type=None))["authorization"] == "Basic YTpi"


async def test_websockets_go_through_and_end_with_the_app(far: RemoteSandbox, serving: Serving) -> None:
    websockets = pytest.importorskip("websockets.asyncio.client")
    exceptions = pytest.importorskip("websockets.exceptions")
    app = await far.web.start(_SOCKETS, "http", 0)
    where = urlsplit(serving.url)

    def connect(path: str = "/", url: str = app.url) -> Any:
        return websockets.connect(
            url.replace("http", "ws") + path, host=where.hostname, port=where.port, max_size=None, proxy=None,
            subprotocols=["reversed"],
        )  # fmt: skip

    async with connect() as one:
        assert one.subprotocol == "reversed"
        for text in ("abc", "x" * 3_000_000 + "y", ""):
            await one.send(text)
            assert await one.recv() == text[::-1]
        assert (await app.refresh()).connections == 1
        with pytest.raises(exceptions.InvalidStatus, match="403"):
            await connect("/private")
        with pytest.raises(exceptions.InvalidStatus, match="404"):
            await connect(url=app.url.replace("http://", "http://a"))
        await app.stop()
        with pytest.raises(exceptions.ConnectionClosed):
            await one.recv()


async def test_a_streaming_answer_comes_as_it_is_made(far: RemoteSandbox, visitor: Visitor) -> None:
    app = await far.web.start(SERVER, "http", 0)
    async with visitor.get(app.url, "/after-go") as answer:
        assert await answer.content.readexactly(3) == b"one"
        assert await visitor.status(app.url, "/go") == 200
        assert await answer.read() == b"two"


async def test_a_slow_visitor_holds_up_the_app_and_its_going_ends_the_connection(
    far: RemoteSandbox, visitor: Visitor, serving: Serving
) -> None:
    """The app would send 64 MB: what is on the way are a few buffers."""
    app = await far.web.start(SERVER, "http", 0)
    where = urlsplit(serving.url)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, (where.hostname, where.port))
        await loop.sock_sendall(slow, f"GET /big HTTP/1.1\r\nHost: {urlsplit(app.url).netloc}\r\n\r\n".encode())
        seen = [-1]

        async def stands_still() -> bool:
            async with visitor.get(app.url, "/sent") as answer:
                seen.append(int(await answer.text()))
            return seen[-1] == seen[-2] > 0

        await until(stands_still)
        assert seen[-1] < 32 << 20
        assert (await app.refresh()).connections == 1

    async def left() -> bool:
        return (await app.refresh()).connections == 0

    await until(left)


@pytest.mark.parametrize(
    ("said", "status"),
    [(b"nonsense\r\n\r\n", 502), (b"", 502), (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000, 502)],
    ids=["no HTTP", "nothing", "an endless head"],
)
async def test_an_app_that_speaks_no_http_is_a_bad_gateway(
    far: RemoteSandbox, visitor: Visitor, said: bytes, status: int
) -> None:
    app = await far.web.start(_BROKEN.replace("{bytes}", repr(said)), "http", 0)
    assert await visitor.status(app.url) == status


async def test_an_answer_that_breaks_off_is_seen_to_break_off(far: RemoteSandbox, visitor: Visitor) -> None:
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"
    app = await far.web.start(_BROKEN.replace("{bytes}", repr(said)), "http", 0)
    with pytest.raises(aiohttp.ClientPayloadError):
        async with visitor.get(app.url) as answer:
            await answer.read()


async def test_an_app_has_so_many_visitors_at_once_and_no_more(far: RemoteSandbox, visitor: Visitor) -> None:
    app = await far.web.start(SERVER, "http", 0)
    waiting = [await visitor.get(app.url, "/after-go") for _ in range(99)]
    assert (await app.refresh()).connections == 99
    for one in waiting:
        one.close()


async def test_apps_over_rest(far: RemoteSandbox, visitor: Visitor, http: Any) -> None:
    """As in OpenAPI: start, look, restart, stop."""
    await http("POST", "/v1/sandboxes", {"id": "box"})
    body = {"app_type": "http", "port": 0, "code": SERVER, "name": "page"}
    status, listed = await http("POST", "/v1/sandboxes/box/apps", body)
    assert (status, listed["apps"][0]["state"]) == (200, "running")
    url = listed["apps"][0]["url"]
    assert await visitor.status(url) == 200
    assert (await http("GET", "/v1/sandboxes/box/apps"))[1]["apps"][0]["url"] == url
    assert (await http("GET", "/v1/sandboxes/box/apps/page"))[1]["apps"][0]["name"] == "page"
    assert (await http("POST", "/v1/sandboxes/box/apps/page/restart", {}))[0] == 200
    assert (await http("DELETE", "/v1/sandboxes/box/apps/page"))[0] == 200
    assert await visitor.status(url) == 404
