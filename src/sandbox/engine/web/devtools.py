"""Speaks with Chromium: JSON messages with a NUL after each, over a pair of pipes (the DevTools protocol)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from typing import Any

import msgspec

from sandbox.engine.forker import settle

_MOST_MESSAGE = 64 * 1024 * 1024
_CHUNK = 1024 * 1024


class DevtoolsError(Exception):
    """Chromium has ended, or refuses what it was asked for."""


class Devtools:
    """Both ends belong to it. Requests may overlap; events are kept only for who waits for them."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes = reads, writes
        os.set_blocking(reads, False)
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._events: dict[str, asyncio.Future[None]] = {}
        self._declined: dict[str, tuple[str, int]] = {}
        self._partial = bytearray()
        asyncio.get_running_loop().add_reader(reads, self._on_readable)

    async def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Ask for something and return the answer. Raises DevtoolsError."""
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            self._say(number, method, session, parameters)
            return await answer
        except OSError as error:
            raise DevtoolsError(f"it has ended: {error}") from error
        finally:
            self._answers.pop(number, None)

    def _say(self, number: int, method: str, session: str | None, parameters: dict[str, Any]) -> None:
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        # Short, and read at once: a pipe holds far more.
        os.write(self._writes, msgspec.json.encode(message) + b"\0")

    def decline(self, event: str, method: str, times: int) -> None:
        """Say no, with this method, whenever an event of this name comes; so many times at most."""
        self._declined[event] = method, times

    def expect(self, event: str) -> asyncio.Future[None]:
        """Return what is done when an event of this name comes."""
        return self._events.setdefault(event, asyncio.get_running_loop().create_future())

    def close(self) -> None:
        """Let go of both pipes, which ends Chromium too."""
        if self._reads >= 0:
            self._fail("it was ended")
            os.close(self._reads)
            os.close(self._writes)
            self._reads = self._writes = -1

    def _on_readable(self) -> None:
        try:
            data = os.read(self._reads, _CHUNK)
        except BlockingIOError:
            return
        whole = []
        if b"\0" in data:  # else what there is of a large message is not looked at, or copied, again
            *whole, rest = (self._partial + data).split(b"\0")
            self._partial = rest
        else:
            self._partial += data
        try:
            for message in whole:
                self._on_message(msgspec.json.decode(message))
        except msgspec.MsgspecError as error:
            self._fail(f"it said what cannot be understood: {error}")
        if not data:
            self._fail("it has ended")
        elif len(self._partial) > _MOST_MESSAGE:
            self._fail(f"it said more than {_MOST_MESSAGE >> 20} MB at once")

    def _on_message(self, message: Any) -> None:
        if not isinstance(message, dict):
            return
        number = message.get("id", 0)
        waiting = self._answers.get(number) if isinstance(number, int) else None
        if waiting is not None and not waiting.done():
            if "error" in message:
                waiting.set_exception(DevtoolsError(str(message["error"])[:500]))
            elif isinstance(result := message.get("result", {}), dict):
                waiting.set_result(result)
            else:
                waiting.set_exception(DevtoolsError("its answer cannot be understood"))
        else:
            self._on_event(str(message.get("method")), message.get("sessionId"))

    def _on_event(self, event: str, session: Any) -> None:
        if expected := self._events.pop(event, None):
            settle(expected)
        method, left = self._declined.get(event, ("", 0))
        if left and isinstance(session, str):
            self._declined[event] = method, left - 1
            with contextlib.suppress(OSError):  # it has ended, and whoever waits for it will hear
                self._say(next(self._numbers), method, session, {"accept": False})

    def _fail(self, why: str) -> None:
        if self._reads >= 0:
            asyncio.get_running_loop().remove_reader(self._reads)
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(DevtoolsError(why))
