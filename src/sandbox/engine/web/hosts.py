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
_BEGINS = re.compile(rb"[A-Z]{1,20} ")
_NOT_YET = re.compile(rb"[A-Z]{0,20}\Z")
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
    data = b""
    async with asyncio.timeout(_HEAD_SECONDS):
        while more := await asyncio.get_running_loop().sock_recv(client, _MOST_HEAD):
            data += more
            if _BEGINS.match(data):
                if end := _ENDS.search(data):
                    _check(data[: end.start()], allowed)
                    return data
                if len(data) > _MOST_HEAD:
                    raise Refused("431 Request Header Fields Too Large", f"the head of a request has {len(data)} bytes")
            elif not _NOT_YET.match(data):
                return data
    return data


def _check(head: bytes, allowed: tuple[str, ...]) -> None:
    for value in _HOST.findall(head):
        name = re.sub(r":[0-9]*\Z", "", value.decode("latin-1").strip().lower())
        if name not in allowed:
            raise Refused(
                "403 Forbidden", f"This app is not reached as {name!r}: use 127.0.0.1, or start it with hosts=."
            )
