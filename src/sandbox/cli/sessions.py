"""`sandbox sessions`: the sessions that are stored on this machine. No engine and no worker is started for it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sandbox.cli import terminal
from sandbox.cli.sessions_flags import COMMANDS, help_text, parser
from sandbox.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

# Each is `function(store, arguments) -> exit code`, in a module that only it and its likes need.
_WHERE = {
    "list": ("sessions_show", "show_list"),
    "show": ("sessions_show", "show_one"),
    "log": ("sessions_log", "log"),
    "diff": ("sessions_show", "diff"),
    "rollback": ("sessions_change", "rollback"),
    "fork": ("sessions_change", "fork"),
    "label": ("sessions_change", "label"),
    "export": ("sessions_change", "export"),
    "import": ("sessions_change", "import_one"),
    "rm": ("sessions_change", "remove"),
    "gc": ("sessions_change", "collect"),
    "verify": ("sessions_change", "verify"),
}


def main(argv: list[str]) -> int:
    """Run one command; return the exit code. Raises SandboxError, OSError."""
    if argv and argv[0] in {"-h", "--help"}:
        terminal.write(terminal.OUT, help_text())
        return 0
    if not argv or argv[0].startswith("-"):
        argv = ["list", *argv]
    command, *rest = argv
    command = {"delete": "rm"}.get(command, command)  # as the SDK and the documents call it
    if command not in COMMANDS:
        raise UsageError(
            f"there is no command {command!r} of sessions; there are: {', '.join(COMMANDS)}. "
            "See `sandbox sessions --help`"
        )
    return _run(command, parser(command).parse_args(rest))


def _run(command: str, args: Namespace) -> int:
    from sandbox.engine.paths import data_dir, passable  # noqa: PLC0415 - after the parser has accepted the arguments

    directory = data_dir() / "store"
    if command == "import":
        passable(data_dir())
    elif not (directory / "store.db").exists():
        return _nothing(directory, args)
    from sandbox.store.quota import limits_of  # noqa: PLC0415
    from sandbox.store.store import Store  # noqa: PLC0415

    module, function = _WHERE[command]
    with Store(directory, limits_of(directory)) as store:
        code: int = getattr(import_module(f"sandbox.cli.{module}"), function)(store, args)
    return code


def _nothing(directory: Path, args: Namespace) -> int:
    """What a command says where nothing was ever stored: it does not make a store to look into."""
    where = terminal.plain(str(directory))
    if getattr(args, "session", None) or getattr(args, "sessions", None):
        raise UsageError(f"there is no session: nothing is stored in {where}")
    if getattr(args, "json", False):
        from sandbox.cli.sessions_text import show_json  # noqa: PLC0415

        show_json({"sessions": []})
    else:
        terminal.note(f"nothing is stored in {where}")
    return 0
