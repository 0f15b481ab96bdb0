"""What a zygote hands out as a socket in a worker's network, looked at before it is used."""

from __future__ import annotations

import contextlib
import functools
import os
import socket

_SO_NETNS_COOKIE = 71  # linux/socket.h, since 5.14: which network namespace a socket is in


class NotInside(Exception):
    """A descriptor is not what was asked for: one new TCP socket in another network than the engine's own."""


def the_socket(fds: list[int]) -> socket.socket:
    """Return the one socket of a message. Raises NotInside, with everything closed."""
    try:
        (fd,) = fds
        made = socket.socket(fileno=fd)
    except (ValueError, OSError) as error:
        for one in fds:
            os.close(one)
        raise NotInside(f"{len(fds)} descriptors where one socket was asked for") from error
    wrong = _wrong(made)
    if wrong:
        made.close()
        raise NotInside(f"a socket that {wrong}")
    made.setblocking(False)
    return made


def _wrong(made: socket.socket) -> str:
    """What is not right with a socket, or nothing."""
    kind = made.family, made.type, made.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL)
    if kind != (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP):
        return "is not one of TCP"
    if made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "listens"
    with contextlib.suppress(OSError):
        made.getpeername()
        return "is connected already"
    if made.getsockname() != ("0.0.0.0", 0):  # noqa: S104 - not bound to anything
        return "is bound already"
    if _network(made) is not None and _network(made) == _own_network():
        return "is in the host's network"
    return ""


def _network(one: socket.socket) -> bytes | None:
    """Which network a socket is in; None where the kernel does not say."""
    try:
        return one.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
    except OSError:
        return None


@functools.cache
def _own_network() -> bytes | None:
    with socket.socket() as own:
        return _network(own)
