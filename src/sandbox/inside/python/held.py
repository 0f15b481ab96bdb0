"""Events that wait for their time, of bounded number and size."""

from typing import Any, NamedTuple

_MOST_EVENTS = 100
_MOST_BYTES = 32_000_000


class Event(NamedTuple):
    """A message for the engine, and how many bytes it will have, about."""

    message: dict[str, Any]
    weight: int


class Held:
    """Keeps events by a key, in order; a later one takes the place of an earlier with the same key."""

    def __init__(self) -> None:
        self._events: dict[object, Event] = {}
        self._weight = 0
        self.dropped = 0

    def put(self, key: object, event: Event) -> None:
        """Keep `event`, or count it as dropped if there are too many already."""
        replaced = self._events.get(key)
        weight = self._weight + event.weight - (replaced.weight if replaced else 0)
        if weight > _MOST_BYTES or (replaced is None and len(self._events) >= _MOST_EVENTS):
            self.dropped += 1
        else:
            self._weight = weight
            self._events[key] = event

    def take(self) -> "tuple[list[Event], int]":
        """Return what is kept, and how many were dropped, and keep nothing."""
        events, dropped = list(self._events.values()), self.dropped
        self._events.clear()
        self._weight = self.dropped = 0
        return events, dropped
