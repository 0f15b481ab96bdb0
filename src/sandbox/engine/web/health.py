"""Asks an app for a page the way a browser would, and looks at no more of the answer than its first line."""

from __future__ import annotations

import asyncio
import contextlib
import re

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |\r)")
_MOST_LINE = 1024
_ANSWER_SECONDS = 10.0


async def status(host: str, port: int, path: str) -> int:
    """Return the status that a server answers with, 0 if it does not or says what is not HTTP."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, limit=_MOST_LINE)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                return _status(await reader.readline())
            finally:
                writer.transport.abort()  # whatever else it sends
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, ValueError, TimeoutError):
        return 0


def _status(line: bytes) -> int:
    found = _STATUS.match(line)
    return int(found[1]) if found else 0
