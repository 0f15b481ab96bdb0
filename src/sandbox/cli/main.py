"""The command `sandbox`: finds the command that was asked for, runs it, and turns every failure into one message."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from sandbox.cli import terminal

if TYPE_CHECKING:
    from sandbox.errors import SandboxError

USAGE, NOT_STARTED, INTERRUPTED, READER_GONE = 2, 3, 130, 141

# Each is a module of this package with `main(arguments) -> exit code`.
COMMANDS = {
    "run": "run a script or a line of code in a sandbox of its own",
    "repl": "talk to a sandbox: an interactive session",
    "shell": "a terminal in a session, here or on a server",
    "sessions": "show stored sessions, roll them back, fork, export them",
    "serve": "serve sandboxes over HTTP, to callers with keys",
    "keys": "make, list and revoke the keys of that server",
    "mcp": "give AI assistants sandboxes, over the Model Context Protocol",
    "doctor": "show which isolation there is here, and what mends the rest",
}

_HELP = """\
usage: sandbox COMMAND ...

Run Python and JavaScript that nobody has read, isolated from this machine.

commands:
{commands}

options:
  -h, --help     show this help; `sandbox COMMAND --help` shows a command's own
  --version      show the version and exit

examples:
  sandbox run -c 'print(6 * 7)'
  sandbox run --file data.csv --artifacts out analysis.py data.csv
  sandbox repl --session analysis
  sandbox sessions
  sandbox doctor
"""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line. Ends the process."""
    terminal.keep_standard_descriptors()
    # Until there is code to interrupt. An exception would end up in the middle of some import.
    signal.signal(signal.SIGINT, lambda _number, _frame: terminal.leave(INTERRUPTED))
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
    except SystemExit as end:  # argparse, after it has printed a usage error or the help
        code = end.code if isinstance(end.code, int) else USAGE
    except BrokenPipeError:
        code = READER_GONE
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, a user gets a message and no traceback of ours
        code = _failed(error)
    terminal.leave(code)


def _run(arguments: list[str]) -> int:
    match arguments:
        case [] | ["-h" | "--help", *_]:
            terminal.write(1, help_text())
            return 0 if arguments else USAGE
        case ["--version", *_]:
            from sandbox import __version__  # noqa: PLC0415 - each of these commands pays only for what it needs

            terminal.write(1, f"sandbox {__version__}\n")
            return 0
        case [name, *rest] if name in COMMANDS:
            code: int = import_module(f"sandbox.cli.{name}").main(rest)
            return code
    terminal.note(f"there is no command {arguments[0]!r}; there are: {', '.join(COMMANDS)}. See `sandbox --help`")
    return USAGE


def help_text() -> str:
    """What `sandbox --help` prints."""
    return _HELP.format(commands="\n".join(f"  {name:<14} {text}" for name, text in COMMANDS.items()))


def _failed(error: Exception) -> int:
    """Say what went wrong and return the exit code for it."""
    code, message = failure(error)
    terminal.note(message)
    return code


def failure(error: Exception) -> tuple[int, str]:
    """The exit code for what went wrong, and what to say about it."""
    from sandbox.errors import SandboxError  # noqa: PLC0415 - only where something failed

    if isinstance(error, SandboxError):
        return exit_code_of(error), error.message
    if isinstance(error, UnicodeEncodeError):
        return USAGE, "an argument is not text in UTF-8"
    if isinstance(error, OSError) and error.filename is not None:
        return USAGE, f"{error.filename}: {error.strerror}"
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" ({place.tb_frame.f_code.co_filename}:{place.tb_lineno})" if place is not None else ""
    return NOT_STARTED, f"a mistake of this program, please report it: {type(error).__name__}: {error}{where}"


def exit_code_of(error: SandboxError) -> int:
    """2 for what the caller can change in the command line, 3 for everything else."""
    from sandbox.errors import SandboxFileError, UsageError  # noqa: PLC0415

    return USAGE if isinstance(error, (UsageError, SandboxFileError)) else NOT_STARTED
