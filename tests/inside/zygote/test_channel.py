"""Messages between engine, keeper and zygote: whole, with their descriptors, and to the last one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from sandbox.inside.zygote import channel

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


def test_a_message_comes_with_its_descriptors(ends: Ends) -> None:
    ours, theirs = ends
    channel.send(theirs, {"x": 1}, (ours.fileno(),))
    received = channel.receive(ours)
    assert received is not None
    message, (fd,) = received
    assert (message, os.fstat(fd)) == ({"x": 1}, os.fstat(ours.fileno()))
    os.close(fd)


def test_what_was_said_before_the_end_is_heard_though_something_of_ours_was_never_read(ends: Ends) -> None:
    """A keeper that misses the engine's goodbye takes the engine for dead and removes all that it has."""
    ours, theirs = ends
    channel.send(ours, {"zygote_ended": -9})
    channel.send(theirs, {"goodbye": True})
    theirs.close()
    assert channel.receive(ours) == ({"goodbye": True}, [])
    assert channel.receive(ours) is None


def test_the_end_is_the_end_though_something_of_ours_was_never_read(ends: Ends) -> None:
    ours, theirs = ends
    channel.send(ours, {"zygote_ended": -9})
    theirs.close()
    assert channel.receive(ours) is None
