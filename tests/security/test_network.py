"""The network: a loopback of its own, and nothing else."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from sandbox.inside.contain.policy import LANDLOCK

if TYPE_CHECKING:
    from tests.security.conftest import Greeting, Range

_INET, _INET6, _UNIX = int(socket.AF_INET), int(socket.AF_INET6), int(socket.AF_UNIX)
# A documentation network, private networks, cloud metadata, a name server, broadcast, and the same of version 6.
_OUTSIDE = ["192.0.2.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "8.8.8.8", "255.255.255.255"]
_OUTSIDE6 = ["2001:db8::1", "fd00:ec2::254", "fe80::1", "ff02::1"]
_NOWHERE = {"ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EACCES", "EINVAL", "EAFNOSUPPORT"}

pytestmark = pytest.mark.needs_namespaces


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A server on the host's loopback."""
    address = request.param
    try:
        server = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    except OSError as error:
        pytest.skip(f"this machine has no {address}: {error}")
    with server:
        yield server


def test_a_worker_cannot_reach_a_server_on_the_host(lab: Range, server: socket.socket, greeting: Greeting) -> None:
    address, family = server.getsockname(), int(server.family)
    assert lab.attack("connect", address, family).error in {"ECONNREFUSED", "EAFNOSUPPORT", "EADDRNOTAVAIL"}
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.accept()
    with greeting(server):
        assert lab.control("connect", address, family, without=("network_namespace",)).value == "hello"


def test_landlock_alone_keeps_a_worker_from_an_abstract_socket_of_the_host(lab: Range, greeting: Greeting) -> None:
    name = f"\0sandbox-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        found = lab.control("connect", name, _UNIX, without=("network_namespace",))
        if found.error == "":
            pytest.skip("this kernel's Landlock does not know abstract sockets")
        assert found.error == "EPERM"
        with greeting(server):
            assert lab.control("connect", name, _UNIX, without=("landlock", "network_namespace")).value == "hello"


@pytest.mark.parametrize("address", _OUTSIDE)
def test_a_worker_cannot_reach_the_outside(lab: Range, address: str) -> None:
    assert lab.attack("connect", (address, 80)).error in _NOWHERE
    assert lab.attack("datagram_to", (address, 53)).error in _NOWHERE


@pytest.mark.parametrize("address", _OUTSIDE6)
def test_a_worker_cannot_reach_the_outside_by_version_6(lab: Range, address: str) -> None:
    assert lab.attack("connect", (address, 80), _INET6).error in _NOWHERE
    assert lab.attack("datagram_to", (address, 53), _INET6).error in _NOWHERE


def test_with_the_hosts_network_a_worker_has_the_hosts_routes(lab: Range) -> None:
    """The control of the two above: not a packet leaves, since a datagram socket is only given its route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 53))
        except OSError:
            pytest.skip("this machine has no route to anywhere")
        own = probe.getsockname()[0]
    assert lab.attack("address_towards", ("192.0.2.1", 53)).error in _NOWHERE
    assert lab.control("address_towards", ("192.0.2.1", 53), without=("network_namespace",)).value == own
    assert lab.control("address_towards", ("192.0.2.1", 53), network="host").value == own


def test_a_worker_has_one_interface_and_it_is_up(lab: Range) -> None:
    assert lab.attack("interfaces").value == ["lo"]
    assert lab.attack("serve_and_connect", "127.0.0.1", _INET).value == "hello"
    version6 = lab.attack("serve_and_connect", "::1", _INET6)
    assert version6.value == "hello" or not os.path.exists("/proc/net/if_inet6")


def test_names_are_not_resolved(lab: Range) -> None:
    found = lab.attack("resolve", "example.com")
    assert found.value == "gaierror"
    assert found.execution.execution_time < 5


def test_without_namespaces_nothing_can_be_asked_to_connect(lab: Range) -> None:
    """At level landlock the host's network is there. The filter refuses sockets; Landlock refuses connecting by TCP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        assert lab.attack("connect", address, isolation=LANDLOCK).error == "EACCES"
        assert lab.control("connect", address, isolation=LANDLOCK, without=("seccomp.all_sockets",)).error == "EACCES"
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
        off = ("seccomp.all_sockets", "landlock")
        assert lab.control("can_connect", address, isolation=LANDLOCK, without=off).value is True


def test_without_namespaces_the_host_s_network_is_given_by_name_only(lab: Range) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        assert lab.attack("can_connect", address, isolation=LANDLOCK).error == "EACCES"
        assert lab.control("can_connect", address, isolation=LANDLOCK, network="host").value is True
