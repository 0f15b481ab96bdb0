"""What hostile code tries to be led to the host, or to what only the host can reach. Each attack has a control."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import pytest
from tests.egress.conftest import OTHER, PUBLIC, Internet, Open, Server, value

from sandbox import NetworkPolicy
from sandbox.engine.egress import gate, targets
from sandbox.engine.egress.gate import Gate, Unreachable
from sandbox.engine.egress.outside import Outside
from sandbox.network import hosts
from sandbox.network.hosts import Address, parsed_address
from sandbox.network.rules import Rules

pytestmark = pytest.mark.needs_namespaces

Patch = pytest.MonkeyPatch

_PRIVATE = [
    "127.0.0.1", "10.0.0.5", "169.254.169.254", "192.168.1.1", "172.16.0.1", "100.100.100.200", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "192.0.0.192", "168.63.129.16", "::1", "::", "fd00:ec2::254", "fe80::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001::1",
    "::127.0.0.1", "fec0::1",
]  # fmt: skip
_SPELLINGS = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.1.",
    "127.000.000.001", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]",
    "[fe80::1%25lo]", "[fe80::1%lo]", "[::1%1]", "%31%32%37.0.0.1", "user@127.0.0.1", "127.0.0.1%2f.example.com",
    "0", "0.0.0.0", "localhost", "LOCALHOST", "localhost.", "1\uff127.0.0.1",
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", "[::ffff:0:127.0.0.1]",
    "169.254.169.254", "0xa9fea9fe", "2852039166", "169.254.43518",
]  # fmt: skip


def _reading_as_others_do(patch: Patch) -> None:
    """Let every spelling be what the C library makes of it."""
    import ipaddress
    import socket

    def read(text: str, default: int = 80) -> Any:
        host, _, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
        host = host or text
        try:
            return ipaddress.ip_address(socket.inet_ntoa(socket.inet_aton(host))), int(port or default)
        except OSError:
            return hosts.parsed_authority(text, default)

    patch.setattr(targets, "parsed_authority", read)


def _asking(spelling: str) -> list[str]:
    """Requests for a host that is spelled so."""
    return [
        f"GET http://{spelling}/ HTTP/1.1\r\nHost: {spelling}\r\n\r\n",
        f"CONNECT {spelling}:80 HTTP/1.1\r\nHost: {spelling}\r\n\r\nGET / HTTP/1.1\r\nHost: {spelling}\r\n\r\n",
        f"GET http://api.example.com@{spelling}/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
        f"GET http://{spelling}#@api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
        f"GET http://{spelling}\\@api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    ]


async def test_no_spelling_of_an_address_leads_to_the_host(
    open_box: Open, internet: Internet, metadata: Server
) -> None:
    internet.name("localhost", ["127.0.0.1", "::1"])
    box = await open_box("*:*")
    requests = [request.encode() for spelling in _SPELLINGS for request in _asking(spelling)]
    answers = await value(box, f"[say(one)[:12] for one in {requests!r}]")
    allowed = {"HTTP/1.1 403", "HTTP/1.1 400", "HTTP/1.1 502"}
    assert [pair for pair in zip(requests, answers, strict=True) if pair[1] not in allowed] == []
    assert (metadata.seen, internet.connected) == ([], [])


async def test_the_control_of_spellings(
    open_box: Open, metadata: Server, internet: Internet, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(gate, "not_public", lambda address: "")
    _reading_as_others_do(monkeypatch)
    box = await open_box("*:*")
    for spelling in ("2130706433", "0x7f.1", "017700000001", "127.1"):
        await value(box, f"say(b'GET http://{spelling}/ HTTP/1.1\\r\\nHost: {spelling}\\r\\n\\r\\n')")
    assert internet.connected == [("127.0.0.1", 80)] * 4


async def test_a_name_does_not_lead_to_a_private_address(open_box: Open, internet: Internet, metadata: Server) -> None:
    for number, address in enumerate(_PRIVATE):
        internet.name(f"innocent{number}.example.com", [address])
    box = await open_box("*.example.com")
    answers = await value(
        box, f"[get(f'{{s}}://innocent{{n}}.example.com/') for n in range({len(_PRIVATE)}) for s in ('http', 'https')]"
    )
    for address, (status, body), (_, tunnel) in zip(_PRIVATE, answers[::2], answers[1::2], strict=True):
        assert (status, "not public" in body, "403" in tunnel) == (403, True, True), address
        assert address not in body  # what names mean in the host's network is for the host's user
    reasons = {entry.reason for entry in await box.network.log()}
    assert any("10.0.0.5, which is not a public address (private)" in reason for reason in reasons)
    assert internet.connected == []


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "fd00:ec2::254"])
async def test_the_control_of_private_addresses(
    open_box: Open, internet: Internet, metadata: Server, address: str, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(gate, "not_public", lambda address: "")
    internet.name("innocent.example.com", [address])
    box = await open_box("innocent.example.com")
    assert (await value(box, "get('http://innocent.example.com/')"))[0] == 200
    assert len(metadata.seen) == 1


async def test_a_rule_that_names_a_private_address_opens_that_and_no_other(
    open_box: Open, internet: Internet, metadata: Server
) -> None:
    internet.name("db.example.com", ["10.0.0.5"])
    internet.name("meta.example.com", ["169.254.169.254"])
    box = await open_box("db.example.com", "meta.example.com", "10.0.0.0/24:80", "0.0.0.0/0")
    assert (await value(box, "get('http://db.example.com/')"))[0] == 200
    assert (await value(box, "get('http://10.0.0.5/')"))[0] == 200
    assert (await value(box, "get('http://meta.example.com/')"))[0] == 403
    assert (await value(box, "get('http://169.254.169.254/')"))[0] == 403
    assert len(metadata.seen) == 2


async def test_a_name_that_resolves_anew_to_a_private_address_is_not_followed(
    open_box: Open, internet: Internet, web: Server, metadata: Server
) -> None:
    """It is resolved once for each request, and what was looked at is what is connected to."""
    internet.name("rebind.example.com", [PUBLIC], ["127.0.0.1"])
    box = await open_box("rebind.example.com")
    assert (await value(box, "get('http://rebind.example.com/')"))[0] == 200
    assert (internet.resolved, internet.connected) == (["rebind.example.com"], [(PUBLIC, 80)])
    assert (await value(box, "get('http://rebind.example.com/')"))[0] == 403
    internet.name("both.example.com", [OTHER, "127.0.0.1"])  # nobody listens at the first
    await box.network.set(NetworkPolicy(["both.example.com"]))
    assert (await value(box, "get('http://both.example.com/')"))[0] == 502
    assert internet.connected[1:] == [(OTHER, 80)]
    assert metadata.seen == []


async def test_the_control_of_rebinding(
    open_box: Open, internet: Internet, web: Server, metadata: Server, monkeypatch: Patch
) -> None:
    """A proxy that looks at one answer and connects by another one is led to the loopback."""
    looked = gate.Gate.way

    async def way(self: gate.Gate, kinds: Any, host: Any, port: int) -> gate.Way:
        found = await looked(self, kinds, host, port)
        return found._replace(addresses=await self.outside.resolve(host, port))

    monkeypatch.setattr(gate.Gate, "way", way)
    monkeypatch.setattr(gate.Gate, "still_allows", lambda *_: True)
    internet.name("rebind.example.com", [PUBLIC], ["127.0.0.1"])
    box = await open_box("rebind.example.com")
    assert (await value(box, "get('http://rebind.example.com/')"))[0] == 200
    assert len(metadata.seen) == 1


@pytest.mark.parametrize(
    "place", ["http://169.254.169.254/", "http://127.0.0.1:80/", "http://[::1]/", "http://in.example.com/"]
)
async def test_a_redirect_leads_nowhere_else(
    open_box: Open, internet: Internet, web: Server, metadata: Server, place: str
) -> None:
    internet.name("in.example.com", ["10.0.0.5"])
    web.status, web.headers = 302, [("Location", place)]
    box = await open_box("*:*")
    await box.run("os.environ['no_proxy'] = os.environ['NO_PROXY'] = ''")  # that it asks for the loopback, too
    assert (await value(box, "get('http://api.example.com/')"))[0] == 403
    assert metadata.seen == []


async def test_the_control_of_redirects(open_box: Open, web: Server, metadata: Server, monkeypatch: Patch) -> None:
    monkeypatch.setattr(gate, "not_public", lambda address: "")
    web.status, web.headers = 302, [("Location", "http://169.254.169.254/")]
    box = await open_box("*:*")
    assert (await value(box, "get('http://api.example.com/')"))[0] == 200
    assert len(metadata.seen) == 1


def _without(family: socket.AddressFamily, error: int, patch: Patch) -> None:
    """Let the host make no socket of a family."""
    make = socket.socket

    def made(which: int = socket.AF_INET, *rest: Any, **options: Any) -> socket.socket:
        if which == family:
            raise OSError(error, os.strerror(error))
        return make(which, *rest, **options)

    patch.setattr(socket, "socket", made)


class _Resolver(Outside):
    async def resolve(self, name: str, port: int) -> list[Address]:
        return [parsed_address("2a00:1450:4001::1"), parsed_address(PUBLIC)]


async def test_a_host_without_ipv6_goes_on_to_the_other_addresses_of_a_name(monkeypatch: Patch) -> None:
    _without(socket.AF_INET6, errno.EAFNOSUPPORT, monkeypatch)
    way = await Gate(Rules(["api.example.com"]), _Resolver()).way(("https",), "api.example.com", 443)
    assert str(way.addresses[-1]) == PUBLIC


async def test_an_address_that_cannot_be_looked_at_is_not_reached_and_says_why(monkeypatch: Patch) -> None:
    checks = Gate(Rules(["api.example.com"]), _Resolver())
    asked = (("https",), "api.example.com", 443)
    assert checks.still_allows(*asked, parsed_address(PUBLIC))
    _without(socket.AF_INET, errno.EMFILE, monkeypatch)
    with pytest.raises(Unreachable, match=r"cannot be found out.*Too many open files"):
        await checks.way(*asked)
    assert not checks.still_allows(*asked, parsed_address(PUBLIC))
