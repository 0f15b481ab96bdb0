"""Pairs of descriptors for a new process: one end stays here, the other is closed once the process has its copy.

Each end goes into a stack at once, so that where the next one cannot be made, none is left open.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack


def sockets(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    """A pair of stream sockets: ours and theirs."""
    one, other = socket.socketpair()
    return ours.enter_context(one), theirs.enter_context(other)


def pipe(reads: ExitStack, writes: ExitStack, flags: int = 0) -> tuple[int, int]:
    """The end to read from and the one to write to."""
    one, other = os.pipe2(os.O_CLOEXEC | flags)
    reads.callback(os.close, one)
    writes.callback(os.close, other)
    return one, other


def null(theirs: ExitStack) -> int:
    """An input with nothing in it."""
    fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    theirs.callback(os.close, fd)
    return fd


def given(theirs: ExitStack, fds: list[int]) -> list[int]:
    """Others that are only lent."""
    for fd in fds:
        theirs.callback(os.close, fd)
    return fds
