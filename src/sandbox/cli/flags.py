"""The flags of `run` and `repl`, and their help. Apart from `arguments`, since argparse takes 5 ms to import."""

from __future__ import annotations

import argparse
import math
import os
import re
from typing import NoReturn

from sandbox.cli.arguments import TIMEOUT
from sandbox.errors import UsageError

_WIDEST = 100
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(|[mg]b?)", re.IGNORECASE)
_UNITS = {"": 1, "M": 1, "MB": 1, "G": 1024, "GB": 1024}

_RUN_EPILOG = """\
Flags come before the script, or before the code's own arguments; after `--`
nothing is a flag. The code's directory is its workspace: it begins with the
script and what --file brings, and is gone at the end. What the code writes
below artifacts/, and the figures that it shows, are kept by --artifacts.
There is no standard input inside. What is printed is text: bytes that are not
UTF-8 are replaced, so write other data to a file below artifacts/.

With --session the code is one execution of a session, whose variables and
files are stored after it and go on with the next; one before it sets the
arguments of a script. `sandbox sessions` lists them. The session is opened
with these flags, not those of the time before, but for language and seed.
What still runs when the code ends, ends with it: threads and processes.

exit code:
  0        the code ran to its end
  1        it raised an exception, or a limit other than those below stopped it
  n        it called sys.exit(n) or os._exit(n)
  2        the command line is wrong
  3        no sandbox could be started; `sandbox doctor` says why
  124      it did not end within --timeout
  128 + n  it died from signal n: 137 if it was killed for its memory, 139 for a
           crash in native code
  130      Ctrl-C: it got a KeyboardInterrupt. A second Ctrl-C ends it at once
  141      nobody reads standard output any more

--json prints one line, an object that always has these keys:
  exit_code, status   ok, error, interrupted, timeout, limit, killed, crashed,
                      or not_run
  stdout, stderr      what was printed
  results             what was displayed: each has data, by MIME type (images
                      as base64), main, true for the last expression's value,
                      and chart
  error               type, message, traceback; or null
  cause               of a failure: kind, message, limit, seen, remedy; or null
  artifacts           each has name, path if it was kept, mime, size, sha256
  files               lists: created, modified, deleted
  truncated           the streams of which the end was dropped
  warnings, state, execution_time (seconds),
  usage               cpu_seconds, peak_memory (bytes)
  isolation, network, enforced
  session             what --session named, or null; restored_to: if state is
                      restored, the execution whose variables it has now;
                      lost_names: variables that could not be stored

examples:
  sandbox run script.py input.txt
  sandbox run -c 'print(6 * 7)'
  sandbox run --file sales.csv --artifacts out analysis.py sales.csv
  sandbox run --with polars --memory 4G --timeout 300 big.py
  sandbox run --mount ~/data:/data --json -c 'import os; os.listdir("/data")'
  sandbox run --session sales -c 'import pandas; d = pandas.read_csv("a.csv")'
  generate | sandbox run - | head
"""

REPL_COMMANDS = """\
!command      run a line of shell in the sandbox
%files        list the workspace
%artifacts    list what was produced: figures, and files below artifacts/
%help         this list
Ctrl-C        interrupt what runs, or clear the line; twice ends what does not
              stop, and its variables with it
Ctrl-D        leave; so does exit(), or .exit in JavaScript
"""

_REPL_EPILOG = f"""\
The session is gone when you leave, unless --session names it: then what is
typed is stored, line by line, and the same ID goes on with it. Inside:
{REPL_COMMANDS}
Where standard input is not a terminal, it is read to its end and run statement
by statement, up to the first that is no Python; JavaScript is run by what is
whole at the end of a line, and goes on after what is wrong. The exit code is 1
if one of them failed.

examples:
  sandbox repl
  sandbox repl --file sales.csv --artifacts out --memory 4G
  sandbox repl --session analysis
  sandbox repl --language javascript
  echo '6 * 7' | sandbox repl
"""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal. The width is given because finding it costs argparse an import of shutil, 5 ms."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=min(columns(), _WIDEST))


def columns() -> int:
    """How wide the terminal is: what COLUMNS says, or what it is."""
    try:
        return int(os.environ.get("COLUMNS", "")) or 80
    except ValueError:
        pass
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


class Parser(argparse.ArgumentParser):
    """Prints what is wrong and ends the process, or raises UsageError if it `raises`."""

    raises = False

    def error(self, message: str) -> NoReturn:
        """Called for a command line that is wrong."""
        if self.raises:
            raise UsageError(message)
        super().error(message)


def megabytes(text: str) -> int:
    """Read "512", "512M", "2G" or "1.5G" as megabytes."""
    match = _SIZE.fullmatch(text)
    size = float(match[1]) * _UNITS[match[2].upper()] if match else 0.5
    if size != int(size):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 512, 512M, 2G or 1.5G, in whole MB")
    return int(size)


def seconds(text: str) -> float | None:
    """Read a number of seconds, or "none" for no limit."""
    return None if text == "none" else _number(text, "a number of seconds such as 30 or 0.5, or none")


def cpus(text: str) -> float:
    """Read how many cpus."""
    return _number(text, "a number of cpus such as 0.5 or 2")


def count(text: str) -> int:
    """Read how many."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number such as 128")
    return int(text)


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return number


def keep_in(directory: str | None) -> None:
    """Keep everything in a directory, where --data names one, before anything asks where that is."""
    if directory is not None:
        os.environ["SANDBOX_HOME"] = os.path.abspath(os.path.expanduser(directory))


def add_file_flags(parser: argparse.ArgumentParser) -> None:
    """Add how files come and go."""
    add = parser.add_argument
    add("--file", action="append", metavar="LOCAL[:INSIDE]", help="copy a file into the workspace")
    add("--artifacts", metavar="DIR", help="keep what the code produced in this directory")
    add("--replace", action="store_true", help="let --artifacts replace files that are there already")


def add_sandbox_flags(parser: argparse.ArgumentParser, timeout: float | None, *, executions: bool = True) -> None:
    """Add what a sandbox may have and do; `timeout` is this command's default.

    Without `executions`, not what only these have, and no session, since the command has an argument for it.
    """
    limits = parser.add_argument_group("limits")
    add = limits.add_argument
    add("--memory", type=megabytes, metavar="MB", help="of all its processes together, as 512 or 2G (default: 1024)")
    add("--cpus", type=cpus, metavar="N", help="how many cpus' time, as 0.5 or 2 (default: 1)")
    if executions:
        described = "none" if timeout is None else f"{timeout:g}"
        add("--timeout", type=seconds, default=timeout, metavar="SECONDS", help=f"or none (default: {described})")
    else:
        parser.set_defaults(timeout=timeout)
    add("--processes", type=count, metavar="N", help="processes and threads at once (default: 128)")
    add("--disk", type=megabytes, metavar="MB", help="of its files (default: 1024)")
    add(
        "--output", type=megabytes, metavar="MB", help="of each of stdout and stderr; the rest is dropped (default: 10)"
    )
    sandbox = parser.add_argument_group("the sandbox")
    add = sandbox.add_argument
    if executions:
        add("--session", metavar="ID", help="go on with this session, or begin it: variables and files are stored")
    add("--storage", type=megabytes, metavar="MB", help="of the stored session; its oldest go first (default: 20G)")
    add("--checkpoints", type=count, metavar="N", help="kept besides those with a label (default: 1000)")
    add("--env", action="append", metavar="K=V", help="set an environment variable; again for more")
    add("--mount", action="append", metavar="HOST:INSIDE[:rw]", help="show a host directory or file")
    add("--allow-host", action="append", metavar="RULE", help="a host it may reach: api.example.com, *.example.org:443")
    add(
        "--secret",
        action="append",
        metavar="NAME@HOST",
        help="your variable NAME, used for that host and never seen by the code; --allow-host lets it reach it",
    )
    add("--network", choices=("none", "learn", "host"), help="none but what --allow-host names (default: none)")
    add("--isolation", choices=("auto", "namespaces", "landlock", "none"), help="how strong (default: auto)")
    add(
        "--seed",
        type=count,
        metavar="N",
        help="make it deterministic: random numbers, hashes and the clock follow from it",
    )
    packages = sandbox.add_mutually_exclusive_group()
    packages.add_argument(
        "--environment", metavar="PATH", help="a virtual environment, for its interpreter and packages; or a Node"
    )
    packages.add_argument(
        "--with", action="append", metavar="PACKAGE", dest="packages",
        help="an environment with this package, built by uv and kept; again for more",
    )  # fmt: skip
    add("-v", "--verbose", action="store_true", help="show the isolation in force and times, on stderr")


def run_parser() -> Parser:
    """The flags of `sandbox run`."""
    parser = Parser(
        prog="sandbox run",
        usage="sandbox run [flags] SCRIPT [argument ...]\n       sandbox run [flags] -c CODE [argument ...]\n"
        "       sandbox run [flags] - [argument ...]",
        description="Run Python or JavaScript in a sandbox of its own, with its output as it comes.",
        epilog=_RUN_EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("rest", nargs=argparse.REMAINDER, metavar="SCRIPT", help="a script, or - to read it from standard input")
    add("-c", dest="code", metavar="CODE", help="run this code instead of a script")
    _add_language(parser, "what the script's name or the session says")
    add_file_flags(parser)
    add("--list-files", action="store_true", help="list what it wrote into the workspace, on stderr")
    add("--json", action="store_true", help="print one JSON object at the end instead")
    add_sandbox_flags(parser, TIMEOUT)
    return parser


def repl_parser() -> Parser:
    """The flags of `sandbox repl`."""
    parser = Parser(
        prog="sandbox repl",
        description="An interactive session in a sandbox: Python, JavaScript or TypeScript.",
        epilog=_REPL_EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    _add_language(parser, "what the session says")
    add_file_flags(parser)
    add_sandbox_flags(parser, None)
    return parser


def _add_language(parser: argparse.ArgumentParser, otherwise: str) -> None:
    choices = ("python", "javascript", "typescript")
    parser.add_argument("--language", choices=choices, help=f"of the code (default: {otherwise}, else python)")
