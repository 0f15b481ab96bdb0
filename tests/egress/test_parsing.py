"""Bytes of hostile code, read by the engine: nothing but the error that is meant comes of them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sandbox.engine.egress import client_hello
from sandbox.engine.egress.border import Border
from sandbox.engine.egress.client_hello import BadHello, Hello
from sandbox.engine.egress.conversation import Conversation
from sandbox.engine.egress.http_end import HttpEnd
from sandbox.engine.egress.journal import Journal
from sandbox.engine.egress.outside import Outside
from sandbox.engine.egress.secrets import Secrets, Substitution
from sandbox.network.hosts import Address, parsed_address
from sandbox.protocol.messages import PolicySpec, SecretSpec


def hello(name: str | None, *, old: bool = False) -> bytes:
    """What the standard library sends first."""
    context = ssl._create_unverified_context()
    if old:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


REAL = hello("api.example.com")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", ["api.example.com", "x" * 60 + ".example.com", None])
def test_the_name_of_a_real_hello_is_found(name: str | None, old: bool) -> None:
    assert client_hello.parse(hello(name, old=old)) == Hello(name or "")


def test_each_part_of_a_hello_is_waited_for() -> None:
    assert {client_hello.parse(REAL[:size]) for size in range(len(REAL))} == {None}


@given(st.lists(st.integers(1, 200), max_size=8))
def test_a_hello_may_come_in_several_records(sizes: list[int]) -> None:
    body, records, at = REAL[5:], b"", 0
    for size in [*sizes, len(REAL)]:
        piece, at = body[at : at + size], at + size
        if piece:
            records += b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece
    assert client_hello.parse(records) == Hello("api.example.com")


@given(st.binary(max_size=400))
@example(b"\x16\x03\x01\xff\xff")
@example(b"\x16\x03\x01\x00\x00")
def test_no_bytes_raise_anything_but_a_bad_hello(data: bytes) -> None:
    try:
        found = client_hello.parse(data)
    except BadHello:
        return
    assert found is None or isinstance(found, Hello)


@given(st.integers(0, len(REAL) - 1), st.binary(min_size=1, max_size=4))
def test_no_change_of_a_hello_raises_anything_but_a_bad_hello(at: int, new: bytes) -> None:
    test_no_bytes_raise_anything_but_a_bad_hello.hypothesis.inner_test(  # type: ignore[attr-defined]
        REAL[:at] + new + REAL[at + len(new) :]
    )


def _with_extensions(*extensions: tuple[int, bytes], tail: bytes = b"") -> bytes:
    content = b"".join(kind.to_bytes(2, "big") + len(one).to_bytes(2, "big") + one for kind, one in extensions)
    body = (
        b"\x03\x03"
        + bytes(32)
        + b"\x00"
        + b"\x00\x02\x13\x01"
        + b"\x01\x00"
        + len(content).to_bytes(2, "big")
        + content
    )
    message = b"\x01" + len(body + tail).to_bytes(3, "big") + body + tail
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def _names(*names: bytes, kind: int = 0) -> bytes:
    listed = b"".join(bytes([kind]) + len(name).to_bytes(2, "big") + name for name in names)
    return len(listed).to_bytes(2, "big") + listed


def test_a_hello_that_says_two_things_is_refused() -> None:
    assert client_hello.parse(_with_extensions((0, _names(b"a.b")))) == Hello("a.b")
    for bad in (
        _with_extensions((0, _names(b"a.b")), (0, _names(b"c.d"))),
        _with_extensions((0, _names(b"a.b", b"c.d"))),
        _with_extensions((0, _names(b"a.b", kind=1))),
        _with_extensions((0, _names(b"a.b") + b"x")),
        _with_extensions((0, b"")),
        _with_extensions((0, _names("\u00fc".encode()))),
        _with_extensions((0, _names(b"a.b")), (0xFE0D, b"encrypted")),
        _with_extensions((0, _names(b"a.b")), tail=b"more"),
    ):
        with pytest.raises(BadHello):
            client_hello.parse(bad)


def test_a_hello_without_an_end_is_not_kept_for_ever() -> None:
    record = b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + bytes((1 << 14) - 4)
    with pytest.raises(BadHello, match="longer than"):
        client_hello.parse(record + 3 * (b"\x16\x03\x01\x40\x00" + bytes(1 << 14)))


def test_a_hello_in_very_many_records_is_not_read_anew_for_each_byte() -> None:
    body = b"\x01\x00\xff\xff" + bytes(40)
    with pytest.raises(BadHello, match="records"):
        client_hello.parse(b"".join(b"\x16\x03\x01\x00\x01" + body[at : at + 1] for at in range(len(body))))


_LINES = b"a:\r\n" * 600
_CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
_FEW = b"a:\r\n" * 40


@pytest.mark.parametrize("size", [7, 64 * 1024])
@pytest.mark.parametrize(
    ("said", "good"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + _LINES + b"\r\n", 0),
        (2 * (b"GET / HTTP/1.1\r\nHost: a\r\n" + _FEW + b"\r\n") + b"GET / HTTP/1.1\r\n" + _LINES, 2),
        (_CHUNKED + b"0\r\n" + _LINES + b"\r\n", 0),
        (_CHUNKED + b"000;x=y\r\n" + _LINES, 0),
        (2 * (_CHUNKED + b"3\r\n0\r\n\r\n0\r\n" + _FEW + b"\r\n"), 2),
        (_CHUNKED + b"960\r\n" + _LINES + b"\r\n0\r\n\r\n", 1),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2403\r\n\r\n0\r\n" + _LINES, 1),
    ],
)
def test_lines_before_and_after_a_body_are_counted_before_they_are_read(said: bytes, good: int, size: int) -> None:
    """Else 16000 of them would keep the engine from everything else for a tenth of a second, again and again."""

    async def requests() -> int:
        end = HttpEnd(_Told(said, size), h11.SERVER)
        count = 0
        while True:
            try:
                event = await end.receive(20)
            except h11.RemoteProtocolError as error:
                assert "lines" in str(error)  # noqa: PT017 - all that may be raised
                return count
            if isinstance(event, h11.EndOfMessage):
                count += 1
                end.state.send(h11.Response(status_code=200, headers=[(b"Content-Length", b"0")]))
                end.state.send(h11.EndOfMessage())
                end.state.start_next_cycle()
            if isinstance(event, h11.ConnectionClosed):
                return count

    assert asyncio.run(requests()) == good


class _Told:
    """A link whose other side says this, in pieces of a size."""

    def __init__(self, said: bytes, size: int) -> None:
        self._said, self._size = said, size

    async def receive(self) -> bytes:
        piece, self._said = self._said[: self._size], self._said[self._size :]
        return piece

    async def send(self, data: bytes) -> None:
        """Nobody listens."""

    async def end(self) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nothing to let go of."""


class Nowhere(Outside):
    """Every name is a public address, at which a server takes all that comes and answers nothing good."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[socket.socket] = []

    async def resolve(self, name: str, port: int) -> list[Address]:
        return [parsed_address("93.184.216.34")]

    def is_own(self, address: Address) -> bool:
        return False

    async def connect(self, address: Address, port: int) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        theirs.shutdown(socket.SHUT_WR)
        self.others.append(theirs)
        return ours


_PIECES = [
    b"GET ", b"POST ", b"CONNECT ", b"http://", b"api.example.com", b":443", b":80", b"/", b" HTTP/1.1", b"\r\n",
    b"Host: ", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n",
    b"\x00", b"\n",
    b"Expect: 100-continue", b"Connection: close", b"\x16\x03\x01", REAL, b"[::1]", b"@", b"%", b"\xff",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(_PIECES) | st.binary(max_size=20), max_size=30).map(b"".join))
@example(b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n" + REAL)
@example(b"CONNECT api.example.com:80 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
@example(b"GET http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n" * 3)
def test_no_bytes_raise_anything_in_the_proxy(said: bytes) -> None:
    async def converse() -> None:
        nowhere = Nowhere()
        border = Border(Journal(), (), nowhere)
        border.set("policy", PolicySpec(("*:*", "tcp://*:22")))
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            theirs.sendall(said)
            theirs.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(20):
                await Conversation(border, ours).serve()
        for one in nowhere.others:
            one.close()

    asyncio.run(converse())


_VALUE = "a-secret-value"


@given(st.lists(st.sampled_from([_VALUE, _VALUE[:5], _VALUE[3:], "a", "-", "other"])), st.lists(st.integers(1, 40)))
def test_a_value_is_taken_out_however_an_answer_is_cut(texts: list[str], sizes: list[int]) -> None:
    text = "".join(texts)
    (secret,) = Secrets([SecretSpec("KEY", _VALUE, ("a.b",))]).of("a.b")
    substitution: Any = Substitution([secret], b"GET")
    data, found = text.encode(), b""
    for size in [*sizes, len(data) + 1]:
        piece, data = data[:size], data[size:]
        found += substitution.body(piece, last=False)
    found += substitution.body(b"", last=True)
    assert found.decode() == text.replace(_VALUE, secret.placeholder)


@given(st.lists(st.sampled_from([_VALUE, _VALUE[:9], "a", "-"]), min_size=1, max_size=6), st.lists(st.integers(1, 20)))
@example([_VALUE], [9])
def test_of_two_values_of_which_one_begins_the_other_nothing_is_left(texts: list[str], sizes: list[int]) -> None:
    """However the answer is cut: else the rest of the longer one would follow the placeholder of the shorter one."""
    specs = [SecretSpec("SHORT", _VALUE[:9], ("a.b",)), SecretSpec("LONG", _VALUE, ("a.b",))]
    secrets = Secrets(specs).of("a.b")
    whole: Any = Substitution(secrets, b"GET")
    pieces: Any = Substitution(secrets, b"GET")
    data, found = "".join(texts).encode(), b""
    expected = whole.taken_out(data)
    for size in [*sizes, len(data) + 1]:
        piece, data = data[:size], data[size:]
        found += pieces.body(piece, last=False)
    assert found + pieces.body(b"", last=True) == expected


def test_what_h11_takes_for_a_target_is_what_is_decided_about() -> None:
    """h11 refuses what has blanks or control characters in it, so that no second line can be hidden in a target."""
    for target in (b"http://a.b/ HTTP/1.1\r\nX: y", b"http://a.b/\x00", b"http://a.b/\n"):
        with pytest.raises(h11.LocalProtocolError):
            h11.Request(method=b"GET", target=target, headers=[(b"Host", b"a.b")])
