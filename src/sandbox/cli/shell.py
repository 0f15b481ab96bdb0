"""`sandbox shell`: this terminal is one inside a session, here or on a server, until the shell there ends."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from sandbox.cli import arguments, terminal
from sandbox.cli.session import Session, start_ahead
from sandbox.errors import UsageError

if TYPE_CHECKING:
    from sandbox.cli.flags import Parser
    from sandbox.cli.seat import Opener

_EPILOG = """\
ID is a session's id, the beginning of one, or the name of its sandbox. All that
is typed goes inside, Ctrl-C, Ctrl-D and Ctrl-Z too; Ctrl-D on an empty line
ends a shell. Enter, then ~. gets away from a program that does not end.

A session on this machine is opened with these flags, not those of the time
before, as by `sandbox run --session`, and the files that the shell changes are
stored at its end. With --server it is a sandbox of that server, by its id; it
has its own options, and is started if it was stopped. $SANDBOX_API_KEY has the
key.

What is printed inside comes to your terminal as it is, and lets the code there
do all that a terminal can be told to do.

exit code:
  n        the program's own
  128 + n  signal n ended it
  2, 3     as of `sandbox run`

examples:
  sandbox shell analysis
  sandbox shell analysis python3 -q
  sandbox shell --server https://sandboxes.example.com report
"""


def main(argv: list[str]) -> int:
    """Sit in front of the terminal until its program ends; return the exit code. Raises SandboxError, OSError."""
    parser = _parser()
    args = parser.parse_args(argv, arguments.Arguments())
    if args.server is not None:
        _check_flags(parser, args)
    if not (os.isatty(0) and os.isatty(1)):
        raise UsageError(
            "`sandbox shell` needs a terminal, and its standard input or output is none; "
            "`sandbox run --session ID` runs code without one"
        )
    program = (args.rest[1:] if args.rest[:1] == ["--"] else args.rest) or None
    return _local(args, program) if args.server is None else _remote(args, program)


def _local(args: arguments.Arguments, program: list[str] | None) -> int:
    from sandbox.cli.sessions_find import stored_id  # noqa: PLC0415 - after the parser has accepted the arguments

    args.session = stored_id(args.session)
    keeper = start_ahead(args.environment or args.packages or None)
    session = Session(arguments.sandbox_options(args), keeper, args.session)
    try:
        return _sit(session.opener(program, _variables()))
    finally:
        session.close()


def _remote(args: arguments.Arguments, program: list[str] | None) -> int:
    from sandbox.cli.shell_remote import opener  # noqa: PLC0415 - an HTTP client, which most shells do without

    return _sit(opener(args.server, args.session, program, _variables()))


def _sit(opener: Opener) -> int:
    import asyncio  # noqa: PLC0415 - once the session has started

    from sandbox.cli.seat import sit  # noqa: PLC0415

    code = asyncio.run(sit(opener))
    if code < 0:
        terminal.note(f"ended by signal {-code}")
    return 128 - code if code < 0 else code


def _variables() -> dict[str, str]:
    """What programs inside have to know of this terminal. What is typed is not kept: the home is what is stored."""
    terminal = {name: value for name in ("TERM", "COLORTERM") if (value := os.environ.get(name))}
    return {"HISTFILE": "", "LESSHISTFILE": "-", **terminal}


def _check_flags(parser: Parser, args: arguments.Arguments) -> None:
    """Raises UsageError for flags that a sandbox of a server has no use for."""
    own = {"server", "session", "rest"}
    given = {name for name, value in vars(args).items() if name not in own and value != parser.get_default(name)}
    if given:
        flags = ", ".join(f"--{'with' if name == 'packages' else name.replace('_', '-')}" for name in sorted(given))
        raise UsageError(f"{flags} cannot go with --server: a sandbox there has its own options")


def _parser() -> Parser:
    from sandbox.cli.flags import HelpFormatter, Parser, add_sandbox_flags  # noqa: PLC0415

    parser = Parser(
        prog="sandbox shell",
        usage="sandbox shell [flags] ID [PROGRAM [argument ...]]",
        description="A shell, or another program, in a session, on this terminal.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("session", metavar="ID", help="the session")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="PROGRAM", help="what to run (default: a shell)")
    parser.add_argument("--server", metavar="URL", help="of the server that has the session")
    add_sandbox_flags(parser, None, executions=False)
    return parser
