"""How much of a session is kept: what it may take, and the dropping of its oldest checkpoints to stay within that."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.errors import StoreFull
from sandbox.store import gc, retention
from sandbox.store.retention import Limits
from sandbox.store.total import total_wanted

if TYPE_CHECKING:
    from sandbox.store.session import StoredSession
    from sandbox.store.store import Store

_MB = 1 << 20
_PART_OF_DISK, _PART_OF_ALL = 4, 4
# Of what it has, that part is made free at least: to find out what is needed takes a look at all that is stored.
_AT_ONCE = 32
# So much more than is kept may be there until it is worth that look.
_SLACK = 8
# From this part of the quota on packs are rewritten at once. Else that waits for a moment in which nobody does.
_MOST_PACKED = 1.5


class Quota:
    """One session's. Staging asks for room from other threads, so dropping has a lock."""

    def __init__(self, store: Store, session: StoredSession, used: int) -> None:
        self._store, self._session = store, session
        self.used = used
        self._limits = store.limits
        self._next_look: int | None = None
        self._dropping = threading.Lock()

    @property
    def limits(self) -> Limits:
        """By default those of the store."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits, self._next_look = limits, None

    def room(self, more: int) -> None:
        """Raises StoreFull if `more` bytes are more than can be had."""
        limits = self.limits
        missing = max(self.used + more - limits.session_bytes, self._store.missing(more))
        if missing > 0 and limits.drop_oldest and more <= limits.session_bytes:  # else it would be for nothing
            self._make_room(missing)
        if self.used + more > limits.session_bytes:
            raise StoreFull(
                f"the session {self._session.id!r} has {_mb(self.used)} stored, and {_mb(more)} more would exceed the "
                f"{_mb(limits.session_bytes)} that it may have: delete large variables and files, take away labels of "
                "checkpoints, or raise storage= or SANDBOX_STORAGE, of which one session has at most a quarter",
                {"session": self._session.id, "seen": self.used + more, "limit": limits.session_bytes},
            )
        self._store.room(more)

    def _make_room(self, missing: int) -> None:
        """Drop the oldest checkpoints without a label until that much is free, or none is left to drop."""
        session, store = self._session, self._store
        missing = max(missing, self.used // _AT_ONCE)
        with self._dropping:
            for numbers in retention.oldest(session.database, session.key, session.head):
                session.drop(numbers, outputs=True)
                packed = gc.pack_bytes(session.database, session.tree)
                store.collect(session.tree, rewrite=packed > _MOST_PACKED * self.limits.session_bytes)
                before, self.used = self.used, store.session(session.id, owner=session.owner).bytes
                missing -= before - self.used
                if missing <= 0:
                    return

    def tend(self) -> None:
        """For idle moments: drop the checkpoints that are too many, once they are some."""
        keep, made = self.limits.checkpoints, self._session.made
        if keep is not None and (self._next_look is None or made >= self._next_look):
            kept = self.keep_newest(keep)
            self._next_look = made + 1 + keep - kept + keep // _SLACK

    def overdue(self) -> bool:
        """Whether a commit has to `tend`, since there is no idle moment."""
        keep, made = self.limits.checkpoints, self._session.made
        if self._next_look is None:
            self._next_look = made
        return keep is not None and made >= self._next_look + keep

    def keep_newest(self, keep: int) -> int:
        """Keep so many of the checkpoints without a label; return how many there are then."""
        session = self._session
        with self._dropping:
            found = retention.unlabelled(session.database, session.key)
            if excess := [number for number in found if number != session.head][: max(len(found) - keep, 0)]:
                session.drop(excess, outputs=True)
        return len(found) - len(excess)


def limits_of(directory: Path) -> Limits:
    """The quotas of a store there: of all sessions what SANDBOX_STORAGE says, in MB, or else a part of the disk.

    Raises UsageError if it says no number.
    """
    wanted = total_wanted()
    there = next(path for path in (directory, *directory.parents) if path.exists())
    disk = os.statvfs(there)
    total = wanted or min(Limits().total_bytes, disk.f_blocks * disk.f_frsize // _PART_OF_DISK)
    return Limits(min(Limits().session_bytes, total // _PART_OF_ALL), total)


def _mb(size: int) -> str:
    return f"{size / _MB:.1f} MB"
