"""What hostile code tries with tunnels. Each attack has a control, in which what stops it is switched off."""

from __future__ import annotations

import pytest
from tests.egress.conftest import PUBLIC, Internet, Open, Server, TlsServer, value

from sandbox.engine.egress import targets

pytestmark = pytest.mark.needs_namespaces

Patch = pytest.MonkeyPatch

_TLS = """
import ssl
def tls(tunnel, name, host=None):
    '''Ask through a tunnel by TLS that names another server.'''
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", 3128), timeout=30) as s:
        s.sendall(f"CONNECT {tunnel} HTTP/1.1\\r\\nHost: {tunnel}\\r\\n\\r\\n".encode())
        said = s.recv(65536)
        if b" 200 " not in said:
            return said.decode()
        try:
            with context.wrap_socket(s, server_hostname=name) as t:
                t.sendall(f"GET / HTTP/1.1\\r\\nHost: {host or name}\\r\\nConnection: close\\r\\n\\r\\n".encode())
                return t.recv(65536).decode()
        except OSError as error:
            return str(error)
"""


@pytest.mark.parametrize("name", ["other.example.com", None, "api.example.com.evil.com", "xapi.example.com"])
async def test_a_tunnel_is_for_the_host_that_it_names(open_box: Open, tls: TlsServer, name: str | None) -> None:
    box = await open_box("api.example.com")
    await box.run(_TLS)
    assert "200 OK" in await value(box, "tls('api.example.com:443', 'api.example.com')")
    tls.seen.clear()
    assert "ALERT_ACCESS_DENIED" in (await value(box, f"tls('api.example.com:443', {name!r})")).upper().replace(
        " ", "_"
    )
    assert tls.seen == []
    last = (await box.network.log())[-1]
    assert (last.allowed, "in a tunnel to api.example.com:443" in last.reason) == (False, True)


async def test_the_control_of_tunnels(open_box: Open, tls: TlsServer, monkeypatch: Patch) -> None:
    monkeypatch.setattr(targets, "same_name", lambda sent, host: True)
    box = await open_box("api.example.com")
    await box.run(_TLS)
    assert "200 OK" in await value(box, "tls('api.example.com:443', 'other.example.com')")
    assert dict(tls.seen[0][2])["Host"] == "other.example.com"


async def test_an_address_that_a_rule_names_takes_tls_without_a_name(open_box: Open, tls: TlsServer) -> None:
    box = await open_box(f"{PUBLIC}:443")
    await box.run(_TLS)
    assert "200 OK" in await value(box, f"tls('{PUBLIC}:443', None, 'x')")
    assert "200 OK" not in await value(box, f"tls('{PUBLIC}:443', 'other.example.com')")


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\x01\x02binary", b"SSH-2.0-x\r\n", b"EHLO x\r\n", b"GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n",
        b"GET http://evil.example.com/ HTTP/1.1\r\nHost: evil.example.com\r\n\r\n", b"\x16\x03\x01\x00\x05hello",
        b"CONNECT evil.example.com:443 HTTP/1.1\r\nHost: evil.example.com\r\n\r\n", b"\x16\x03\x01\x00\x00",
    ],
)  # fmt: skip
async def test_what_is_not_for_its_host_does_not_go_through_a_tunnel(
    open_box: Open, internet: Internet, web: Server, said: bytes
) -> None:
    internet.name("evil.example.com", [PUBLIC])
    internet.place(PUBLIC, 443, web.address)
    box = await open_box("api.example.com")
    for port in (80, 443):
        head = f"CONNECT api.example.com:{port} HTTP/1.1\r\nHost: api.example.com\r\n\r\n".encode()
        await value(box, f"say({head!r}, {said!r})")
        await value(box, f"say({head + said!r})")
    assert web.seen == []


async def test_a_rule_for_tcp_lets_anything_through_to_that_port_alone(
    open_box: Open, internet: Internet, web: Server
) -> None:
    """It is the control of the one before, and what it takes to let a protocol through that the proxy does not know."""
    internet.place(PUBLIC, 2222, web.address)
    box = await open_box("tcp://api.example.com:2222")
    head, said = b"CONNECT api.example.com:2222 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: evil\r\n\r\n"
    assert '"Host": "evil"' in await value(box, f"say({head!r}, {said!r})")
    assert (await value(box, "say(b'CONNECT api.example.com:22 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')"))[
        :12
    ] == "HTTP/1.1 403"
