"""Work that outlasts the time a client waits for an answer: started with one call, looked at with others."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any

from sandbox.mcp.clients import Client
from sandbox.mcp.reply import Reply, ToolError, in_words
from sandbox.mcp.sessions import Held

_MOST_TAIL = 20_000
_MOST_ENDED = 100

Work = Callable[["Job"], Coroutine[Any, Any, Reply]]


class Job:
    """One piece of work. `reply` is what came of it, `error` why nothing did."""

    def __init__(self, client: Client, held: Held, language: str, *, exclusive: bool) -> None:
        self.id = secrets.token_hex(4)
        self.scope, self.held, self.language = client.scope, held, language
        self.exclusive = exclusive
        self.reply: Reply | None = None
        self.error = ""
        self.cancelled = False
        self._tail = ""
        self._begun, self._ended = time.monotonic(), 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._ended

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return (self._ended or time.monotonic()) - self._begun

    @property
    def tail(self) -> str:
        """The end of what it has printed so far."""
        return self._tail

    def printed(self, text: str) -> None:
        """Take output as it comes."""
        self._tail = (self._tail + text)[-_MOST_TAIL:]

    def start(self, work: Work) -> None:
        """Begin. The session is kept open, and taken if the work needs it alone."""
        self.held.users += 1
        if self.exclusive:
            self.held.job = self
        self._task = asyncio.get_running_loop().create_task(self._run(work))

    async def _run(self, work: Work) -> None:
        try:
            self.reply = await work(self)
        except asyncio.CancelledError:
            self.cancelled = True  # by `cancel`, which waits for this
        except Exception as error:  # noqa: BLE001 - nobody waits: it is told to whoever asks for the job
            self.error = in_words(error)
        finally:
            self._ended = time.monotonic()
            self.held.users -= 1
            self.held.used_at = time.monotonic()
            if self.held.job is self:
                self.held.job = None

    async def wait(self, seconds: float) -> None:
        """Wait for its end, so long at most. Being cancelled does not end it."""
        if self._task is not None and seconds:
            await asyncio.wait([self._task], timeout=seconds)

    async def cancel(self) -> None:
        """Interrupt it and wait for its end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


class Jobs:
    """The jobs of all clients. The oldest that have ended are forgotten."""

    def __init__(self) -> None:
        self._all: dict[str, Job] = {}

    def add(self, job: Job) -> None:
        """Keep a job."""
        self._all[job.id] = job
        ended = [one for one in self._all.values() if not one.running]
        for one in ended[: max(len(ended) - _MOST_ENDED, 0)]:
            del self._all[one.id]

    def find(self, client: Client, job_id: str) -> Job:
        """A client's job. Raises ToolError."""
        job = self._all.get(job_id)
        if job is None or job.scope != client.scope:
            known = [one.id for one in self._all.values() if one.scope == client.scope]
            there = f"there are: {', '.join(known[-20:])}" if known else "there is none"
            raise ToolError(
                f"there is no job {job_id!r}; {there}. Jobs end with the server: session_timeline shows what a session "
                "has kept of one, start_job begins another"
            )
        return job

    async def close(self) -> None:
        """End them all."""
        for job in self._all.values():
            await job.cancel()
