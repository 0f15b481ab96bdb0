"""Plain HTTP through the proxy."""

from __future__ import annotations

import asyncio
import socket

import h11
import pytest
from tests.egress.conftest import Internet, Open, Server, value

from sandbox import NetworkPolicy
from sandbox.engine.egress.exchange import exchange
from sandbox.engine.egress.http_end import HttpEnd
from sandbox.engine.egress.link import SocketLink
from sandbox.engine.egress.targets import Target

pytestmark = pytest.mark.needs_namespaces


async def test_an_allowed_host_is_reached(open_box: Open, web: Server) -> None:
    box = await open_box("api.example.com")
    status, body = await value(box, "get('http://api.example.com/a?b=c')")
    assert (status, '"/a?b=c"' in body) == (200, True)
    assert dict(web.seen[0][2])["Host"] == "api.example.com"


async def test_another_host_is_refused_with_the_rule_that_would_allow_it(
    open_box: Open, web: Server, internet: Internet
) -> None:
    box = await open_box("api.example.com")
    status, body = await value(box, "get('http://other.example.com/')")
    assert (status, "'other.example.com:80'" in body) == (403, True)
    assert internet.resolved == []  # a name that is not allowed is told to no name server
    await box.network.set(NetworkPolicy(["other.example.com:80"]))
    internet.name("other.example.com", ["93.184.216.34"])
    assert (await value(box, "get('http://other.example.com/')"))[0] == 200


async def test_commands_use_the_proxy_too(open_box: Open, web: Server) -> None:
    box = await open_box("api.example.com")
    code = "import urllib.request as u; print(u.urlopen('http://api.example.com/command').status)"
    assert (await box.command.run("python3", ["-c", code])).stdout == "200\n"


async def test_a_refusal_is_in_the_log_and_in_the_warnings(open_box: Open, web: Server) -> None:
    box = await open_box("api.example.com")
    execution = await box.run("[get(f'http://{n}.example.com/') for n in ('api', 'evil', 'evil')]; None")
    assert len(execution.warnings) == 1
    assert "'evil.example.com:80'" in execution.warnings[0]
    assert "2 times" in execution.warnings[0]
    first, second, _ = await box.network.log()
    assert (first.host, first.allowed, first.rule, first.method) == ("api.example.com", True, "api.example.com", "GET")
    assert (second.host, second.allowed, second.rule) == ("evil.example.com", False, "evil.example.com:80")
    assert first.received > 0
    assert (await box.run("1")).warnings == ()


@pytest.mark.parametrize("url", ["https://api.example.com/", "http://api.example.com/"])
async def test_an_allowed_host_that_is_not_found_is_not_denied(open_box: Open, url: str) -> None:
    box = await open_box("api.example.com")
    execution = await box.run(f"urllib.request.urlopen({url!r})", check=False)
    assert "502" in str(execution.exception)
    assert execution.cause is None
    assert execution.warnings == ()
    (entry,) = await box.network.log()
    assert (entry.allowed, "cannot be resolved" in entry.reason) == (True, True)


async def test_code_that_fails_for_a_refusal_has_a_cause(open_box: Open) -> None:
    box = await open_box("api.example.com")
    execution = await box.run("urllib.request.urlopen('https://evil.example.com/')", check=False)
    assert execution.cause == "denied"
    assert "evil.example.com:443" in str(execution.cause.message)


async def test_a_refusal_is_read_by_who_sends_a_large_body_first(open_box: Open, web: Server) -> None:
    """Closing with something unread resets the connection, and the kernel drops the answer with it."""
    box = await open_box("api.example.com")
    execution = await box.run("urllib.request.urlopen('http://evil.example.com/', data=bytes(20_000_000))", check=False)
    assert "HTTP Error 403" in str(execution.exception)


class _Answers:
    """A link whose other side has answered, and takes nothing but the head."""

    def __init__(self) -> None:
        self._answer, self._taken = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", 0

    async def receive(self) -> bytes:
        for _ in range(20):
            await asyncio.sleep(0)  # the body is refused first
        answer, self._answer = self._answer, b""
        return answer

    async def send(self, data: bytes) -> None:
        self._taken += 1
        if self._taken > 1:
            raise BrokenPipeError

    async def end(self) -> None:
        """It has."""

    def close(self) -> None:
        """Nothing to let go of."""


async def test_a_server_that_takes_no_more_of_a_body_is_heard_on_why() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        theirs.sendall(b"POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 100000\r\n\r\n" + bytes(50_000))
        client, server = HttpEnd(SocketLink(ours), h11.SERVER), HttpEnd(_Answers(), h11.CLIENT)
        request = await client.receive(20)
        await exchange(client, server, request, Target("a.b", 80, b"/"))
        assert theirs.recv(1000).startswith(b"HTTP/1.1 413 Too Large")
