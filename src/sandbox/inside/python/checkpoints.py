"""What an execution changed goes to the engine, and a checkpoint comes back, over a socket of its own.

A delta is `u32 size, header, payload` for each record and a size of 0 at its end; a checkpoint is one header, with
the descriptors of packs, and then the bytes of its small parts one after the other.
"""

import os
import socket
import struct
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from json import dumps, loads  # these, whatever a cell makes of the module
from typing import Any

from ..state.lost import Lost, told
from ..state.parts import Extent, Parts, Place
from ..state.saver import Delta, Saver

Send = Callable[[dict[str, Any]], None]
_LENGTH = struct.Struct("<I")
# Of a smaller delta the engine is told when it is in the socket, so that it need not wait for any of it.
_SMALL = 64 * 1024
_MOST_FDS = 250
_MOST_PIECES = 512
_MOST_LOST = 10_000


class Checkpoints:
    """Made before the fork. `open` connects it in the worker."""

    def __init__(self, main: types.ModuleType) -> None:
        self._saver = Saver(main)
        self._fd = -1
        self._begun = False

    def open(self, fd: int) -> None:
        self._fd = fd

    def prepare(self) -> None:
        """In the zygote: note what every worker has."""
        self._saver.prepare()

    def begin(self) -> None:
        """Before the first cell, or a restore: note what only this worker has so far."""
        if not self._begun:
            self._begun = True
            self._saver.begin()

    def save(self, number: int, codes: Iterable[types.CodeType], source: str, *, whole: bool) -> "_Announced":
        """Work out what the execution changed; return what to announce, with the rest of the way to send it."""
        if whole:
            self._saver.distrust()
        return _Announced(self._fd, number, self._saver.save(number, codes, source))

    def answer(self, request: dict[str, Any], send: Send) -> None:
        """Carry out a request that is about a checkpoint."""
        match request["do"]:
            case "restore":
                send({"event": "restored", "lost": _told(self._received(self._saver.restore))})
            case "check":
                self._check(request, send)
            case "tried":
                self._tried(request, send)

    def _check(self, request: dict[str, Any], send: Send) -> None:
        """In a spare worker: load what may not load, or all there is, and say what did not."""
        networked = _Networked()
        if request["network"]:
            sys.addaudithook(networked.hear)

        def trying(names: list[str]) -> None:
            networked.names = names[:_MOST_LOST]
            send({"event": "trying", "names": networked.names})

        def check(parts: Parts) -> list[Lost]:
            return self._saver.check(parts, whole=request["whole"], trying=trying, bad=request["bad"])

        lost = [one for one in _told(self._received(check)) if one["name"] not in networked.heard]
        send({"event": "checked", "lost": lost})

    def _tried(self, request: dict[str, Any], send: Send) -> None:
        """Hear what came of a trial. If something was lost, answer: the checkpoint has to be another one."""
        lost = [Lost(one["name"], one["type"], one["reason"], request["number"]) for one in request["lost"]]
        delta = self._saver.tried(request["number"], lost, proven=request["proven"])
        if lost:
            announced = _Announced(self._fd, request["number"], delta)
            send(announced.event)
            announced.send_rest()

    def _received(self, load: Callable[[Parts], list[Lost]]) -> list[Lost]:
        self.begin()
        parts, fds = _receive(self._fd)
        try:
            return load(parts)
        finally:
            for fd in fds:
                os.close(fd)


class _Networked:
    """Notes which names asked for the network: a spare worker has none, and that they fail without says nothing."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.heard: set[str] = set()

    def hear(self, event: str, _: Any) -> None:
        if event.startswith("socket."):
            self.heard.update(self.names)


class _Announced:
    """A delta on its way. Sent before the event if it is small, after it if the engine has to read meanwhile."""

    def __init__(self, fd: int, number: int, delta: Delta) -> None:
        self._fd = fd
        self._pieces = list(_pieces(delta))
        size = sum(map(len, self._pieces))
        self._small = size <= _SMALL
        if self._small:
            self._send()
        self.event = {"event": "saved", "number": number, "bytes": size, "lost": _told(delta.lost)}
        if delta.untried:
            self.event["untried"] = True

    def send_rest(self) -> None:
        if not self._small:
            self._send()

    def _send(self) -> None:
        pieces = self._pieces
        while pieces:
            sent = os.writev(self._fd, pieces[:_MOST_PIECES])
            while pieces and sent >= len(pieces[0]):
                sent -= len(pieces.pop(0))
            if sent:
                pieces[0] = pieces[0][sent:]


def _told(lost: "list[Lost]") -> "list[dict[str, Any]]":
    """As much of it as the engine takes."""
    return [
        {"name": told(one.name), "type": told(one.type), "reason": one.reason, "since": one.since}
        for one in lost[:_MOST_LOST]
    ]


def _pieces(delta: Delta) -> "Iterator[memoryview]":
    if not delta.records:
        return
    for header, payload in delta.records:
        head = dumps(header, separators=(",", ":")).encode()
        yield memoryview(_LENGTH.pack(len(head)) + head)
        for piece in payload:
            view = memoryview(piece)
            if view.nbytes:
                yield view if view.format == "B" and view.ndim == 1 else view.cast("B")
    yield memoryview(_LENGTH.pack(0))


def _receive(fd: int) -> "tuple[Parts, list[int]]":
    with socket.socket(fileno=os.dup(fd)) as control:
        size = _LENGTH.unpack(_exactly(control, _LENGTH.size))[0]
        header = loads(_exactly(control, size))
        fds: list[int] = []
        while len(fds) < header["fds"]:
            _, more, _, _ = socket.recv_fds(control, 1, _MOST_FDS)
            fds += more
        small = {key: _exactly(control, length) for key, length in header["small"]}
    large = {
        key: Place(length, [Extent(offset, fds[index], at, count) for offset, index, at, count in extents])
        for key, length, extents in header["large"]
    }
    return Parts(small, large), fds


def _exactly(control: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = control.recv_into(view)
        if not count:
            raise ConnectionError("the engine closed the socket in the middle of a checkpoint")
        view = view[count:]
    return bytes(data)
