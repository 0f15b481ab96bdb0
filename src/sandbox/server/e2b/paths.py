"""Paths: the client's home directory is the workspace."""

from __future__ import annotations

import base64
import binascii
import posixpath

from sandbox.errors import UsageError

HOME = "/home/user"
USER = "user"


def inward(path: str) -> str:
    """A path as the engine takes it, which has the last word: relative to the workspace, or absolute as it is."""
    if path == "~" or path.startswith("~/"):
        path = f"{HOME}{path[1:]}"
    clean = posixpath.normpath(f"/{path.lstrip('/')}") if path.startswith("/") else path
    if clean == HOME or clean.startswith(f"{HOME}/"):
        return posixpath.relpath(clean, HOME)
    return path


def outward(path: str) -> str:
    """A path of the workspace as the client knows it."""
    return posixpath.normpath(f"{HOME}/{path}")


def check_user(name: str | None) -> None:
    """A sandbox has one user. Raises UsageError for another."""
    if name not in {None, "", USER}:
        raise UsageError(f"there is no user {str(name)[:100]!r}: a sandbox here has one, {USER!r}, and no root")


def basic_user(authorization: str | None) -> str | None:
    """The user that a request names. Raises UsageError."""
    if authorization is None:
        return None
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UsageError("the user in the Authorization header cannot be read") from error
