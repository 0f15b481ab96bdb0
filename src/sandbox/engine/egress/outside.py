"""The host's side of the way out: names are resolved, addresses connected to. Tests give the proxy another one."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from sandbox.network.hosts import Address

_CONNECT_SECONDS = 15.0
# What the kernel may keep of what is sent to code that does not read it: it is the host's memory.
_BUFFER_BYTES = 512 * 1024
_RESOLVE_SECONDS = 15.0
# A slow name server holds one of these, and nothing else of the engine.
_MOST_RESOLVING = 32


class Outside:
    """The host's network."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    async def resolve(self, name: str, port: int) -> list[Address]:
        """The addresses of a name, in the order in which they are to be tried. Raises OSError, TimeoutError."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_MOST_RESOLVING, "sandbox-resolver")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_RESOLVE_SECONDS):
            return await loop.run_in_executor(self._threads, _addresses, name, port)

    def is_own(self, address: Address) -> bool:
        """Whether the host has this public address: what listens on it may rely on a firewall that is passed by here.

        Connecting a datagram socket sends nothing. Raises OSError where that cannot be found out.
        """
        try:
            probe = socket.socket(_family(address), socket.SOCK_DGRAM)
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT:
                return False  # a host without IPv6 has no address of it
            raise
        with probe, contextlib.suppress(OSError):
            probe.connect((str(address), 53))
            return str(probe.getsockname()[0]) == str(address)
        return False

    async def connect(self, address: Address, port: int) -> socket.socket:
        """A connection to an address. Raises OSError, TimeoutError."""
        made = socket.socket(_family(address), socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(_CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(made, (str(address), port))
        except BaseException:
            made.close()
            raise
        return made

    def authorities(self) -> ssl.SSLContext:
        """Whose certificates the host believes, for connections that the proxy itself makes by TLS."""
        import ssl  # noqa: PLC0415 - 20 ms, for who has secrets

        return ssl.create_default_context()

    def close(self) -> None:
        """Resolve no more."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def _addresses(name: str, port: int) -> list[Address]:
    from sandbox.network.hosts import parsed_address  # noqa: PLC0415 - ipaddress, for who has a policy

    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    texts = dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found)
    return [parsed_address(text) for text in texts]


def _family(address: Address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6
