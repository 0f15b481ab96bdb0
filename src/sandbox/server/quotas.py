"""How much an owner uses, and the errors for too much of it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from sandbox.errors import SandboxQuotaError
from sandbox.server.keys import Key
from sandbox.store.database import Database

_DAY = 86_400
_MOST_AT_ONCE = 256
_FLUSH_SECONDS = 1.0


class Rates:
    """How many requests a second, and how many at once, for each key."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}
        self._at_once: dict[str, int] = {}

    def enter(self, key: Key) -> None:
        """A request begins. Raises SandboxQuotaError; else `leave` follows."""
        rate = key.quotas.requests
        if rate is not None:
            self._take(key.id, rate)
        now = self._at_once.get(key.id, 0)
        if now >= _MOST_AT_ONCE:
            raise _too_much("requests at once", _MOST_AT_ONCE, now + 1, 1.0, 429)
        self._at_once[key.id] = now + 1

    def leave(self, key: Key) -> None:
        """A request has been answered."""
        self._at_once[key.id] -= 1
        if not self._at_once[key.id]:
            del self._at_once[key.id]

    def _take(self, number: str, rate: float) -> None:
        """From a bucket that fills at the rate, and holds what one second brings, but one at least."""
        now, most = time.monotonic(), max(1.0, rate)
        left, at = self._buckets.get(number, (most, now))
        left = min(most, left + (now - at) * rate)
        if left < 1.0:
            self._buckets[number] = left, now
            raise _too_much("requests a second", rate, None, (1.0 - left) / rate, 429)
        self._buckets[number] = left - 1.0, now


class CpuSeconds:
    """What each owner's code has used today. Written down now and then: a crash forgets the last second of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._day = _today()
        rows = database.all("SELECT owner, cpu_seconds FROM used WHERE day = ?", self._day)
        self._used: dict[str, float] = dict(rows)
        self._changed: set[str] = set()
        self._written = time.monotonic()

    def add(self, owner: str, seconds: float) -> None:
        """It used so much more."""
        if self._day != _today():
            self._day, self._used, self._changed = _today(), {}, set()
        self._used[owner] = self._used.get(owner, 0.0) + seconds
        self._changed.add(owner)
        if time.monotonic() - self._written > _FLUSH_SECONDS:
            self.write()

    def of(self, owner: str) -> float:
        """What it used today."""
        return self._used.get(owner, 0.0) if self._day == _today() else 0.0

    def write(self) -> None:
        """Write down what has changed."""
        self._written = time.monotonic()
        if self._changed:
            with self._database.writing():
                self._database.run("DELETE FROM used WHERE day < ?", self._day - 31)
                self._database.run_many(
                    "INSERT OR REPLACE INTO used VALUES (?, ?, ?)",
                    [(owner, self._day, self._used[owner]) for owner in self._changed],
                )
            self._changed = set()

    def check(self, key: Key) -> None:
        """Raises SandboxQuotaError where today's are used up."""
        limit = key.quotas.cpu_seconds
        if limit is not None and self.of(key.owner) >= limit:
            until = (_today() + 1) * _DAY - time.time()
            raise _too_much("cpu seconds a day", limit, self.of(key.owner), until, 402)


def check_sandboxes(key: Key, started: int, more: int = 1) -> None:
    """Whether so many more may be started. Raises SandboxQuotaError."""
    limit = key.quotas.sandboxes
    if limit is not None and started + more > limit:
        raise _too_much("sandboxes started", limit, started + more, None, 429, "stop or delete some of them")


def check_memory(key: Key, wanted: int, alive: Iterable[int]) -> None:
    """Whether a worker of so many MB may be started beside those that are `alive`. Raises SandboxQuotaError."""
    limit = key.quotas.memory
    if limit is not None and (total := wanted + sum(alive)) > limit:
        raise _too_much("MB of memory", limit, total, None, 429, "ask for less memory, or stop some sandboxes")


def check_disk(key: Key, stored: int) -> None:
    """Whether more may be stored than these bytes. Raises SandboxQuotaError."""
    limit = key.quotas.disk
    if limit is not None and stored >= limit << 20:
        raise _too_much("MB of disk", limit, stored >> 20, None, 402, "delete some sandboxes")


def _too_much(
    what: str, limit: float, seen: float | None, seconds: float | None, status: int, remedy: str = "wait"
) -> SandboxQuotaError:
    seen_text = "" if seen is None else f", this would be {seen:g}"
    details = {"quota": what, "limit": limit, "seen": seen, "retry_after": seconds, "status": status}
    return SandboxQuotaError(f"the key allows {limit:g} {what}{seen_text}: {remedy}", details)


def _today() -> int:
    return int(time.time()) // _DAY
