"""Text from a pipe: decoded as it comes, counted, and cut at the limit."""

from __future__ import annotations

import codecs

_REPLACE = codecs.getincrementaldecoder("utf-8")


class TextStream:
    """One stream of one execution. Bytes beyond `limit` are counted and dropped."""

    def __init__(self, limit: int) -> None:
        self._decoder = _REPLACE("replace")
        self._left = limit
        self.dropped = 0

    @property
    def full(self) -> bool:
        return self._left <= 0

    def take(self, data: bytes) -> str:
        """Return the text of `data`, as far as the limit allows."""
        if len(data) > self._left:
            self.dropped += len(data) - self._left
            data = data[: self._left]
        self._left -= len(data)
        return self._decoder.decode(data) if data else ""

    def rest(self) -> str:
        """Return what is left of a character that was never completed."""
        return self._decoder.decode(b"", final=True)
