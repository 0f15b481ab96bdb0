"""Requests to the engine whose last event the server looks at before anybody else does."""

from __future__ import annotations

import asyncio
from typing import cast

from sandbox.engine.answers import Answer
from sandbox.engine.engine import Engine
from sandbox.errors import SandboxError
from sandbox.protocol import messages as m


async def ask(engine: Engine, request: m.Request, answer: Answer | None = None) -> m.LastEvent:
    """Have the engine carry out a request. All but its last event goes on to `answer`; that is returned."""
    passing = Passing(answer or Dropped())
    task = engine.carry_out(request, passing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        if passing.last is None:
            raise
    return passing.last or m.Failed("closed", "the request was cancelled")


class Refused(SandboxError):
    """What the engine has answered to a request of ours, for the caller whose request needed it."""

    def __init__(self, last: m.Failed) -> None:
        super().__init__(last.message, last.details)
        self.code = last.code  # type: ignore[misc]


class Dropped(Answer):
    """Of an answer that is only asked for its last event."""

    def __call__(self, event: m.Event) -> None:
        """Nobody wants it."""

    def end(self, last: m.LastEvent) -> None:
        """Nor this: see `Passing`."""


class Passing(Answer):
    """Passes everything on but the last event."""

    def __init__(self, to: Answer) -> None:
        self._to, self.last = to, cast("m.LastEvent | None", None)
        self.request_id = to.request_id

    def __call__(self, event: m.Event) -> None:
        self._to(event)

    def end(self, last: m.LastEvent) -> None:
        self.last = last

    def began(self, number: int) -> None:
        self._to.began(number)

    async def drained(self) -> None:
        await self._to.drained()
