"""`sandbox serve`: the application with its engine, under uvicorn, until it is told to end."""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, cast

import msgspec
import uvicorn
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol as WebSockets

from sandbox.engine.engine import Engine
from sandbox.engine.thread import allow_many_descriptors
from sandbox.errors import SandboxStartError
from sandbox.server import database
from sandbox.server.access import Access
from sandbox.server.app import App
from sandbox.server.apps.apps import Apps
from sandbox.server.apps.sockets import Upgrades
from sandbox.server.apps.urls import Pattern, Urls, load_key
from sandbox.server.audit import Audit
from sandbox.server.dialects import Dialect
from sandbox.server.e2b.dialect import E2b
from sandbox.server.gate import Gate
from sandbox.server.keys import Keyring
from sandbox.server.microsandbox.dialect import Microsandbox
from sandbox.server.observe import Counts
from sandbox.server.quotas import CpuSeconds
from sandbox.server.registry import Registry
from sandbox.server.tracing import Tracer
from sandbox.server.writes import Http

MAX_MESSAGE = 64 * 1024
"""Bytes of one message of a WebSocket to the server itself."""
_INTERRUPTED_SECONDS = 10.0  # for code that was interrupted to end, and its variables to be stored


class Settings(msgspec.Struct, frozen=True):
    """How to serve. `idle_timeout` and `drain` in seconds; `workers`: how many sandboxes may have one at once.

    `apps_url`: where web apps are reached, such as https://*.apps.example.com; this machine's loopback if left out.
    """

    host: str = "127.0.0.1"
    port: int = 5555
    idle_timeout: float | None = 600.0
    workers: int | None = 100
    drain: float = 30.0
    tls_cert: str | None = None
    tls_key: str | None = None
    log_level: str = "info"
    apps_url: str | None = None


class Server:
    """One server on this machine's data directory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = _locked()
        self._database = database.open_database()
        self.keys = Keyring(self._database)
        self.app = App(self._start, self._stop)
        self._pattern = Pattern.parse(settings.apps_url or "http://*.localhost")

    async def _start(self) -> tuple[Gate, Access, Apps, tuple[Dialect, ...]]:
        allow_many_descriptors()
        settings = self._settings
        self._engine = Engine(most=settings.workers)
        self._audit = Audit(database.server_dir() / "audit.log")
        self._cpu = CpuSeconds(self._database)
        self._tracer = Tracer.configured()
        apps = Apps(self._engine, Urls(self._pattern, load_key(database.server_dir() / "apps.key")))
        self._gate = Gate(
            self._engine, Registry(self._database), self._cpu, self._audit, Counts(), settings.idle_timeout, apps,
            self._tracer,
        )  # fmt: skip
        self._metering = asyncio.create_task(self._gate.meter())
        self._dialects: tuple[Dialect, ...] = (E2b(self._database, self.keys, self._gate), Microsandbox())
        return self._gate, Access(self.keys), apps, self._dialects

    async def _stop(self) -> None:
        """Uvicorn has waited for what was under way; what is still running is interrupted, and everything saved."""
        for dialect in self._dialects:
            await dialect.close()
        running = self._gate.recordings.running
        for one in running:
            one.cancel()
        if tasks := [one.task for one in running if one.task is not None]:
            await asyncio.wait(tasks, timeout=_INTERRUPTED_SECONDS)
        self._metering.cancel()
        await asyncio.wait([self._metering])
        await self._engine.close()  # it charges for what was not seen yet
        self._cpu.write()
        self._audit.close()
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until SIGTERM or SIGINT. `ready` gets the URL as soon as it answers. Raises SandboxStartError."""
        with _listening(self._settings) as listening:
            if self._settings.apps_url is None:
                scheme = "https" if self._settings.tls_cert else "http"
                self._pattern = Pattern.parse(f"{scheme}://*.localhost:{listening.getsockname()[1]}")
            config = uvicorn.Config(
                self.app, lifespan="on", log_config=None, access_log=False, server_header=False,
                date_header=False, timeout_graceful_shutdown=int(self._settings.drain), timeout_keep_alive=75,
                ssl_certfile=self._settings.tls_cert, ssl_keyfile=self._settings.tls_key, http=Http,
                ws=cast("type[asyncio.Protocol]", self._upgraded), ws_max_size=MAX_MESSAGE,
                ws_per_message_deflate=False, loop="asyncio", proxy_headers=False,
            )  # fmt: skip
            # Uvicorn has handlers of its own while it serves, and then sends itself once more what it has got.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda _number, _frame: None)
            server = _Uvicorn(config, lambda: ready(_url(self._settings, listening)))
            asyncio.run(server.serve([listening]))
        self._database.close()
        os.close(self._lock)
        if not server.started:
            raise SandboxStartError("the server could not start; what is above says why")

    def _upgraded(self, **made: Any) -> Upgrades:
        """What speaks with a client that wants a WebSocket."""
        return Upgrades(self.app.apps, WebSockets, made)


class _Uvicorn(uvicorn.Server):
    """Tells when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def check_exposure(settings: Settings, keys: Keyring) -> str | None:
    """A warning, if there is something to warn of. Raises SandboxStartError where nobody could have a key."""
    if _is_loopback(settings.host):
        return None
    if not any(key.valid for key in keys.all()):
        raise SandboxStartError(
            f"{settings.host} can be reached from other machines, and there is no key: make one with "
            "`sandbox keys create NAME`, on this machine"
        )
    if settings.tls_cert is None:
        return (
            f"{settings.host} can be reached from other machines, and keys travel in the clear: use --tls-cert and "
            "--tls-key, or a proxy that speaks TLS"
        )
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listening(settings: Settings) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        # With the protocol's number: asyncio turns Nagle's algorithm off only where it sees TCP.
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(2048)
    except OSError as error:
        raise SandboxStartError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
    return found


def _url(settings: Settings, listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _locked() -> int:
    """One server for each data directory: two would not know of each other's sandboxes."""
    path = database.server_dir() / "lock"
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise SandboxStartError(f"another server uses {path.parent.parent}: end it, or give another --data") from None
    return fd


class JsonLines(logging.Formatter):
    """A log line as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": record.created, "level": record.levelname.lower(), "logger": record.name,
            "message": record.getMessage(),
        }  # fmt: skip
        if (request := getattr(record, "request", None)) is not None:
            line["request"] = request
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def log_to_stderr(level: str) -> None:
    """Write what this server, its engine and uvicorn have to say as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("sandbox", "uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper() if name == "sandbox" else "WARNING")
