"""Frames stay whole, whatever signals come while they are sent."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Self

import pytest

from sandbox.inside.python.channel import Channel
from sandbox.inside.wire import frames


class Raised(OSError):
    """What a signal's handler raises: of a kind that a write might raise by itself."""


class Engine:
    """The other end. Once a frame has begun to arrive it sends a signal, and reads on when that was handled."""

    def __init__(self, control: socket.socket, ack: int, sender: socket.socket) -> None:
        self.received: list[bytes] = []
        self._control, self._ack = control, ack
        self._sender = sender
        self._handled = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        signal.signal(signal.SIGUSR1, self._on_signal)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(20)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)

    def no_more(self) -> None:
        """Nothing more is sent: read what is there, and end."""
        self._sender.shutdown(socket.SHUT_WR)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._handled.set()
        raise Raised

    def _read(self) -> None:
        buffer = frames.FrameBuffer()
        data = self._control.recv(1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        assert self._handled.wait(20)
        while data:
            for frame in buffer.feed(data):
                self.received.append(frame)
                if b'"ack"' in frame:
                    os.write(self._ack, b"\1")
            data = self._control.recv(1 << 16)


@pytest.fixture
def channel() -> Iterator[tuple[Channel, Engine]]:
    ours, theirs = socket.socketpair()
    ack_read, ack_write = os.pipe()
    channel = Channel()
    channel.open(ours.fileno(), ack_read)
    with ours, theirs:
        yield channel, Engine(theirs, ack_write, ours)
    os.close(ack_read)
    os.close(ack_write)


LARGE = {"event": "result", "data": {"text/plain": "x" * 5_000_000}}


def test_a_frame_is_sent_whole_when_a_signal_handler_raises_in_the_middle(channel: tuple[Channel, Engine]) -> None:
    sender, engine = channel
    with engine:
        with pytest.raises(Raised):
            sender.send(LARGE)
        sender.send({"event": "mark"})
        engine.no_more()
    assert [len(frame) > 5_000_000 for frame in engine.received] == [True, False]


def test_a_mark_after_an_interrupted_one_does_not_wait_for_ever(channel: tuple[Channel, Engine]) -> None:
    sender, engine = channel
    with engine:
        with pytest.raises(Raised):
            sender.mark(LARGE)
        sender.mark()
        engine.no_more()
    assert len(engine.received) == 2
