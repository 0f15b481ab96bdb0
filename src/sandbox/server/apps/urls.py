"""Signed urls of web apps. Each app has a host name of its own, so its pages are of another origin than all others.

A path of the server would not do: pages name their files from the root, and would share an origin with the API and
with each other. Browsers take every name below `localhost` for this machine's loopback; a server for others is told a
pattern of names that lead to it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import struct
import time
from pathlib import Path

from msgspec import Struct

from sandbox.errors import UsageError

HALF_SECONDS = 12 * 3600
"""A url is the same for so long, and is good for as long again."""
_KEY_BYTES, _MAC_BYTES, _ID_BYTES = 32, 16, 10
_PLAIN = struct.Struct(f">{_ID_BYTES}sI")
_LABEL_LENGTH = -(-(_PLAIN.size + _MAC_BYTES) * 8 // 5)
_PATTERN = re.compile(r"(https?)://\*\.([a-z0-9-]+(?:\.[a-z0-9-]+)*)(:[0-9]{1,5})?/?", re.ASCII)
_MOST_NAME = 253


class Signed(Struct, frozen=True):
    """What a good url says: which app, and until when (seconds since 1970)."""

    app: str
    until: float


class Pattern(Struct, frozen=True):
    """Where apps are reached: `https://*.apps.example.com:8443` in its parts; `port` with its colon, or empty."""

    scheme: str
    domain: str
    port: str = ""

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises UsageError."""
        match = _PATTERN.fullmatch(text.lower())
        if match is None or len(match[2]) + 1 + _LABEL_LENGTH > _MOST_NAME:
            raise UsageError(f"{text[:200]!r} is not a pattern of names for apps, such as https://*.apps.example.com")
        return cls(match[1], match[2], match[3] or "")

    def url(self, label: str) -> str:
        """The url of one app."""
        return f"{self.scheme}://{label}.{self.domain}{self.port}"

    def label(self, host: str) -> str | None:
        """What stands for the app in a Host header; None if it is another name than an app's."""
        name, _, _port = host.partition(":")
        label, dot, domain = name.lower().partition(".")
        return label if dot and domain == self.domain else None


class Urls:
    """Makes urls, and says what those are that somebody asks for."""

    def __init__(self, pattern: Pattern, key: bytes) -> None:
        self.pattern, self._key = pattern, key

    def make(self, app: str, begun: float) -> str:
        """The url of an app that was begun at that time (since 1970), as it is now."""
        halves = int(max(0.0, time.time() - begun) // HALF_SECONDS)
        plain = _PLAIN.pack(bytes.fromhex(app), int(begun) + (halves + 2) * HALF_SECONDS)
        return self.pattern.url(base64.b32encode(plain + self._mac(plain)).rstrip(b"=").decode().lower())

    def _mac(self, plain: bytes) -> bytes:
        return hmac.digest(self._key, b"web app\0" + plain, hashlib.sha256)[:_MAC_BYTES]

    def read(self, label: str) -> Signed | None:
        """Which app a name is for, if it is one that was made here and is still good."""
        try:
            data = base64.b32decode(label.upper() + "=" * (-len(label) % 8)) if len(label) == _LABEL_LENGTH else b""
        except (binascii.Error, ValueError):
            return None
        plain, mac = data[: _PLAIN.size], data[_PLAIN.size :]
        if not hmac.compare_digest(mac, self._mac(plain)) or len(plain) != _PLAIN.size:
            return None
        app, until = _PLAIN.unpack(plain)
        return Signed(app.hex(), until) if time.time() < until else None


def load_key(path: Path) -> bytes:
    """The key that urls are signed with, made at the first start; whoever calls is the only one that uses the file."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) != _KEY_BYTES:
        key, new = os.urandom(_KEY_BYTES), path.with_suffix(".new")
        new.unlink(missing_ok=True)
        fd = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(key)
        new.replace(path)
    return key
