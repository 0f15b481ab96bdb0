"""A test network: names that resolve as a test says, and servers on the loopback that stand for public addresses.

Nothing is ever sent beyond this machine: the engine's way out is replaced, and what it was asked for is kept.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sandbox import LocalSandbox, NetworkPolicy
from sandbox.engine.egress.authority import Authority, _pem
from sandbox.engine.egress.outside import Outside
from sandbox.engine.thread import EngineThread
from sandbox.network.hosts import Address, parsed_address

PUBLIC, OTHER = "93.184.216.34", "93.184.216.99"


class Internet(Outside):
    """`names` has the answers for each name: one after the other, the last one for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, list[list[str]]] = {}
        self.places: dict[tuple[str, int], tuple[str, int]] = {}
        self.resolved: list[str] = []
        self.connected: list[tuple[str, int]] = []
        self.believed = ""

    def name(self, name: str, *answers: list[str]) -> None:
        self.names[name] = list(answers)

    def place(self, address: str, port: int, server: tuple[str, int]) -> None:
        """Let a server stand for an address."""
        self.places[address, port] = server

    async def resolve(self, name: str, port: int) -> list[Address]:
        self.resolved.append(name)
        if name not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.names[name]
        return [parsed_address(text) for text in (answers.pop(0) if len(answers) > 1 else answers[0])]

    def is_own(self, address: Address) -> bool:
        return False

    def authorities(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.believed)

    async def connect(self, address: Address, port: int) -> socket.socket:
        self.connected.append((str(address), port))
        place = self.places.get((str(address), port))
        if place is None:
            raise ConnectionRefusedError("nobody listens there")
        made = socket.socket()
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, place)
        return made


class Handler(BaseHTTPRequestHandler):
    """Answers with what was asked, as JSON."""

    protocol_version = "HTTP/1.1"

    def _echo(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunked()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("latin-1")
        self.server.seen.append((self.command, self.path, self.headers.items(), body))  # type: ignore[attr-defined]
        answer: bytes = self.server.answer(self, body)  # type: ignore[attr-defined]
        self.send_response(self.server.status, self.server.reason)  # type: ignore[attr-defined]
        for name, value in self.server.headers:  # type: ignore[attr-defined]
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _chunked(self) -> str:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body.decode("latin-1")

    do_GET = do_POST = do_PUT = do_HEAD = _echo  # noqa: N815 - the names that the standard library looks for

    def log_message(self, *_: object) -> None:
        """Not on the tests' output."""


class Server(ThreadingHTTPServer):
    """An HTTP server whose `seen` has every request: method, path, headers, body."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str, list[tuple[str, str]], str]] = []
        self.answer: Callable[[Any, str], bytes] = echo
        self.status = 200
        self.reason: str | None = None
        self.headers: list[tuple[str, str]] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.server_port

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class TlsServer(Server):
    """The same by TLS, for names that an authority of the test's own vouches for."""

    def __init__(self, *names: str) -> None:
        self.authority = Authority(names)
        self._contexts = {name: self.authority.context(name) for name in names}
        super().__init__()

    def get_request(self) -> tuple[Any, Any]:
        plain, address = super().get_request()
        context = next(iter(self._contexts.values()))

        def choose(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            tls.context = self._contexts.get(name or "", context)

        context.sni_callback = choose
        # The handshake is made when somebody reads, so that one who does not begin keeps no other waiting.
        return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Of clients that do not go through with it."""


def echo(request: Any, body: str) -> bytes:
    return json.dumps({"path": request.path, "headers": dict(request.headers.items()), "body": body}).encode()


@pytest.fixture
def internet(engine: EngineThread) -> Iterator[Internet]:
    """The engine's way out while a test runs."""
    sessions = engine._engine.sessions
    before, sessions.outside = sessions.outside, Internet()
    yield sessions.outside
    sessions.outside = before


@pytest.fixture
def web(internet: Internet) -> Iterator[Server]:
    """http://api.example.com, which answers with what it was asked."""
    server = Server()
    internet.name("api.example.com", [PUBLIC])
    internet.place(PUBLIC, 80, server.address)
    yield server
    server.end()


@pytest.fixture
def tls(internet: Internet) -> Iterator[TlsServer]:
    """https://api.example.com and https://other.example.com, at the same address."""
    server = TlsServer("api.example.com", "other.example.com")
    internet.name("api.example.com", [PUBLIC])
    internet.name("other.example.com", [PUBLIC])
    internet.place(PUBLIC, 443, server.address)
    internet.believed = _pem(server.authority._certificate)
    yield server
    server.end()


@pytest.fixture
def metadata(internet: Internet) -> Iterator[Server]:
    """What must never be reached: a cloud's metadata, and a service on the host's loopback."""
    server = Server()
    for address in ("169.254.169.254", "127.0.0.1", "10.0.0.5", "::1", "fd00:ec2::254"):
        internet.place(address, 80, server.address)
        internet.place(address, 443, server.address)
    yield server
    server.end()


INSIDE = """
import json, os, socket, urllib.request, urllib.error

def say(data, *more, end=True):
    '''Send bytes to the proxy and return all that it answers.'''
    with socket.create_connection(("127.0.0.1", 3128), timeout=30) as s:
        try:
            for one in (data, *more):
                s.sendall(one)
            if end:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b""
        while True:
            try:
                piece = s.recv(65536)
            except OSError:
                return answer
            if not piece:
                return answer
            answer += piece

def get(url, **headers):
    '''What is at a URL, or what kept it from coming.'''
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except (urllib.error.URLError, OSError) as error:
        return 0, str(error)
"""

Open = Callable[..., Any]


@pytest.fixture
async def open_box(internet: Internet) -> AsyncIterator[Open]:
    """Opens sandboxes with a policy; they are deleted afterwards."""
    made: list[LocalSandbox] = []

    async def open_box(*allow: str, **options: Any) -> LocalSandbox:
        box = LocalSandbox(**{"network": NetworkPolicy(allow), "persist": False, "timeout": 50, **options})
        made.append(await box.start())
        await box.run(INSIDE)
        return box

    yield open_box
    for box in made:
        if box._opened is not None:
            await box.delete()


async def value(box: LocalSandbox, expression: str) -> Any:
    """What an expression is inside, by way of JSON; bytes as text."""
    code = f"print(json.dumps({expression}, default=lambda one: one.decode('latin-1')))"
    return json.loads((await box.run(code)).stdout)
