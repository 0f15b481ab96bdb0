"""Access tokens: what a client of a sandbox shows instead of the key that it was made or connected with.

A token is of one key for one sandbox, and is made anew from both whenever it is compared, so that none is stored and it
ends with its key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time
from pathlib import Path

from sandbox.server.keys import Key, Keyring

_SECRET_BYTES = 32


def kept_secret(directory: Path) -> bytes:
    """The server's own secret, made at its first start. Raises OSError."""
    path = directory / "e2b.secret"
    try:
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        secret = path.read_bytes()
        if len(secret) == _SECRET_BYTES:
            return secret
        fd = os.open(path, os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC)  # the machine went down while it was made
    with open(fd, "wb") as file:
        secret = os.urandom(_SECRET_BYTES)
        file.write(secret)
        file.flush()
        os.fsync(fd)
    return secret


def key_text(given: str) -> str:
    """A key as it was given out. Some versions of the clients take none but `e2b_` and hexadecimal digits."""
    try:
        return bytes.fromhex(given.removeprefix("e2b_")).decode() if given.startswith("e2b_") else given
    except ValueError:
        return given


class Tokens:
    """Makes tokens, and finds whose they are."""

    def __init__(self, secret: bytes, keys: Keyring) -> None:
        self._secret, self._keys = secret, keys

    def of(self, key: Key, sandbox: str) -> str:
        """The token of a key for a sandbox of its owner."""
        said = f"{key.id}:{key.owner}:{sandbox}".encode()
        return f"{key.id}.{_text(hmac.digest(self._secret, said, 'sha256'))}"

    def verify(self, token: str, sandbox: str) -> Key | None:
        """The key whose token for this sandbox this is, if it is in force."""
        key = self._keys.in_force(token.partition(".")[0])
        same = key is not None and hmac.compare_digest(self.of(key, sandbox).encode(), token.encode("utf-8", "replace"))
        return key if same else None


class Signature:
    """What a signed URL of a file says: nothing of its sandbox but what it was signed with."""

    def __init__(self, text: str, path: str, operation: str, user: str, expires: str | None) -> None:
        self._text = text.encode("utf-8", "replace")
        self._before = f"{path}:{operation}:{user}:"
        self._after = "" if expires is None else f":{expires}"
        self._expires = expires

    @property
    def expired(self) -> bool:
        """Whether it is too late, or its time is none."""
        text = self._expires
        is_time = text is not None and text.isascii() and text.isdigit() and len(text) < 16
        return text is not None and not (is_time and time.time() < int(text))

    def is_by(self, token: str) -> bool:
        """Whether this token has signed it."""
        digest = hashlib.sha256(f"{self._before}{token}{self._after}".encode("utf-8", "replace")).digest()
        encoded = base64.b64encode(digest).rstrip(b"=")
        return hmac.compare_digest(b"v1_" + encoded, self._text)


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
