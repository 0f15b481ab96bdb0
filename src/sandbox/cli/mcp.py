"""`sandbox mcp`: the MCP server, for a client that starts it, or over HTTP for many."""

from __future__ import annotations

import gc
import os
import secrets
import signal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sandbox.cli import arguments, session, terminal
from sandbox.errors import SandboxError, UsageError
from sandbox.ids import checked_session_id

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path
    from types import FrameType

    from sandbox.cli.flags import Parser
    from sandbox.engine.keeper import KeeperProcess
    from sandbox.engine.thread import EngineThread
    from sandbox.options import SandboxOptions

PORT = 8765
_PARKED = 1
_LEAST_KEY = 16

_EPILOG = """\
A client that starts the server itself has one session by default, which belongs
to that client and the directory it is started in, and goes on with it after a
restart; --session names another one. `sandbox sessions` lists them.

With --http it listens on this machine's loopback for many clients, each of
which needs a key: a line of the key file, which is made with one key if it is
not there. Clients with different keys have different sessions.

--print-config prints what to write into a client's configuration, with the
other flags that are given here.

examples:
  sandbox mcp --print-config claude-code
  sandbox mcp --print-config cursor --memory 4G --mount ~/data:/data
  sandbox mcp --http --port 8765
"""


def main(argv: list[str]) -> int:
    """Serve; return the exit code. Raises SandboxError, OSError."""
    args = _parser().parse_args(argv, arguments.Arguments())
    if args.print_config is not None:
        return _print_config(args, argv)
    if args.session is not None:
        checked_session_id(args.session)
    if find_spec("mcp") is None:
        raise UsageError("`sandbox mcp` needs the package mcp: pip install 'enhanced-sandbox[mcp]'")
    gc.disable()  # there is no garbage yet, only imports
    keeper = session.start_ahead(args.environment or args.packages or None)
    options = arguments.sandbox_options(args).but(persist=True)
    engine = _engine(options, keeper)
    try:
        _serve(args, options, engine)
    finally:
        engine.close()
    return 0


def _parser() -> Parser:
    from sandbox.cli.flags import HelpFormatter, Parser, add_sandbox_flags, count  # noqa: PLC0415

    parser = Parser(
        prog="sandbox mcp",
        description="Give AI assistants sandboxes, over the Model Context Protocol.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--http", action="store_true", help="listen for HTTP on the loopback instead")
    add("--port", type=count, default=PORT, metavar="N", help=f"with --http; 0 is any (default: {PORT})")
    add("--key-file", metavar="FILE", help="with --http: the keys that are let in, one a line")
    add("--insecure", action="store_true", help="with --http: let in whoever can reach the loopback, without a key")
    add("--print-config", metavar="CLIENT", help="print a client's configuration, and serve nothing")
    add_sandbox_flags(parser, arguments.TIMEOUT)
    return parser


def _engine(options: SandboxOptions, keeper: KeeperProcess | None) -> EngineThread:
    """An engine that gets workers ready while the server is imported."""
    from sandbox.engine.thread import EngineThread  # noqa: PLC0415 - after the keeper was started
    from sandbox.sdk.convert import session_options  # noqa: PLC0415

    engine = EngineThread(parked=_PARKED, keeper=keeper)
    engine.prepare(session_options(options)).add_done_callback(_note_failure)
    return engine


def _note_failure(prepared: Future[None]) -> None:
    """The first tool that needs a session will fail alike, and say so to the client."""
    if not prepared.cancelled() and isinstance(error := prepared.exception(), SandboxError):
        terminal.note(error.message)


def _serve(args: Any, options: SandboxOptions, engine: EngineThread) -> None:
    if not args.http:
        from sandbox.mcp import stdio  # noqa: PLC0415 - it takes most of a second to import

        _watch_garbage()
        stdio.serve(options, engine, args.session)
        return
    from sandbox.mcp import http  # noqa: PLC0415

    _watch_garbage()
    listening = http.listen(args.port)
    keys = None if args.insecure else keys_in(_key_file(args))
    address = f"http://{http.HOST}:{listening.getsockname()[1]}{http.PATH}"
    terminal.note(f"MCP at {address}, " + ("without a key" if keys is None else f"with a key of {_key_file(args)}"))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ended)  # raised again once the server has ended: then the engine is still to be closed
    http.serve(options, listening, keys, engine)


def _watch_garbage() -> None:
    """All that was imported stays, and looking through it takes several milliseconds each time."""
    gc.freeze()
    gc.enable()


def _ended(_number: int, _frame: FrameType | None) -> None:
    """The server has been told to end, and has."""


# --- keys -----------------------------------------------------------------------------------------------------------


def _key_file(args: Any) -> Path:
    from pathlib import Path  # noqa: PLC0415

    if args.key_file is not None:
        return Path(args.key_file)
    from sandbox.engine.paths import data_dir  # noqa: PLC0415

    return data_dir() / "mcp-keys"


def keys_in(file: Path) -> list[str]:
    """The keys of a file, which is made with a new one if it is not there. Raises UsageError, OSError."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as new:
            new.write(f"{secrets.token_urlsafe(32)}\n")
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise UsageError(f"{file} has no key: write one a line, or remove the file to have one made")
    if short := [key for key in keys if len(key) < _LEAST_KEY]:
        raise UsageError(f"{file} has a key of {len(short[0])} characters: {_LEAST_KEY} are the least")
    return keys


# --- configuration of clients ---------------------------------------------------------------------------------------


def _print_config(args: Any, argv: list[str]) -> int:
    from sandbox.mcp import config  # noqa: PLC0415

    if args.http:
        key = "" if args.insecure else keys_in(_key_file(args))[0]
        how = config.How(url=f"http://127.0.0.1:{args.port}/mcp", key=key)
    else:
        how = config.How(command=config.own_command(_other_flags(argv)))
    where, text = config.configuration(args.print_config, how)
    terminal.note(where)
    terminal.write(terminal.OUT, f"{text}\n")
    return 0


def _other_flags(argv: list[str]) -> list[str]:
    """The command line without --print-config."""
    at = next(i for i, text in enumerate(argv) if text.partition("=")[0] == "--print-config")
    return argv[:at] + argv[at + (1 if "=" in argv[at] else 2) :]
