"""The engine's handle on one worker: requests in, checked events out, in the order in which things happened."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from sandbox.engine.forker import Forked
from sandbox.engine.output import TextStream
from sandbox.engine.pipes import CHUNK, Pipe
from sandbox.engine.worker_events import FromWorker, Gone, Mark, OutOfMemory, decoder
from sandbox.inside.wire import frames
from sandbox.protocol.messages import CauseInfo, Output

_MOST_WAITING = 256
_LATE_BYTES = 1024 * 1024
_SHARE = 4096
_ANSWER_SECONDS = 10.0
_END_SECONDS = 0.5
_ACK = b"\0"

Incoming = FromWorker | Output | Gone


class Worker:
    """A confined process with its control socket and pipes. Belongs to one session at a time."""

    def __init__(
        self, process: Forked, control: socket.socket, stdout: int, stderr: int, ack: int, state: socket.socket
    ) -> None:
        self.process = process
        self.state = state
        self.enforced: tuple[str, ...] = ()
        self.gone: Gone | None = None
        self.limit: CauseInfo | None = None  # what it was ended for between executions
        self._control = control
        self._ack = ack
        self._frames = frames.FrameBuffer()
        self._incoming: deque[Incoming] = deque()
        self._arrived: asyncio.Future[None] | None = None
        self._in_turn = False
        self._killed_because = ""
        self._out_of_memory = False
        self._streams: dict[str, TextStream] = {}
        self._limit = _LATE_BYTES
        self._pipes = [Pipe(stdout, self._writer("stdout")), Pipe(stderr, self._writer("stderr"))]
        control.setblocking(False)
        self._listening = False
        self._trusted = True
        self._listen()
        process.ended.add_done_callback(self._on_ended)

    @property
    def pidfd(self) -> int:
        return self.process.pidfd

    @property
    def alive(self) -> bool:
        """Asks the kernel: the zygote's word that the process has ended may still be on its way."""
        poll = select.poll()
        poll.register(self.process.pidfd, select.POLLIN)
        return self.gone is None and not poll.poll(0)

    # --- requests ---

    async def request(self, message: dict[str, Any], output_limit: int = _LATE_BYTES) -> None:
        """Begin a turn. Its events come from `next`; `finish` ends it."""
        self._streams, self._limit = {}, output_limit
        self._in_turn = True
        await self._send(message)

    async def ask(self, message: dict[str, Any], answer: type, *, seconds: float = _ANSWER_SECONDS) -> Incoming:
        """Send a request that prints nothing; return its answer, or Gone if the worker does not give one."""
        late: list[Incoming] = []
        try:
            async with asyncio.timeout(seconds):
                await self.request(message)  # a worker that does not read keeps a long one waiting
                while not isinstance(event := await self.next(), (answer, Gone)):
                    late.append(event)
                return event
        except TimeoutError:
            self.kill("it did not answer")
            return Gone(-9, "it did not answer")
        finally:
            self.finish()
            self.put_back(late)

    async def tell(self, message: dict[str, Any]) -> None:
        """Send a message that has no answer."""
        await self._send(message)

    async def _send(self, message: dict[str, Any]) -> None:
        if self.gone is not None:
            return
        data = frames.encode(message)
        with contextlib.suppress(OSError):  # a worker that is going away shows up as Gone
            try:
                sent = self._control.send(data)
            except BlockingIOError:
                sent = 0
            if sent < len(data):
                await asyncio.get_running_loop().sock_sendall(self._control, memoryview(data)[sent:])

    def finish(self) -> tuple[str, ...]:
        """End the turn; return the names of the streams that were cut."""
        self._in_turn = False
        cut = tuple(name for name, stream in self._streams.items() if stream.dropped)
        self._streams, self._limit = {}, _LATE_BYTES
        return cut

    async def next(self) -> Incoming:
        """Wait for the next event of the turn, or for Gone."""
        while not self._incoming:
            if self.gone is not None:
                return self.gone
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        event = self._incoming.popleft()
        if len(self._incoming) < _MOST_WAITING:
            self._listen()
        return event

    def put_back(self, events: list[Incoming]) -> None:
        """Output that came during a request which has no place for it: the next execution gets it, marked late."""
        late = [Output(event.stream, event.text, late=True) for event in events if isinstance(event, Output)]
        self._incoming.extendleft(reversed(late))

    def _put(self, event: Incoming) -> None:
        self._incoming.append(event)
        if len(self._incoming) >= _MOST_WAITING:
            self._stop_listening()
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    # --- what arrives ---

    def _writer(self, name: str) -> Callable[[bytes], None]:
        def on_data(data: bytes) -> None:
            stream = self._streams.get(name)
            if stream is None:
                stream = self._streams[name] = TextStream(self._limit)
            text = stream.take(data) if data else stream.rest()
            if text:
                self._put(Output(name, text, late=not self._in_turn))

        return on_data

    def _on_control(self) -> None:
        try:
            # A flood of marks costs a drain of the pipes each: a small share at a time, so that others have theirs.
            data = self._control.recv(CHUNK if self._frames.partial else _SHARE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._on_bytes(data)
        else:
            # Most often it is just ending: what it ended with says more than that we ended it.
            self._trusted = False
            self._stop_listening()
            asyncio.get_running_loop().call_later(_END_SECONDS, self.kill, "it closed its control socket")

    def _on_bytes(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                self._on_frame(decoder.decode(frame))
        except (frames.BadFrame, msgspec.DecodeError, msgspec.ValidationError) as error:
            self._distrust(f"it broke the protocol: {error}")

    def _distrust(self, why: str) -> None:
        """Never read from its control socket again, and end it."""
        self._trusted = False
        self._stop_listening()
        self.kill(why)

    def _on_frame(self, event: FromWorker) -> None:
        for pipe in self._pipes:
            pipe.drain()
        if event.ack:
            # Full if nobody takes the acknowledgements, broken if nobody can: the worker's loss alone.
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(self._ack, _ACK)
        if isinstance(event, Mark):
            return
        if isinstance(event, OutOfMemory):
            self._out_of_memory = True
            return
        if not self._in_turn and self.enforced:
            raise frames.BadFrame(f"{type(event).__name__} outside of a request")
        self._put(event)

    def _listen(self) -> None:
        if not self._listening and self._trusted and self.gone is None:
            asyncio.get_running_loop().add_reader(self._control, self._on_control)
            self._listening = True
            for pipe in getattr(self, "_pipes", ()):
                pipe.resume()

    def _stop_listening(self) -> None:
        if self._listening:
            asyncio.get_running_loop().remove_reader(self._control)
            self._listening = False
            for pipe in self._pipes:
                pipe.pause()

    # --- the end ---

    def interrupt(self) -> None:
        """Send SIGINT."""
        self._signal(signal.SIGINT)

    def kill(self, why: str = "") -> None:
        """End the process and, with process 1, all that it started. `Gone` follows when it has ended."""
        self._killed_because = self._killed_because or why
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.gone is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.process.pidfd, number)

    def _on_ended(self, ended: asyncio.Future[int]) -> None:
        """Take what is left in the socket and the pipes, then report the end."""
        if self.gone is not None:
            return
        while self._trusted and (data := self._rest()):
            self._on_bytes(data)
        for pipe in self._pipes:
            pipe.drain()
        self._stop_listening()
        self.gone = Gone(-9 if ended.cancelled() else ended.result(), self._killed_because, self._out_of_memory)
        self._put(self.gone)

    def _rest(self) -> bytes:
        try:
            return self._control.recv(CHUNK)
        except OSError:
            return b""

    async def close(self) -> None:
        """Kill the worker if it is alive, wait until it has ended, and close every descriptor."""
        self.kill()
        await asyncio.wait([self.process.ended])
        self._on_ended(self.process.ended)
        self._control.close()
        self.state.close()
        for pipe in self._pipes:
            pipe.close()
        for fd in (self._ack, self.process.pidfd):
            os.close(fd)
