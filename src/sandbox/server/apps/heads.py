"""Which headers go on to an app, and which come back. Does no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sandbox.server.apps.apps import VISITORS_HEADER
from sandbox.server.apps.urls import Pattern

Headers = list[tuple[bytes, bytes]]
# Of one connection, and not of what is sent over it (RFC 9110, 7.6.1).
_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade", b"expect", b"http2-settings",
}  # fmt: skip
_FORWARDED = re.compile(rb"x-forwarded-.*|forwarded|x-real-ip|" + VISITORS_HEADER.encode())
_OUR_KEY = re.compile(rb"bearer\s+sbx_", re.IGNORECASE)
_DOMAIN = re.compile(rb";\s*domain\s*=[^;]*", re.IGNORECASE)
# Its url is what opens an app: other sites are not told.
_REFERRER = (b"referrer-policy", b"same-origin")


def asked(headers: Iterable[tuple[bytes, bytes]], pattern: Pattern) -> Headers:
    """A visitor's headers as the app gets them: with the host that the visitor asked for, and no key of the server."""
    found = [*_of_the_message(headers)]
    kept = [
        (name, value)
        for name, value in found
        if not _FORWARDED.fullmatch(name) and not (name == b"authorization" and _OUR_KEY.match(value))
    ]
    host = next((value for name, value in kept if name == b"host"), b"")
    return [*kept, (b"x-forwarded-proto", pattern.scheme.encode()), (b"x-forwarded-host", host)]


def answered(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """An app's headers as its visitor gets them: its cookies are its own host's alone."""
    kept = [
        (name, _DOMAIN.sub(b"", value) if name == b"set-cookie" else value)
        for name, value in _of_the_message(headers)
        if name != b"referrer-policy" or value == b"no-referrer"
    ]
    return kept if any(name == b"referrer-policy" for name, _ in kept) else [*kept, _REFERRER]


def _of_the_message(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    lower = [(name.lower(), value) for name, value in headers]
    named = {part.strip().lower() for name, value in lower if name == b"connection" for part in value.split(b",")}
    return ((name, value) for name, value in lower if name not in _HOP_BY_HOP and name not in named)
