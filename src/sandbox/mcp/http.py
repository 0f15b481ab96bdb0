"""The server over streamable HTTP, on this machine's loopback: many clients, told apart by their keys and names."""

from __future__ import annotations

import hmac
import socket
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sandbox import SandboxOptions
from sandbox.errors import UsageError
from sandbox.mcp import clients
from sandbox.mcp.clients import Client
from sandbox.mcp.server import SandboxServer, client_name
from sandbox.mcp.sessions import HOLDING

PATH = "/mcp"
HOST = "127.0.0.1"
_SESSION = "mcp-session-id"
_MOST_BODY = 32 * 1024 * 1024
_GRACE_SECONDS = 2
# Only who asks for this machine by a name that it has itself: a web page of another name cannot reach the server then.
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_SECURITY = TransportSecuritySettings(
    allowed_hosts=[f"{name}:*" for name in _NAMES], allowed_origins=[f"http://{name}:*" for name in _NAMES]
)


class Keys:
    """Which bearer keys are let in. What a key stands for is known here by the key itself."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    async def verify_token(self, token: str) -> AccessToken | None:
        """Called by the library. Takes as long for a wrong key as for a right one."""
        given = token.encode("utf-8", "surrogateescape")
        known = [hmac.compare_digest(key, given) for key in self._keys]
        return AccessToken(token=token, client_id=clients.digest(token), scopes=[]) if any(known) else None


def listen(port: int) -> socket.socket:
    """A socket on the loopback; port 0 is any. Raises UsageError."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen()  # who connects before the server is ready waits
    except OSError as error:
        listening.close()
        raise UsageError(f"port {port} cannot be listened on: {error.strerror}; choose another with --port") from error
    return listening


def serve(options: SandboxOptions, listening: socket.socket, keys: Sequence[str] | None, engine: Any = None) -> None:
    """Serve until the process is told to end. `keys` None lets everybody in who can reach the loopback."""
    config = uvicorn.Config(
        app(options, keys, engine), log_level="warning", access_log=False, lifespan="on",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listening])


def app(options: SandboxOptions, keys: Sequence[str] | None, engine: Any = None) -> Starlette:
    """The ASGI application."""
    server = SandboxServer(options, _who, engine)
    manager = StreamableHTTPSessionManager(
        server.protocol,
        security_settings=_SECURITY,
        session_idle_timeout=HOLDING.idle_seconds,
        max_request_body_size=_MOST_BODY,
    )
    endpoint: Any = _Ends(StreamableHTTPASGIApp(manager), server.has.sessions.disconnected)
    middleware = []
    if keys is not None:
        endpoint = RequireAuthMiddleware(endpoint, [])
        middleware = [Middleware(AuthenticationMiddleware, backend=BearerAuthBackend(Keys(keys)))]
    return Starlette(
        routes=[Route(PATH, endpoint=endpoint)], middleware=middleware, lifespan=lambda _app: manager.run()
    )


class _Ends:
    """Notes when a client ends its connection."""

    def __init__(self, inner: StreamableHTTPASGIApp, ended: Callable[[str], None]) -> None:
        self._inner, self._ended = inner, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._inner(scope, receive, send)
        if scope.get("method") == "DELETE":
            headers = dict(scope["headers"])
            self._ended(headers.get(_SESSION.encode(), b"").decode("latin-1"))


def _who(context: Any) -> Client:
    request = context.request
    user = request.scope.get("user")
    key = user.access_token.token if isinstance(user, AuthenticatedUser) else ""
    return clients.remote(client_name(context), key, request.headers.get(_SESSION, ""))
