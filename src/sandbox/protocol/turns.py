"""The order of an answer: any number of events, then exactly one last event, then silence. Does no I/O."""

from __future__ import annotations

from sandbox.errors import ProtocolError
from sandbox.protocol.messages import AnyEvent


class Turn:
    """Checks one answer as its events arrive."""

    def __init__(self) -> None:
        self._over = False

    def accept(self, event: AnyEvent) -> AnyEvent:
        """Return `event`. Raises ProtocolError for an event after the last one."""
        if self._over:
            raise ProtocolError(f"an event came after the answer had ended: {type(event).__name__}")
        self._over = event.last
        return event

    def finish(self) -> None:
        """Call when no more can come. Raises ProtocolError if the last event is missing."""
        if not self._over:
            raise ProtocolError("the answer ended without its last event")
