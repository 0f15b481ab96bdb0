"""Where the events of an answer go."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from itertools import islice

from sandbox.protocol import messages as m

Sink = Callable[[bytes, bool], None]
_TOGETHER = 8  # pieces of a file that are read before somebody has to have taken them


class Answer(ABC):
    """Takes an answer's events as they happen, in the engine's loop; then `end`, once.

    `request_id` is what its request is called in logs and records; None where it came from this process.
    """

    request_id: str | None = None

    @abstractmethod
    def __call__(self, event: m.Event) -> None:
        """Take an event that is not the last one."""

    @abstractmethod
    def end(self, last: m.LastEvent) -> None:
        """Take the last one."""

    async def drained(self) -> None:  # noqa: B027 - most are never full
        """Wait until most of what came was taken: for what can be as long as a file."""

    def began(self, number: int) -> None:  # noqa: B027 - few want to know
        """An execution has its turn."""


class Encoded(Answer):
    """Passes each event on in the form that travels, and whether it is the last one."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def __call__(self, event: m.Event) -> None:
        self._sink(m.encode(event), False)

    def end(self, last: m.LastEvent) -> None:
        self._sink(m.encode(last), True)


async def sent(pieces: Generator[bytes], answer: Answer) -> None:
    """Pass on what has to be read in a thread, no faster than it is taken. Raises what reading raises."""
    try:
        while some := await _read(pieces):
            for data in some:
                answer(m.Data(data))
            await answer.drained()
    finally:
        pieces.close()


async def _read(pieces: Generator[bytes]) -> list[bytes]:
    """The next few. Being cancelled waits for the thread, which is using what the pieces come from."""
    reading = asyncio.ensure_future(asyncio.to_thread(lambda: list(islice(pieces, _TOGETHER))))
    try:
        return await asyncio.shield(reading)
    except asyncio.CancelledError:
        await asyncio.wait([reading])
        raise
