"""What hostile code tries with requests to the proxy. Each attack has a control."""

from __future__ import annotations

import pytest
from tests.egress.conftest import PUBLIC, Internet, Open, Server, value

from sandbox.engine.egress import targets

pytestmark = pytest.mark.needs_namespaces

Patch = pytest.MonkeyPatch


@pytest.mark.parametrize(
    "host", ["evil.example.com", "api.example.com:81", "api.example.com@evil.example.com", "api.example.com, evil", ""]
)
async def test_the_host_header_is_that_of_the_url(open_box: Open, web: Server, host: str) -> None:
    box = await open_box("api.example.com")
    request = f"GET http://api.example.com/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    assert (await value(box, f"say({request!r})"))[:12] == "HTTP/1.1 400"
    twice = b"GET http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\nHost: evil.example.com\r\n\r\n"
    assert (await value(box, f"say({twice!r})"))[:12] == "HTTP/1.1 400"
    assert web.seen == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://2130706433/", "2130706433"),
        ("http://127.1:80/", "127.1:80"),
        ("http://user:secret@api.example.com/", "api.example.com"),
        ("ftp://api.example.com/a", "api.example.com"),
    ],
)
async def test_a_request_that_could_be_read_in_two_ways_is_in_the_log_and_told(
    open_box: Open, url: str, host: str
) -> None:
    box = await open_box("api.example.com")
    request = f"GET {url} HTTP/1.1\r\nHost: api.example.com\r\n\r\n".encode()
    execution = await box.run(f"say({request!r})")
    assert "HTTP/1.1 400" in (execution.text or "")[:14]
    (entry,) = await box.network.log()
    assert (entry.host, entry.allowed, entry.method) == (host, False, "GET")
    assert execution.warnings == (f"network: {entry.reason}",)
    assert "secret" not in entry.host


async def test_the_host_that_a_server_hears_is_never_the_one_that_code_wrote(
    open_box: Open, web: Server, monkeypatch: Patch
) -> None:
    """The control: with the comparison off the request goes on, and still says the host that was decided about."""
    monkeypatch.setattr(targets, "_same", lambda named, target: True)
    box = await open_box("api.example.com")
    await value(box, "say(b'GET http://api.example.com/ HTTP/1.1\\r\\nHost: evil.example.com\\r\\n\\r\\n')")
    assert [dict(headers)["Host"] for _, _, headers, _ in web.seen] == ["api.example.com"]


async def test_each_request_of_a_connection_is_decided_about(open_box: Open, internet: Internet, web: Server) -> None:
    internet.name("evil.example.com", [PUBLIC])
    box = await open_box("api.example.com")
    good = b"GET http://api.example.com/%d HTTP/1.1\r\nHost: api.example.com\r\n\r\n"
    evil = b"GET http://evil.example.com/ HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"
    answer = await value(box, f"say({good % 1 + good % 2 + evil + good % 3!r})")
    assert [answer.count(f"HTTP/1.1 {status}") for status in (200, 403)] == [2, 1]
    assert [path for _, path, _, _ in web.seen] == ["/1", "/2"]


_SMUGGLED = b"0\r\n\r\nGET http://evil.example.com/ HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"


_AFTER = b"\r\n" + _SMUGGLED
_TWO_WAYS = [
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    b"Content-Length: 4\r\nContent-Length: 5\r\n",
    b"Content-Length: +4\r\n",
    b"Content-Length: 0x4\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    b"X: a\rContent-Length: 4\r\n",
    b"X: a\x00b\r\n",
    b" X: a\r\n",
    b"X y: a\r\n",
    b"X" * 70_000 + b": a\r\n",
]


async def test_a_request_that_can_be_read_in_two_ways_is_not_passed_on(open_box: Open, web: Server) -> None:
    box = await open_box("api.example.com")
    head = b"POST http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n"
    answers = await value(box, f"[say({head!r} + one + {_AFTER!r})[:10] for one in {_TWO_WAYS!r}]")
    assert [pair for pair in zip(_TWO_WAYS, answers, strict=True) if pair[1] not in {"HTTP/1.1 4", "HTTP/1.1 5"}] == []
    assert web.seen == []


async def test_the_control_of_requests_with_two_lengths(open_box: Open, web: Server, monkeypatch: Patch) -> None:
    monkeypatch.setattr(targets, "_checked", lambda request, target: target)
    box = await open_box("api.example.com")
    head = b"POST http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n"
    both = b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    await value(box, f"say({head + both!r})")
    assert {"Content-Length", "Transfer-Encoding"} <= set(dict(web.seen[0][2]))


@pytest.mark.parametrize(
    "body", [b"zz\r\nhello\r\n", b"-1\r\nx", b"FFFFFFFFFFFFFFFFF\r\nx", b"5;" + b"x" * 70_000, b"5\r\nhelloXX0\r\n\r\n"]
)
async def test_chunks_that_are_none_end_the_request(open_box: Open, web: Server, body: bytes) -> None:
    box = await open_box("api.example.com")
    head = b"POST http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert "200 OK" not in await value(box, f"say({head + body!r})")
    whole = head + b"5\r\nhello\r\n0\r\n\r\n"
    assert "200 OK" in await value(box, f"say({whole!r})")
    assert [one[3] for one in web.seen] == ["hello"]


async def test_headers_for_the_proxy_are_not_passed_on(open_box: Open, web: Server) -> None:
    """Nor can they be used to drop those that say where a request ends."""
    box = await open_box("api.example.com")
    request = (
        b"POST http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\nConnection: X-One, Content-Length, Host\r\n"
        b"X-One: 1\r\nX-Two: 2\r\nProxy-Authorization: Basic eA==\r\nUpgrade: websocket\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    assert "200 OK" in await value(box, f"say({request!r})")
    _, _, headers, body = web.seen[0]
    assert {"X-One", "Proxy-Authorization", "Upgrade"} & set(dict(headers)) == set()
    assert (dict(headers)["X-Two"], dict(headers)["Content-Length"], body) == ("2", "5", "hello")
