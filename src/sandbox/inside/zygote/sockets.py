"""Sockets in a worker's network, made for the engine, which connects them itself.

So a web app inside is reached without a process in the sandbox that could be taken over, and without a way from the
inside to anywhere: what is in the worker's network can only be connected to.
"""

import os
import socket

from .. import kernel


class NoWayBack(Exception):
    """The zygote could not return to its own network: it must not go on in a worker's."""


def own_network() -> int:
    """Return a descriptor of the caller's own network namespace, for `make`."""
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def make(own_namespace: int, worker: int) -> socket.socket:
    """Return a TCP socket, not connected, in the network of the process behind the pidfd `worker`. Raises OSError.

    A socket stays in the network in which it was made, whoever uses it. Raises NoWayBack.
    """
    kernel.setns(worker, kernel.CLONE_NEWNET)
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    finally:
        try:
            kernel.setns(own_namespace, kernel.CLONE_NEWNET)
        except OSError as error:
            raise NoWayBack(str(error)) from error
