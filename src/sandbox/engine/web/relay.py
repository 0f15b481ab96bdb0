"""A port on the host's loopback whose connections go on to a port inside a sandbox.

Bytes are carried as they are, so what speaks HTTP, WebSockets or streams works alike. Each side is read only as fast
as the other one takes, and can end its half while the other goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Awaitable, Callable

from sandbox.engine.web import hosts
from sandbox.errors import SandboxStartError

LOOPBACK = "127.0.0.1"
MOST_CONNECTIONS = 256
_MOST_WAITING = 64 * 1024
_BACKLOG = 128
_PORTS_TRIED = 100

Connect = Callable[[], Awaitable[socket.socket]]
"""Makes the way in for one connection. Raises OSError while there is nobody to connect to."""


def listen(wanted: int) -> socket.socket:
    """Listen on a port of the loopback: the wanted one, else the next that is free; any for 0.

    Raises SandboxStartError if none of the next hundred is free.
    """
    for port in range(wanted, min(wanted + _PORTS_TRIED, 1 << 16)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
        else:
            listener.setblocking(False)
            return listener
    raise SandboxStartError(f"the ports from {wanted} to {port} of {LOOPBACK} are all taken: name another")


class Relay:
    """Carries what connects to `listener`. Runs in the engine's loop; `close` ends it with all connections.

    `names`: those besides the loopback's own by which browsers may ask for it.
    """

    def __init__(self, listener: socket.socket, connect: Connect, names: tuple[str, ...] = ()) -> None:
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._connect = connect
        self._names = (*hosts.LOCAL, *(name.lower() for name in names))
        self._opening: set[asyncio.Task[None]] = set()
        self._pairs: set[_Pair] = set()
        self._accepting = False
        self._resume()

    @property
    def connections(self) -> int:
        """How many there are at this moment."""
        return len(self._opening) + len(self._pairs)

    def _resume(self) -> None:
        if not self._accepting and self._listener.fileno() >= 0 and self.connections < MOST_CONNECTIONS:
            asyncio.get_running_loop().add_reader(self._listener, self._on_accept)
            self._accepting = True

    def _pause(self) -> None:
        """Others wait in the kernel until some connection has ended."""
        if self._accepting:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._accepting = False

    def _on_accept(self) -> None:
        try:
            outer, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:  # no descriptors are left: others of this process must end first
            self._pause()
            asyncio.get_running_loop().call_later(1.0, self._resume)
            return
        outer.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._open(outer))
        self._opening.add(task)
        task.add_done_callback(self._on_opened)
        if self.connections >= MOST_CONNECTIONS:
            self._pause()

    def _on_opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self._resume()

    async def _open(self, outer: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(outer.close)
            try:
                said = await hosts.first_bytes(outer, self._names)
                inner = await self._connect()
            except hosts.Refused as refused:
                with contextlib.suppress(OSError):
                    outer.send(refused.answer)
                return
            except (OSError, TimeoutError):
                return  # nobody listens inside: the connection ends without an answer
            stack.callback(inner.close)
            pair = _Pair(self._on_ended)
            try:
                await pair.join(inner, outer, said)
            except BaseException:
                pair.abort()
                raise
            stack.pop_all()  # they belong to their transports now
            if not pair.ended:
                self._pairs.add(pair)

    def _on_ended(self, pair: _Pair) -> None:
        self._pairs.discard(pair)
        self._resume()

    async def drop(self) -> None:
        """End every connection, and go on to listen."""
        for task in list(self._opening):
            task.cancel()
        for pair in list(self._pairs):
            pair.abort()
        await asyncio.gather(*self._opening, return_exceptions=True)
        await asyncio.sleep(0)  # a transport closes its socket in the loop's next round

    async def close(self) -> None:
        """Stop listening, and end every connection."""
        self._pause()
        self._listener.close()
        await self.drop()


class _Pair:
    """Two sides of one connection, each of which feeds the other."""

    def __init__(self, on_ended: Callable[[_Pair], None]) -> None:
        self._on_ended = on_ended
        self._sides: tuple[_Side, ...] = ()

    async def join(self, inner: socket.socket, outer: socket.socket, said: bytes) -> None:
        """Begin to carry, with what the outer side has said already."""
        loop = asyncio.get_running_loop()
        app, client = self._sides = _Side(self._on_lost), _Side(self._on_lost)
        app.other, client.other = client, app
        await loop.connect_accepted_socket(lambda: app, inner)
        await loop.connect_accepted_socket(lambda: client, outer)
        if said:
            app.write(said)
        app.begin()
        client.begin()

    @property
    def ended(self) -> bool:
        return all(side.lost for side in self._sides)

    def _on_lost(self) -> None:
        if self.ended:
            self._on_ended(self)

    def abort(self) -> None:
        """End both sides at once."""
        for side in self._sides:
            side.abort()


class _Side(asyncio.Protocol):
    """One side of a connection: what it reads, the other one writes."""

    other: _Side

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._transport: asyncio.Transport | None = None
        self._on_lost = on_lost
        self._said_all = False
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(_MOST_WAITING)
        transport.pause_reading()  # until the other side is there too

    def begin(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self.other.write(data)

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pause_writing(self) -> None:
        other = self.other._transport
        if other is not None and not other.is_closing():
            other.pause_reading()

    def resume_writing(self) -> None:
        self.other.begin()

    def eof_received(self) -> bool:
        """Pass the end on, and go on to write: whoever has said everything may still be answered."""
        self._said_all = True
        other = self.other._transport
        if other is not None and not other.is_closing():
            other.write_eof()
        if self.other._said_all and other is not None:
            other.close()
        return not self.other._said_all

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        other = self.other._transport
        if other is not None and not other.is_closing():
            other.abort() if error is not None else other.close()
        self._on_lost()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
