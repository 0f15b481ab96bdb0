"""What goes through the relay: everything that TCP carries, no faster than it is taken, and no one's page but ours."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from tests.web.conftest import SERVER, Answer, get, until

from sandbox import LocalSandbox
from sandbox.engine.web import relay
from sandbox.engine.web.relay import Relay, listen

pytestmark = pytest.mark.needs_namespaces

# Answers a GET at once, and others when they have said everything; a client's half of a connection can end alone.
_COUNTS = """
import os, socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        said = b"" if self.rfile.peek(1)[:1] == b"G" else self.rfile.read()
        self.wfile.write(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + str(len(said)).encode())
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
_SOCKETS = """
import os
from websockets.sync.server import serve
def handle(socket):
    for text in socket:
        socket.send(text[::-1])
with serve(handle, "127.0.0.1", int(os.environ["PORT"]), max_size=None) as server:
    server.serve_forever()
"""


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_a_streaming_answer_comes_as_it_is_made(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0)
    async with connected(app.port) as (reader, writer):
        writer.write(b"GET /after-go HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"3\r\none\r\n")
        await get(app, "/go")
        await reader.readuntil(b"3\r\ntwo\r\n0\r\n\r\n")


async def test_websockets_work(box: LocalSandbox) -> None:
    client = pytest.importorskip("websockets.asyncio.client")
    app = await box.web.start(_SOCKETS, "http", 0)
    async with client.connect(f"ws://127.0.0.1:{app.port}", max_size=None, proxy=None) as one:
        for text in ("abc", "x" * 3_000_000 + "y", ""):
            await one.send(text)
            assert await one.recv() == text[::-1]


async def test_a_slow_reader_holds_up_the_app_and_not_the_hosts_memory(box: LocalSandbox) -> None:
    """The app would send 64 MB: what is on the way is a few buffers, in the kernel's hands and ours."""
    app = await box.web.start(SERVER, "http", 0)
    async with connected(app.port) as (reader, writer):
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        writer.write(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
        seen = [-1]

        async def stalled() -> bool:
            sent = int((await get(app, "/sent")).body)
            seen.append(sent)
            return sent > 0 and seen[-8:] == [sent] * 8

        await until(stalled)
        assert 0 < seen[-1] < 16 << 20
        transport.resume_reading()
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"200 OK" in head
        left = 64 << 20
        while left:
            left -= len(await reader.read(min(left, 1 << 20)))
    assert int((await get(app, "/sent")).body) == 64 << 20


async def test_fifty_connections_at_once(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0)
    async with contextlib.AsyncExitStack() as stack:
        both = [await stack.enter_async_context(connected(app.port)) for _ in range(50)]
        for number, (_, writer) in enumerate(both):
            writer.write(f"GET /page-{number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for number, (reader, _) in enumerate(both):
            await reader.readuntil(f"hello from /page-{number}".encode())
        assert (await app.refresh()).connections == 50


async def test_half_of_a_connection_can_end(box: LocalSandbox) -> None:
    app = await box.web.start(_COUNTS, "http", 0)
    async with connected(app.port) as (reader, writer):
        writer.write(b"\0" * 1_000_000)
        writer.write_eof()
        assert (await reader.read()).endswith(b"\r\n1000000")


async def test_an_app_that_is_stopped_ends_its_connections(box: LocalSandbox) -> None:
    """That it leaves nothing is looked at after every test."""
    app = await box.web.start(SERVER, "http", 0)
    async with connected(app.port) as (reader, writer), connected(app.port) as (silent, _):
        writer.write(b"GET /after-go HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"3\r\none\r\n")
        await app.stop()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        with contextlib.suppress(ConnectionResetError):
            assert await silent.read() == b""


async def test_the_end_of_a_client_is_the_end_of_its_connection_inside(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0)
    async with connected(app.port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"hello from /")
        assert (await app.refresh()).connections == 1

    async def gone() -> bool:
        return (await app.refresh()).connections == 0

    await until(gone)


# --- pages of others ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "192.0.2.1", ""])
async def test_a_request_by_another_name_does_not_reach_the_app(box: LocalSandbox, name: str) -> None:
    """A foreign page whose name was made to lead here says that name: see engine/web/hosts.py."""
    app = await box.web.start(SERVER, "http", 0)
    answer = await get(app, "/secret", Host=name)
    assert (answer.status, b"hello" in answer.body, b"hosts=" in answer.body) == (403, False, True)
    assert "/secret" not in await app.logs()


@pytest.mark.parametrize("name", ["127.0.0.1:5000", "localhost", "LOCALHOST:1", "[::1]:5000", "app.example:80"])
async def test_a_request_by_a_name_of_the_loopback_or_a_given_one_does(box: LocalSandbox, name: str) -> None:
    app = await box.web.start(SERVER, "http", 0, hosts=["app.example"])
    assert await get(app, "/", Host=name) == Answer(200, b"hello from /")


@pytest.mark.parametrize("method", ["x", "get", "a" * 40, "9!#$%&'*+-.^_`|~"])
async def test_a_foreign_page_may_choose_the_method_of_its_request(box: LocalSandbox, method: str) -> None:
    """As fetch(url, {method}) sends it. The connection is kept, and what follows on it is not looked at."""
    app = await box.web.start(SERVER, "http", 0)
    async with connected(app.port) as (reader, writer):
        first = f"{method} / HTTP/1.1\r\nHost: evil.example\r\n\r\n"
        writer.write(f"{first}GET /secret HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
        said = await reader.read()
    assert said.startswith(b"HTTP/1.1 403 ")
    assert "/secret" not in await app.logs()


async def test_what_is_no_http_is_carried(box: LocalSandbox) -> None:
    echo = """
import os, socket
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    one = server.accept()[0]
    said = one.recv(1000)
    one.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n" if b"HTTP" in said else said[::-1])
    one.close()
"""
    app = await box.web.start(echo, "http", 0)
    for said in (b"\x16\x03\x01hello", b"SSH-2.0-x\r\n", b"EHLO some where\n"):
        async with connected(app.port) as (reader, writer):
            writer.write(said)
            assert await reader.read() == said[::-1]


async def test_a_name_that_comes_byte_by_byte_is_still_seen(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0)
    async with connected(app.port) as (reader, writer):
        for byte in b"GET /secret HTTP/1.1\r\nhOsT :evil.example\r\n\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await reader.read()).startswith(b"HTTP/1.1 403 ")


async def test_a_head_without_an_end_is_refused(box: LocalSandbox) -> None:
    app = await box.web.start(SERVER, "http", 0)
    async with connected(app.port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000)
        with contextlib.suppress(ConnectionResetError):
            assert (await reader.read()).startswith(b"HTTP/1.1 431 ")


# --- the relay alone ------------------------------------------------------------------------------------------------


async def test_more_connections_than_there_may_be_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "MOST_CONNECTIONS", 2)
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    where = server.sockets[0].getsockname()

    async def connect() -> socket.socket:
        made = socket.socket()
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, where)
        return made

    carrier = Relay(listen(0), connect)
    try:
        async with connected(carrier.port) as first, connected(carrier.port) as second:
            for reader, writer in (first, second):
                writer.write(b"\0hello\n")
                assert await reader.readline() == b"\0hello\n"
            assert carrier.connections == 2
            async with connected(carrier.port) as (reader, writer):
                writer.write(b"\0third\n")
                waiting = asyncio.create_task(reader.readline())
                await _say(second, b"still here\n")
                assert not waiting.done()
                first[1].transport.abort()
                assert await waiting == b"\0third\n"
    finally:
        await carrier.close()
        server.close()
        await server.wait_closed()
    assert carrier.connections == 0


async def _say(to: tuple[asyncio.StreamReader, asyncio.StreamWriter], text: bytes) -> None:
    to[1].write(text)
    assert await to[0].readline() == text


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while line := await reader.readline():
            writer.write(line)
    writer.close()


async def test_a_connection_that_nobody_takes_inside_ends_without_an_answer() -> None:
    async def connect() -> socket.socket:
        raise ConnectionRefusedError

    carrier = Relay(listen(0), connect)
    try:
        async with connected(carrier.port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
    finally:
        await carrier.close()
