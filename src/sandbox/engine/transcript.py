"""What an execution printed and showed, as far as it is kept with the session: enough to write a notebook."""

from __future__ import annotations

from typing import Any

import msgspec

from sandbox.protocol.messages import Event, Output, ResultShown

_MOST_BYTES = 1024 * 1024


class Transcript:
    """Collects events in their order. Neighbouring outputs of a stream become one; what is too much is left out."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Any]] = []
        self._left = _MOST_BYTES

    def add(self, event: Event) -> None:
        """Take an event that goes to the caller."""
        if isinstance(event, Output):
            self._print(event)
        elif isinstance(event, ResultShown):
            shown = {"data": event.data, "main": event.main}
            self._left -= (size := len(msgspec.json.encode(shown)))
            if self._left >= 0:
                self.outputs.append(msgspec.to_builtins(shown))
            else:
                self._left += size

    def _print(self, event: Output) -> None:
        text = event.text[: max(self._left, 0)]
        self._left -= len(text)
        if not text:
            return
        last = self.outputs[-1] if self.outputs else {}
        if last.get("stream") == event.stream:
            last["text"] += text
        else:
            self.outputs.append({"stream": event.stream, "text": text})
