"""Terminals: they go on without a client, and all who are connected see what is printed from then on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

from sandbox.engine import causes
from sandbox.errors import SandboxError, UsageError
from sandbox.protocol import messages as m
from sandbox.server.e2b import connect
from sandbox.server.e2b.running import SAYING, Config, Input, started
from sandbox.server.e2b.visit import Visit
from sandbox.server.http import Call, last_of
from sandbox.server.recordings import Recording


class Pty:
    """A terminal with its program, which is read from the beginning on: what nobody sees is gone, and holds it not up.

    Hung up after so many `seconds`; None is never.
    """

    def __init__(self, visit: Visit, config: Config, tag: str | None, number: int, seconds: float | None) -> None:
        self.config, self.tag = config, tag
        self._gate, self._caller, self._session, self._number = visit.gate, visit.call.caller, visit.id, number
        self._readers: set[Recording] = set()
        self._last: m.LastEvent | None = None
        self._pumping = asyncio.get_running_loop().create_task(self._pump(seconds))

    def when_it_ends(self, action: Callable[[], None]) -> None:
        """Call `action` at its end."""
        self._pumping.add_done_callback(lambda _: action())

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._last is not None

    async def ends(self, seconds: float) -> bool:
        """Wait for its end."""
        await asyncio.wait([self._pumping], timeout=seconds)
        return self.ended

    async def close(self) -> None:
        """Hang up."""
        self._pumping.cancel()
        await asyncio.wait([self._pumping])

    def taken(self, given: Input) -> bytes:
        """What is typed."""
        if given.pty is None:
            raise UsageError("the process has a terminal: type there")
        return given.pty

    async def say(self, call: Call, number: int) -> None:
        """Answer with what is printed from now on. Who does not take it holds up the program, until it is cut off."""
        reader = Recording(call.request_id, _as_it_is, _nothing, kept=False)
        if self._last is None:
            self._readers.add(reader)
        else:
            reader.end(self._last)
        try:
            await connect.stream(call, reader, 0, SAYING, [started(number)])
        finally:
            self._readers.discard(reader)
            reader.take(reader.count())  # nobody need wait for it any more

    async def _pump(self, seconds: float | None) -> None:
        begin, end = time.perf_counter(), cast("m.LastEvent", m.Failed("closed", "the server is ending"))
        try:
            async with asyncio.timeout(seconds):
                code = await self._pass_on()
            end = m.CommandFinished(code, time.perf_counter() - begin)
        except TimeoutError:
            end = m.CommandFinished(-9, time.perf_counter() - begin, causes.timeout(seconds or 0.0))
        except SandboxError as error:
            end = m.Failed(error.code, error.message, error.details)
        finally:
            self._last = end
            for reader in self._readers:
                reader.end(end)
            self._gate.begin(self._caller, m.CloseTerminal(self._session, self._number))

    async def _pass_on(self) -> int:
        """Pass on what is printed; return the exit code. Raises SandboxError."""
        while True:
            reading = self._gate.begin(self._caller, m.ReadTerminal(self._session, self._number))
            try:
                read = await last_of(reading)
            finally:
                reading.cancel()
            assert isinstance(read, m.TerminalRead)
            if not read.data:
                return -9 if read.exit_code is None else read.exit_code
            for reader in self._readers:
                reader(m.Data(read.data))
            for reader in list(self._readers):
                await reader.drained()


def _as_it_is(event: m.Event) -> m.Event:
    return event


def _nothing(_last: m.LastEvent) -> None:
    """There is nothing to be done at the end."""
