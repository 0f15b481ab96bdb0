"""Bytes that are almost a request, half of one, or none at all: the server answers or hangs up, and goes on."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.endurance import SECONDS, SOAK
from tests.fuzz.test_targets import almost_right
from tests.serving import Serving

from .conftest import Http

_PATIENCE = 20.0
_MOMENT = 0.1  # in which an answer comes, if the request is whole
_HALF = b"POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
_MANY = 40


@pytest.fixture(scope="module")
def key(serving: Serving) -> str:
    return serving.key("sandboxes", "metrics")


def connected(serving: Serving) -> socket.socket:
    parts = urlsplit(serving.url)
    made = socket.create_connection((parts.hostname or "", parts.port or 0), _PATIENCE)
    made.settimeout(_PATIENCE)
    return made


def answer(serving: Serving, data: bytes) -> bytes:
    """Send bytes, and say that there are no more once an answer has had its time; return all until the server hangs up.

    Not every request asks for the connection to be closed, once it was changed.
    """
    found = b""
    with connected(serving) as made:
        with contextlib.suppress(OSError):
            made.sendall(data)
            select.select([made], [], [], _MOMENT)
            made.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while piece := made.recv(1 << 16):
                found += piece
    return found


def requests(key: str) -> list[bytes]:
    head = f"Host: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n"
    chunks = "3\r\nabc\r\n0\r\n\r\n"
    named = f"{head}Idempotency-Key: {'k' * 16}\r\n"
    body = '{"code": "1 + 1", "timeout": 5}'
    return [
        f"GET /v1/sandboxes HTTP/1.1\r\n{head}\r\n".encode(),
        f"POST /v1/sandboxes/none/executions HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode(),
        f"PUT /v1/sandboxes/none/files/a%2Fb HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n{chunks}".encode(),
        f"GET /v1/sandboxes/none/files/a HTTP/1.1\r\n{head}Range: bytes=0-5\r\n\r\n".encode(),
        f"POST /v1/messages HTTP/1.1\r\n{named}Content-Length: 2\r\n\r\n".encode() + b"\x81\xa2",
    ]  # fmt: skip


@pytest.mark.timeout(SECONDS)
@settings(
    max_examples=100 * SOAK, deadline=None, database=None, derandomize=SOAK == 1, print_blob=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(data=st.data())
def test_what_is_almost_a_request_is_answered_or_hung_up_on(serving: Serving, key: str, data: st.DataObject) -> None:
    found = answer(serving, data.draw(almost_right(requests(key))))
    assert not found or found.startswith(b"HTTP/1."), found[:200]
    assert b"Traceback" not in found
    assert not found.startswith(b"HTTP/1.1 500")


def test_none_of_it_was_a_mistake_of_the_servers(serving: Serving) -> None:
    """After the test above, of the same server."""
    assert "a mistake of this program" not in serving.log
    assert "Traceback" not in serving.log
    assert answer(serving, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.fixture
def half_open(serving: Serving, key: str) -> Iterator[None]:
    """Many callers that begin a request and say no more: in its head, before its body, and in the middle of it."""
    whole = f"{_HALF.decode()}Authorization: Bearer {key}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for number in range(_MANY):
            made = stack.enter_context(connected(serving))
            made.sendall((b"", _HALF, whole, whole + b'{"id": "')[number % 4])
        yield


@pytest.mark.usefixtures("half_open")
async def test_who_begins_and_says_no_more_holds_up_nobody(http: Http) -> None:
    assert (await http("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201
    for number in range(5):
        _, events = await http("POST", "/v1/sandboxes/box/executions", {"code": str(number)})
        assert events[-1]["status"] == "ok"
