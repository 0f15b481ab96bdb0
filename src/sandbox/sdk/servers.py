"""Which server a sandbox is on: from arguments or the environment. Clients of the same server are shared."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sandbox.errors import SandboxStartError, UsageError

if TYPE_CHECKING:
    from sandbox.remote.client import Client

DEFAULT_URL = "http://127.0.0.1:5555"
_lock = threading.Lock()
_clients: dict[tuple[str, str], Client] = {}


def client_of(server_url: str | None, api_key: str | None) -> Client:
    """A client of a server. Raises UsageError, SandboxStartError if what it takes is not installed."""
    url = _checked_url(server_url if server_url is not None else os.environ.get("SANDBOX_URL") or DEFAULT_URL)
    key = _checked_key(api_key if api_key is not None else os.environ.get("SANDBOX_API_KEY"))
    try:
        from sandbox.remote.client import Client  # noqa: PLC0415 - importing the SDK must not cost an HTTP client
    except ImportError as error:
        raise SandboxStartError(f"{error.name} is missing: pip install 'enhanced-sandbox[remote]'") from error
    with _lock:
        if (url, key) not in _clients:
            _clients[url, key] = Client(url, key)
        return _clients[url, key]


def _checked_url(url: object) -> str:
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"server_url={url!r} is not a server's URL: it must be such as {DEFAULT_URL!r}")
    return parts.geturl().rstrip("/")


def _checked_key(key: object) -> str:
    if key is None:
        raise UsageError("a server needs a key: give api_key=, or set SANDBOX_API_KEY")
    if not isinstance(key, str) or not key.isascii() or not key.isprintable() or not key.strip():
        raise UsageError("api_key is not a key: it must be a text such as 'sbx_...'")
    return key.strip()
