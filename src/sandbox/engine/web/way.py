"""The way to a port inside a sandbox: a connected socket, made from outside."""

from __future__ import annotations

import asyncio
import errno
import socket

from sandbox.engine.launcher import Cell
from sandbox.errors import SandboxConnectionError, UsageError
from sandbox.inside.contain.policy import LANDLOCK, NONE

_LOOPBACK = "127.0.0.1"
_CONNECT_SECONDS = 30.0
# What the kernel may keep of what an app sends to somebody who does not read: it is the host's memory.
_RECEIVE_BYTES = 128 * 1024


def shares_the_hosts_network(cell: Cell) -> bool:
    """Whether code in a sandbox listens on the host's own loopback. Raises UsageError where it cannot listen at all."""
    spec, options = cell.zygote.spec, cell.options
    if options.network == "host" or spec.level == NONE or "network_namespace" in options.without:
        return True
    if spec.level == LANDLOCK:
        raise UsageError(
            "a web app needs a network of its own, and isolation='landlock' has none: an app would listen on the "
            "host's, where Landlock can restrict its ports and not its addresses. Use isolation='namespaces', or "
            "network='host' to give it the host's network"
        )
    return False


def has_own_network(cell: Cell) -> bool:
    """Whether a port of its loopback is nobody else's."""
    try:
        return not shares_the_hosts_network(cell)
    except UsageError:
        return False


async def connect(cell: Cell, port: int) -> socket.socket:
    """Return a socket that is connected to a port of the sandbox's loopback. Raises OSError if nobody listens there."""
    if not cell.worker.alive:
        raise OSError(errno.ESRCH, "the worker has ended")
    made = await _made(cell)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        async with asyncio.timeout(_CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(made, (_LOOPBACK, port))
    except BaseException:
        made.close()
        raise
    return made


async def _made(cell: Cell) -> socket.socket:
    if shares_the_hosts_network(cell):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        return made
    try:
        return await cell.zygote.make_socket(cell.worker.pidfd)
    except SandboxConnectionError as error:
        raise OSError(errno.ESRCH, str(error)) from error


async def is_taken(cell: Cell, port: int) -> bool:
    """Whether somebody inside listens on a port."""
    try:
        (await connect(cell, port)).close()
    except OSError:
        return False
    return True
