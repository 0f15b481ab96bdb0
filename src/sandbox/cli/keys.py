"""`sandbox keys`: who may use the server on this machine."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.cli import terminal
from sandbox.cli.flags import HelpFormatter, keep_in

if TYPE_CHECKING:
    from sandbox.server.keys import Key

_DAY = 86_400.0
_UNITS = {"h": 3600.0, "d": _DAY, "w": 7 * _DAY}
_EPILOG = """\
scopes:
{scopes}

A key is shown once, when it is made: only a digest of it is kept. A running
server knows of every change at once.

examples:
  sandbox keys create ci --expires 90d --sandboxes 20 --memory 8192
  sandbox keys create ci-next --owner 3f9a2c51
  sandbox keys create scraper --scope metrics
  sandbox keys list
  sandbox keys revoke ci
"""
_QUOTAS = {
    "sandboxes": (int, "how many sandboxes may be started at once"),
    "memory": (int, "MB for all of them that have a worker"),
    "disk": (int, "MB that may be stored"),
    "cpu_seconds": (float, "cpu seconds a day (UTC)"),
    "requests": (float, "requests a second"),
}


def main(argv: list[str]) -> int:
    """Run one command; return the exit code. Raises SandboxError."""
    args = _parser().parse_args(argv or ["list"])
    keep_in(args.data)
    code: int = args.action(args)
    return code


def _keyring() -> Any:
    from sandbox.server.database import open_database  # noqa: PLC0415 - after the parser has accepted the arguments
    from sandbox.server.keys import Keyring  # noqa: PLC0415

    return Keyring(open_database())


def _create(args: argparse.Namespace) -> int:
    from sandbox.server.keys import DEFAULT_SCOPES, Quotas  # noqa: PLC0415

    quotas = Quotas(**{name: getattr(args, name) for name in _QUOTAS})
    expires = None if args.expires is None else time.time() + args.expires
    key, text = _keyring().create(
        args.name, owner=args.owner, scopes=args.scope or DEFAULT_SCOPES, expires=expires, quotas=quotas
    )
    if args.json:
        _show_json({**_plain(key), "key": text})
    else:
        terminal.note(f"the key {key.id} of the owner {key.owner}, which is not shown again:")
        terminal.write(terminal.OUT, f"{text}\n")
    return 0


def _list(args: argparse.Namespace) -> int:
    keys = _keyring().all()
    if args.json:
        _show_json({"keys": [_plain(key) for key in keys]})
        return 0
    rows = [
        ("ID", "NAME", "OWNER", "STATE", "SCOPES", "QUOTAS", "CREATED"),
        *(
            (key.id, key.name, key.owner, _state(key), " ".join(key.scopes), _quotas(key), _day(key.created))
            for key in keys
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminal.write(terminal.OUT, f"{line.rstrip()}\n")
    return 0


def _revoke(args: argparse.Namespace) -> int:
    key = _keyring().revoke(args.key)
    terminal.note(f"the key {key.id} ({terminal.plain(key.name)}) opens nothing any more; its sandboxes stay")
    return 0


def _plain(key: Key) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    found: dict[str, Any] = msgspec.to_builtins(key)
    return {**found, "valid": key.valid}


def _show_json(value: object) -> None:
    import msgspec  # noqa: PLC0415

    terminal.write(terminal.OUT, f"{msgspec.json.encode(value).decode()}\n")


def _state(key: Key) -> str:
    if key.revoked is not None:
        return f"revoked {_day(key.revoked)}"
    if key.expires is None:
        return "valid"
    return f"{'until' if key.valid else 'expired'} {_day(key.expires)}"


def _quotas(key: Key) -> str:
    import msgspec  # noqa: PLC0415

    return " ".join(f"{name}={value:g}" for name, value in msgspec.to_builtins(key.quotas).items()) or "-"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _parser() -> argparse.ArgumentParser:
    from sandbox.server.keys import SCOPES  # noqa: PLC0415

    epilog = _EPILOG.format(scopes="\n".join(f"  {name:<13} {text}" for name, text in SCOPES.items()))
    parser = argparse.ArgumentParser(
        prog="sandbox keys", description="Make, list and revoke the keys of the server on this machine.",
        epilog=epilog, formatter_class=HelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    create = _command(commands, "create", _create, "make a key, and print it")
    create.add_argument("name", metavar="NAME", help="what it is for")
    create.add_argument("--owner", help="whose sandboxes it is for: those of another key (default: a new owner)")
    create.add_argument("--scope", action="append", choices=tuple(SCOPES), help="may be repeated (default: sandboxes)")
    create.add_argument("--expires", type=_span, metavar="TIME", help="such as 12h, 90d or 4w (default: never)")
    for name, (kind, text) in _QUOTAS.items():
        create.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=f"{text} (default: no limit)")
    revoke = _command(commands, "revoke", _revoke, "let a key open nothing any more")
    revoke.add_argument("key", metavar="KEY", help="its id or its name")
    for one in (create, _command(commands, "list", _list, "every key there was")):
        one.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _command(commands: Any, name: str, action: object, text: str) -> Any:
    made = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)
    made.add_argument("--data", metavar="DIR", help="the server's (default: $SANDBOX_HOME, or the user's directory)")
    made.set_defaults(action=action)
    return made


def _span(text: str) -> float:
    match = re.fullmatch(r"(\d{1,6})([hdw])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 12h, 90d or 4w")
    return int(match[1]) * _UNITS[match[2]]
