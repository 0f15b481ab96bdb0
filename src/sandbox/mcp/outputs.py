"""Outputs that were too long for an answer, kept in memory so that the rest can be read."""

from __future__ import annotations

from collections import OrderedDict
from itertools import count

from sandbox.mcp import uris
from sandbox.mcp.text import MOST_TEXT, cut

_MOST_BYTES = 64 * 1024 * 1024


class Outputs:
    """The latest ones, by address. They end with the server."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._numbers = count(1)

    def shown(self, scope: str, session: str, text: str, most: int = MOST_TEXT) -> tuple[str, str]:
        """What to show of an output, and the address of the whole; empty if nothing is left out."""
        if len(text) <= most:
            return text, ""
        address = uris.output(session, str(next(self._numbers)))
        self._keep((scope, address), text.encode("utf-8", "replace"))
        return cut(text, most, f"; read_file({address!r}) has all"), address

    def _keep(self, key: tuple[str, str], data: bytes) -> None:
        self._kept[key] = data
        self._bytes += len(data)
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped)

    def get(self, scope: str, address: str) -> bytes | None:
        """All of an output; None if it is not there any more."""
        return self._kept.get((scope, address))
