"""`sandbox serve`: sandboxes over HTTP."""

from __future__ import annotations

import argparse
import sys

from sandbox.cli import terminal
from sandbox.cli.flags import HelpFormatter, keep_in
from sandbox.errors import SandboxStartError, UsageError

_EPILOG = """\
Everything but /healthz needs a key. Where there is none yet, one is made and
printed, once; `sandbox keys` makes, lists and revokes others.

SIGTERM ends it: what runs may end within --drain seconds, is interrupted then,
and everything is stored. The same sandboxes go on after a start.

examples:
  sandbox serve
  sandbox serve --port 8000 --data /srv/sandboxes
  sandbox serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
"""


def main(argv: list[str]) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. Raises SandboxError."""
    args = _parser().parse_args(argv)
    keep_in(args.data)
    if (args.tls_cert is None) != (args.tls_key is None):
        raise UsageError("--tls-cert and --tls-key go together")
    if sys.platform != "linux":
        raise SandboxStartError(f"a server needs Linux, and this is {sys.platform}")
    _check_installed()
    from sandbox.server.serve import Server, Settings, check_exposure, log_to_stderr  # noqa: PLC0415

    settings = Settings(
        args.host, args.port, args.idle_timeout or None, args.workers, args.drain, args.tls_cert, args.tls_key,
        args.log_level, args.apps_url,
    )  # fmt: skip
    log_to_stderr(settings.log_level)
    server = Server(settings)
    warning = check_exposure(settings, server.keys)
    if warning is not None:
        terminal.note(warning)
    if not server.keys.all():
        _make_first_key(server.keys)
    server.run(lambda url: terminal.write(terminal.OUT, f"serving on {url}\n"))
    return 0


def _check_installed() -> None:
    try:
        import httptools  # noqa: F401, PLC0415
        import prometheus_client  # noqa: F401, PLC0415
        import starlette  # noqa: F401, PLC0415
        import uvicorn  # noqa: F401, PLC0415
        import websockets  # noqa: F401, PLC0415
    except ImportError as error:
        raise SandboxStartError(f"{error.name} is missing: pip install 'enhanced-sandbox[server]'") from error


def _make_first_key(keys: object) -> None:
    from sandbox.server.keys import Keyring  # noqa: PLC0415

    assert isinstance(keys, Keyring)
    _, text = keys.create("first", scopes=("sandboxes", "metrics"))
    terminal.write(terminal.OUT, f"the first key, which is not shown again: {text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sandbox serve", description="Serve sandboxes over HTTP.", epilog=_EPILOG,
        formatter_class=HelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    add("--port", type=_port, default=5555, help="the port; 0 takes a free one (default: 5555)")
    add("--data", metavar="DIR", help="where everything is kept (default: $SANDBOX_HOME, or the user's data directory)")
    add(
        "--idle-timeout", type=_seconds, default=600.0, metavar="SECONDS",
        help="end the worker of a sandbox that nobody uses for so long; 0 for never (default: 600)",
    )  # fmt: skip
    add("--workers", type=_count, default=100, metavar="N", help="how many sandboxes may have a worker (default: 100)")
    add("--drain", type=_seconds, default=30.0, metavar="SECONDS", help="how long to wait at the end (default: 30)")
    add("--tls-cert", metavar="FILE", help="a certificate with its chain, to speak TLS")
    add("--tls-key", metavar="FILE", help="its key")
    add(
        "--apps-url", metavar="PATTERN",
        help="where browsers reach web apps, such as https://*.apps.example.com (default: this machine's loopback)",
    )  # fmt: skip
    add("--log-level", choices=("debug", "info", "warning", "error"), default="info", help="(default: info)")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of workers")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value
