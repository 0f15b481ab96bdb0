"""What code has asked the proxy for, and what it got."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from sandbox.protocol.messages import NetworkRecord

if TYPE_CHECKING:
    from sandbox.network.hosts import Host

_MOST = 1000
_MOST_TOLD = 5
_MOST_TEXT, _MOST_METHOD = 300, 30
# How the proxy's answer begins when something is allowed, and could not be reached.
NO_ANSWER = "The sandbox's proxy has no answer"


class Entry(msgspec.Struct, eq=False):
    """One request or connection. `rule` allowed it, or would; `reason` says why it was refused or has failed."""

    kind: str
    host: str
    port: int
    allowed: bool
    rule: str
    reason: str = ""
    method: str = ""
    path: str = ""
    sent: int = 0
    received: int = 0
    at: float = msgspec.field(default_factory=time.time)

    def shown(self) -> NetworkRecord:
        """The entry as it travels."""
        return NetworkRecord(**{name: getattr(self, name) for name in self.__struct_fields__})


class Journal:
    """The newest entries of a session. `wanted` has the rules that would allow all that was asked for."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=_MOST)
        self.wanted: dict[str, None] = {}
        self._refused: dict[tuple[str, str], int] = {}
        self._noticed: dict[str, None] = {}

    def note(self, entry: Entry) -> Entry:
        """Add an entry."""
        entry.path, entry.method = entry.path[:_MOST_TEXT], entry.method[:_MOST_METHOD]
        self.entries.append(entry)
        if not entry.allowed:
            key = entry.rule, entry.reason
            if key in self._refused or len(self._refused) < _MOST:
                self._refused[key] = self._refused.get(key, 0) + 1
        return entry

    def want(self, host: Host, port: int, kind: str) -> None:
        """Remember what a policy would have to allow."""
        from sandbox.network.rules import rule_for  # noqa: PLC0415 - for who has a policy

        if len(self.wanted) < _MOST:
            self.wanted[rule_for(host, port, kind)] = None

    def notice(self, entry: Entry, text: str) -> None:
        """Say something of a request that was allowed, in its entry and to who runs the code."""
        entry.reason = text
        if len(self._noticed) < _MOST_TOLD:
            self._noticed[f"network: {text}"] = None

    def begin(self) -> None:
        """Begin to count anew what is refused: an execution begins."""
        self._refused.clear()
        self._noticed.clear()

    def warnings(self) -> list[str]:
        """All there is to say since then, in words."""
        return [*self.refused(), *self._noticed]

    def refused(self) -> list[str]:
        """What was refused since then, in words."""
        told = [_told(rule, reason, count) for (rule, reason), count in list(self._refused.items())[:_MOST_TOLD]]
        more = len(self._refused) - _MOST_TOLD
        return [*told, f"{more} more hosts were refused: see sandbox.network.log()"] if more > 0 else told


def _told(rule: str, reason: str, count: int) -> str:
    times = "" if count == 1 else f" ({count} times)"
    return f"network: {reason}{times}" + (f"; the rule that would allow it: {rule!r}" if rule else "")
