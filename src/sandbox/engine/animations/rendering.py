"""The process that renders: forked as a command is, and confined alike, but it stays what it was forked from."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import msgspec

from sandbox.engine.animations import said
from sandbox.engine.animations.said import Said
from sandbox.engine.animations.warm import WarmZygotes
from sandbox.engine.commands import NUMBERS, Command
from sandbox.engine.forker import Forker
from sandbox.engine.launcher import Cell, Launcher
from sandbox.errors import SandboxStartError
from sandbox.inside.wire import frames
from sandbox.protocol.messages import CreateAnimation, Event, Output, SessionOptions, StartCommand

_CHUNK = 64 * 1024
_LINGER_SECONDS = 0.5


class Rendering(Command):
    """`hear` gets what it says, `emit` what it prints."""

    def __init__(
        self,
        request: CreateAnimation,
        options: SessionOptions,
        hear: Callable[[Said], None],
        emit: Callable[[Event], None],
    ) -> None:
        def printed(event: Event) -> None:
            if isinstance(event, Output):
                emit(event)

        command = StartCommand(request.session, ("manim",), timeout=request.timeout, env={"MPLBACKEND": "Agg"})
        super().__init__(next(NUMBERS), command, options, printed)
        self._wanted = request
        self._by: Forker | None = None
        self._waiting: asyncio.Task[Any] | None = None
        self._hear = hear
        self._listening: asyncio.Task[None] | None = None
        self.given_up = False
        self.refused = ""
        self.broken = ""

    async def rendered(self, cell: Cell, launcher: Launcher, warm: WarmZygotes) -> int:
        """Run it to its end; return its exit code. Raises SandboxStartError. Being cancelled kills it."""
        self._waiting = asyncio.current_task()
        async with warm.use(cell.zygote) as self._by:
            try:
                code = await self.until_its_end(cell, launcher)
            finally:
                await self._heard_out()
        if self.refused:
            raise SandboxStartError(self.refused)
        return code

    def give_up(self) -> None:
        """Wait no more for what forks it: whoever waits for it is cancelled."""
        if self._waiting is not None and not self.begun:
            self.given_up = True
            self._waiting.cancel()

    async def end(self) -> None:
        """Kill it, also before it runs."""
        self.give_up()
        await super().end()

    def _forker(self, cell: Cell) -> Forker:
        assert self._by is not None
        return self._by

    def _plan(self, cell: Cell, launcher: Launcher) -> dict[str, object]:
        return {**cell.plan, **launcher.own_limits(self._options, cell)}  # a worker's own

    def _program(self, cell: Cell, launcher: Launcher) -> dict[str, object]:
        wanted = self._wanted
        animate: dict[str, Any] = {
            "code": wanted.code, "quality": wanted.quality, "scenes": wanted.scenes, "every": wanted.every,
            "format": wanted.format,
        }  # fmt: skip
        return {**super()._program(cell, launcher), "animate": animate}

    async def _started(self, control: socket.socket, program: dict[str, object]) -> None:
        """Say what to render, and listen from now on."""
        control.setblocking(False)
        with contextlib.suppress(ConnectionError):  # it has ended, and its report may still be there
            await asyncio.get_running_loop().sock_sendall(control, frames.encode(program))
        self._listening = asyncio.get_running_loop().create_task(self._listen(control))

    async def _listen(self, control: socket.socket) -> None:
        loop, buffer = asyncio.get_running_loop(), frames.FrameBuffer(said.MOST_FRAME)
        with control, contextlib.suppress(ConnectionError):
            while data := await loop.sock_recv(control, _CHUNK):
                try:
                    for body in buffer.feed(data):
                        self._take(body)
                except (msgspec.DecodeError, frames.BadFrame) as error:
                    self.broken = f"it broke the protocol: {error}"
                    await self.end()
                    return

    def _take(self, body: bytes) -> None:
        refused = said.refusal(body)
        if refused is None:
            self._hear(said.decoded(body))
        else:
            self.refused = refused

    async def _heard_out(self) -> None:
        """Take what it has said before its end. Something that it left running may hold the socket open."""
        if self._listening is not None:
            await asyncio.wait([self._listening], timeout=_LINGER_SECONDS)
            self._listening.cancel()
            await asyncio.wait([self._listening])
