"""Who asks: a client by its key, its name and its connection; and what its sessions are called in the store."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from sandbox.errors import UsageError
from sandbox.ids import checked_session_id

_NAME = re.compile(r"[^a-z0-9]+")
_MOST_NAME = 32
_DIGITS = 8


class Client(NamedTuple):
    """`scope` begins the stored ids of all its sessions; `default` is the name of the one that it has unasked.

    `connection` tells two apart that are otherwise alike; empty where the protocol knows no connections.
    """

    scope: str
    default: str
    connection: str = ""

    def stored_id(self, name: str) -> str:
        """The id in the store of the session that this client calls `name`. Raises UsageError."""
        checked_session_id(name)
        try:
            return checked_session_id(self.scope + name)
        except UsageError as error:
            most = 128 - len(self.scope)
            raise UsageError(f"session_id {name!r} is too long: at most {most} characters here") from error


def local(name: str, directory: str, default: str | None = None) -> Client:
    """The one client of a server on stdio: its sessions are the user's own, by their own ids.

    Unless `default` says otherwise, its default session belongs to the program that started the server and to the
    directory that it was started in: that is what a restart has in common with the time before.
    """
    return Client("", default or f"{slug(name)}-{digest(directory)}")


def remote(name: str, key: str, connection: str = "") -> Client:
    """A client over HTTP. Whoever has another key, or is another program, has other sessions."""
    return Client(f"http-{digest(key)}-{slug(name)}.", "default", connection)


def slug(name: str) -> str:
    """A program's name as a part of an id."""
    return _NAME.sub("-", name.lower()).strip("-")[:_MOST_NAME].strip("-") or "client"


def digest(text: str) -> str:
    """A few letters that stand for a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_DIGITS // 2).hexdigest()
