"""What an app prints, as far as it is kept: the end of it."""

from __future__ import annotations

from collections import deque

from sandbox.protocol.messages import Event, Output

MOST_KEPT = 1_000_000
"""Characters."""
_TOLD = 20_000
_PIECE = 4_000


class Log:
    """Both streams in the order in which they came."""

    def __init__(self) -> None:
        self._texts: deque[str] = deque()
        self._kept = 0
        self._dropped = 0

    def take(self, event: Event) -> None:
        """Keep what was printed, and drop what was printed long before."""
        if not isinstance(event, Output):
            return
        if self._texts and len(self._texts[-1]) < _PIECE:
            self._texts[-1] += event.text  # each text by itself takes some fifty bytes more
        else:
            self._texts.append(event.text)
        self._kept += len(event.text)
        while self._kept > MOST_KEPT and self._texts:
            oldest = self._texts.popleft()
            self._kept -= len(oldest)
            self._dropped += len(oldest)

    @property
    def text(self) -> str:
        """All that is kept."""
        head = f"[the first {self._dropped} characters were dropped]\n" if self._dropped else ""
        return head + "".join(self._texts)

    @property
    def end(self) -> str:
        """As much as goes into an answer or an error."""
        text = self.text
        return text if len(text) <= _TOLD else f"[...]\n{text[-_TOLD:]}"
