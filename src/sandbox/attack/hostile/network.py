"""Sockets of every kind."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

_listening: list[socket.socket] = []


def connect(address: Any, family: int = socket.AF_INET) -> str:
    """Connect a stream socket and return the greeting."""
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(5)
        made.connect(address if isinstance(address, str) else tuple(address))
        return made.recv(64).decode()


def datagram_to(address: Any, family: int = socket.AF_INET) -> int:
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        return made.sendto(b"from inside", address if isinstance(address, str) else tuple(address))


def datagram_by_pair(path: str) -> int:
    """Send from one end of a socket pair, which needs no socket call, to a socket that has a path."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        return one.sendto(b"from inside", path)
    finally:
        one.close()
        other.close()


def can_connect(address: Any, family: int = socket.AF_INET) -> bool:
    """Connect without waiting for an answer."""
    with socket.socket(family) as made:
        made.settimeout(5)
        made.connect(address if isinstance(address, str) else tuple(address))
    return True


def services(paths: list[str]) -> list[str]:
    """Which sockets of the host's programs can be connected to."""
    found = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            found += [path] if can_connect(path, socket.AF_UNIX) else []
    return found


def address_towards(address: Any, family: int = socket.AF_INET) -> str:
    """The own address on the way to another; nothing is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        made.connect(tuple(address))
        return str(made.getsockname()[0])


def listen_on_a_port() -> int:
    """Listen on the loopback until the worker ends; return the port."""
    _listening.append(socket.create_server(("127.0.0.1", 0)))
    return int(_listening[-1].getsockname()[1])


def is_listening(port: int) -> bool:
    return can_connect(("127.0.0.1", port))


def resolve(name: str) -> str:
    """Look a name up; return "gaierror" when there is nobody to ask."""
    try:
        return str(socket.getaddrinfo(name, 443))
    except socket.gaierror:
        return "gaierror"


def serve_and_connect(host: str, family: int) -> str:
    """Talk to ourselves over the loopback."""
    with socket.socket(family) as server, socket.socket(family) as client:
        server.bind((host, 0))
        server.listen()
        client.connect(server.getsockname()[:2])
        accepted, _ = server.accept()
        with accepted:
            client.send(b"hello")
            return accepted.recv(16).decode()


def interfaces() -> list[str]:
    with open("/proc/net/dev", encoding="ascii") as file:
        return [line.partition(":")[0].strip() for line in file.readlines()[2:]]


def other_interfaces() -> list[str]:
    """Interfaces but the loopback."""
    return [name for name in interfaces() if name != "lo"]
