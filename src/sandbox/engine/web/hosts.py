"""Keeps web pages of others away from an app: the name by which a browser asks for it must be the loopback's.

A page of any site can have its own name lead to 127.0.0.1 and then read what answers there as if it were its own (DNS
rebinding). The browser still says the site's name, in the Host header of the first request of each connection. Nothing
else is looked at, and what is no HTTP/1 passes: no browser begins with it.
"""

from __future__ import annotations

import asyncio
import re
import socket

LOCAL = ("127.0.0.1", "localhost", "[::1]")
_MOST_HEAD = 64 * 1024
_HEAD_SECONDS = 60.0
# A page can have its browser send any method: letters of both cases, digits and signs.
_REQUEST = re.compile(rb"[!-~]+ [!-~\x80-\xff]+ HTTP/[0-9]")
_OF_A_LINE = re.compile(rb"[ -~\x80-\xff\r]*\Z")
_HOST = re.compile(rb"\nhost[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_ENDS = re.compile(rb"\r?\n\r?\n")


class Refused(Exception):
    """A connection that must not reach the app; `answer` is what it gets instead."""

    def __init__(self, status: str, text: str) -> None:
        body = f"{text}\n".encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        super().__init__(status)
        self.answer = head.encode() + body


async def first_bytes(client: socket.socket, allowed: tuple[str, ...]) -> bytes:
    """Return what a client begins with, once it is known to be right. Raises Refused, OSError, TimeoutError."""
    data = bytearray()
    async with asyncio.timeout(_HEAD_SECONDS):
        while more := await asyncio.get_running_loop().sock_recv(client, _MOST_HEAD):
            seen = max(len(data) - 3, 0)  # an end may come in pieces; nothing is looked at twice
            data += more
            if not (_OF_A_LINE.match(more) if b"\n" not in data else _REQUEST.match(data)):
                break
            if end := _ENDS.search(data, seen):
                _check(bytes(data[: end.start()]), allowed)
                break
            if len(data) > _MOST_HEAD:
                raise Refused("431 Request Header Fields Too Large", f"the head of a request has {len(data)} bytes")
    return bytes(data)


def _check(head: bytes, allowed: tuple[str, ...]) -> None:
    for value in _HOST.findall(head):
        name = re.sub(r":[0-9]*\Z", "", value.decode("latin-1").strip().lower())
        if name not in allowed:
            raise Refused(
                "403 Forbidden", f"This app is not reached as {name!r}: use 127.0.0.1, or start it with hosts=."
            )
