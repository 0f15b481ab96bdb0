"""In front of a terminal inside: what is typed here goes there, what is printed there comes here, as it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING

from sandbox.cli import terminal

if TYPE_CHECKING:
    from sandbox.sdk.terminal import Terminal

Opener = Callable[[int, int], AbstractAsyncContextManager["Terminal"]]
"""Opens a terminal of so many columns and rows."""
_IN = 0
_MOST_TYPED = 16 * 1024
_MOST_SIZE = 4096
_LAST_WORDS_SECONDS = 2.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def sit(opener: Opener) -> int:
    """Be the other end of a terminal until its program has ended, or we have to; its exit code, or minus a signal.

    Raises SandboxError.
    """
    async with opener(*_size()) as inner:
        with _signals() as (told, resized), _raw():
            return await _Seat(inner, told, resized).attend()


class _Seat:
    """`told` is settled with minus the signal that ends us; `resized` is set when this terminal's size changes."""

    def __init__(self, inner: Terminal, told: asyncio.Future[int], resized: asyncio.Event) -> None:
        self._inner, self._told, self._resized = inner, told, resized

    async def attend(self) -> int:
        loop = asyncio.get_running_loop()
        printing = loop.create_task(self._print())
        others: list[asyncio.Future[int]] = [
            loop.create_task(self._type()), loop.create_task(self._follow_size()), self._told,
        ]  # fmt: skip
        try:
            await asyncio.wait([printing, *others], return_when=asyncio.FIRST_COMPLETED)
            if any(one.done() and one.exception() is not None for one in others):
                # What takes nothing any more has mostly ended, and its last words and exit code are on their way.
                await asyncio.wait([printing], timeout=_LAST_WORDS_SECONDS)
            return next(one for one in (printing, *others) if one.done()).result()
        finally:
            for one in (printing, *others):
                one.cancel()
            await asyncio.wait([printing, *others])

    async def _print(self) -> int:
        while data := await self._inner.read():
            # In a thread: a terminal that is stopped takes nothing, and what is typed still has to be seen.
            await asyncio.to_thread(terminal.write_bytes, terminal.OUT, data)
        return self._inner.exit_code or 0

    async def _type(self) -> int:
        """Returns when whoever types has left."""
        escape = Escape()
        while not escape.found and (typed := await _typed()):
            if passed := escape.feed(typed):
                await self._inner.write(passed)
        return -signal.SIGHUP

    async def _follow_size(self) -> int:
        while True:
            await self._resized.wait()
            self._resized.clear()
            await self._inner.resize(*_size())


class Escape:
    """Finds Enter, `~` and `.`, typed one after another, as in `ssh`. A `~` is held back until the next is known."""

    def __init__(self) -> None:
        self._before = b"\r"
        self.found = False

    def feed(self, typed: bytes) -> bytes:
        """What of this is to go inside."""
        return b"".join(map(self._next, (typed[at : at + 1] for at in range(len(typed)))))

    def _next(self, key: bytes) -> bytes:
        before, self._before = self._before, key
        if before in {b"\r", b"\n"} and key == b"~":
            self._before = b"\r~"
            return b""
        if before != b"\r~":
            return key
        if key == b".":
            self.found = True
            return b""
        return key if key == b"~" else b"~" + key


def _size() -> tuple[int, int]:
    """Columns and rows. Some terminals do not know theirs, and say 0."""
    cols, rows = os.get_terminal_size(_IN)
    return min(cols or 80, _MOST_SIZE), min(rows or 24, _MOST_SIZE)


async def _typed() -> bytes:
    """What was typed; nothing when this terminal has gone."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[int] = loop.create_future()
    loop.add_reader(_IN, _settle, readable, _IN)
    try:
        await readable
        return os.read(_IN, _MOST_TYPED)
    except OSError:  # EIO: it was hung up
        return b""
    finally:
        loop.remove_reader(_IN)


@contextmanager
def _raw() -> Iterator[None]:
    """Let each key come as it is, and nothing be done to what is printed."""
    before = termios.tcgetattr(_IN)
    tty.setraw(_IN, termios.TCSADRAIN)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # it was hung up
            termios.tcsetattr(_IN, termios.TCSADRAIN, before)


@contextmanager
def _signals() -> Iterator[tuple[asyncio.Future[int], asyncio.Event]]:
    """End in order when we are told to: the terminal is left as it was, and a session's files are stored."""
    loop, resized = asyncio.get_running_loop(), asyncio.Event()
    told: asyncio.Future[int] = loop.create_future()
    before = {number: signal.getsignal(number) for number in (*_ENDING, signal.SIGWINCH)}
    for number in _ENDING:
        loop.add_signal_handler(number, _settle, told, -number)
    loop.add_signal_handler(signal.SIGWINCH, resized.set)
    try:
        yield told, resized
    finally:
        for one, handler in before.items():
            loop.remove_signal_handler(one)
            signal.signal(one, handler)


def _settle(future: asyncio.Future[int], value: int) -> None:
    if not future.done():
        future.set_result(value)
