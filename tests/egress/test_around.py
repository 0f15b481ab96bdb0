"""What hostile code tries beside the proxy, and to keep others from it."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import threading
import time
from typing import Any

import pytest
from tests.egress.conftest import PUBLIC, Internet, Open, Server, value

from sandbox.engine.egress import conversation, link
from sandbox.engine.egress.link import SocketLink
from sandbox.engine.egress.proxy import most_connections

# How long another session may wait for an answer, on a machine that has other work too.
PATIENCE = 3.0
pytestmark = pytest.mark.needs_namespaces

Patch = pytest.MonkeyPatch


async def test_there_is_no_way_beside_the_proxy(open_box: Open, internet: Internet) -> None:
    """The network namespace is what it is with `network="none"`; its controls are in tests/security/test_network.py."""
    box = await open_box("*:*")
    code = f"""
def tried(call):
    try:
        call()
        return "it worked"
    except OSError as error:
        return type(error).__name__ if error.errno is None or isinstance(error, socket.gaierror) else error.errno
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
json.dumps([
    tried(lambda: socket.create_connection(("{PUBLIC}", 80), 5)),
    tried(lambda: udp.sendto(b"x", ("{PUBLIC}", 53))),
    tried(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"x", ("2001:4860:4860::8888", 53))),
    tried(lambda: socket.getaddrinfo("api.example.com", 80)),
    tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
])
"""
    found = json.loads((await box.run(code)).text.strip("'"))
    assert found[:2] == [errno.ENETUNREACH] * 2
    assert found[2] in {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
    assert found[3:] == ["gaierror", errno.EPERM]
    assert internet.resolved == []


async def test_the_proxy_of_a_sandbox_is_reached_from_that_alone(open_box: Open, web: Server) -> None:
    box = await open_box("api.example.com")
    other = await open_box(network="none")
    assert (await value(box, "get('http://api.example.com/')"))[0] == 200
    assert "refused" in (await value(other, "get('http://127.0.0.1:3128/')"))[1]
    with socket.socket() as outside, pytest.raises(ConnectionRefusedError):
        outside.connect(("127.0.0.1", 3128))


async def test_no_word_of_a_request_makes_the_log_large(open_box: Open) -> None:
    box = await open_box("api.example.com")
    line = b"M" * 60_000 + b" http://evil.example.com/" + b"p" * 2000 + b" HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"
    assert (await value(box, f"say({line!r})"))[:12] == "HTTP/1.1 403"
    (entry,) = await box.network.log()
    assert (entry.method, len(entry.path)) == ("M" * 30, 300)


async def test_reading_what_is_there_at_once_lets_others_have_their_turn() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    with ours, theirs:
        for count in range(20):
            theirs.sendall(b"x")
            assert await SocketLink(ours).receive() == b"x"
            assert turns > count
    task.cancel()


async def test_a_flood_through_the_proxy_keeps_nobody_from_an_answer(open_box: Open, internet: Internet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        internet.name("api.example.com", [PUBLIC])
        internet.place(PUBLIC, 2222, server.getsockname())
        box, other = await open_box("tcp://api.example.com:2222"), await open_box()
        flood = threading.Thread(target=_flood, args=(server,))
        flood.start()
        code = """
with socket.create_connection(("127.0.0.1", 3128)) as s:
    s.sendall(b"CONNECT api.example.com:2222 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    count = 0
    while data := s.recv(1 << 20):
        count += len(data)
print(count > 1 << 28)
"""
        flooded = asyncio.ensure_future(box.run(code))
        waits = []
        while not flooded.done():
            begin = time.monotonic()
            await other.run("1")
            waits.append(time.monotonic() - begin)
        assert (await flooded).stdout == "True\n"
        flood.join()
    assert len(waits) > 3
    assert max(waits) < PATIENCE


def _flood(server: socket.socket) -> None:
    accepted, _ = server.accept()
    with accepted:
        for _ in range(257):
            accepted.sendall(bytes(1 << 20))


async def test_a_side_that_takes_nothing_holds_no_connection_for_ever(monkeypatch: Patch) -> None:
    monkeypatch.setattr(link, "_SEND_SECONDS", 0.2)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        await SocketLink(ours).send(b"x")
        async with asyncio.timeout(20):
            with pytest.raises(TimeoutError):
                await SocketLink(ours).send(bytes(1 << 24))
            assert theirs.recv(1 << 20)


async def test_connections_that_say_nothing_end_and_let_others_in(
    open_box: Open, web: Server, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(conversation, "_HEAD_SECONDS", 0.5)
    box = await open_box("api.example.com")
    await box.run(
        "silent = [socket.create_connection(('127.0.0.1', 3128)) for _ in range(200)]\n"
        "for one in silent: one.sendall(b'GET http://api.example.com/ HTTP/1.1\\r\\nX: ')"
    )
    assert (await value(box, "get('http://api.example.com/')"))[0] == 200
    most = most_connections()
    await box.run("def ended(one):\n    try: return not one.recv(100)\n    except ConnectionResetError: return True")
    assert await value(box, f"sum(map(ended, silent[:{most}]))") == most


async def test_the_control_of_connections_that_say_nothing(open_box: Open, web: Server, engine: Any) -> None:
    box = await open_box("api.example.com")
    count = most_connections() + 6
    await box.run(f"silent = [socket.create_connection(('127.0.0.1', 3128)) for _ in range({count})]")
    code = "s = socket.create_connection(('127.0.0.1', 3128), 1); s.sendall(b'x\\r\\n\\r\\n'); s.recv(10)"
    assert (await box.run(code, check=False)).exception.error_type == "TimeoutError"
    assert (await box.run("[one.close() for one in silent]; s.settimeout(30); s.recv(10)")).text == "b'HTTP/1.1 4'"
