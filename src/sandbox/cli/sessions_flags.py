"""The arguments of each command of `sandbox sessions`, and the help."""

from __future__ import annotations

import argparse

from sandbox.cli.flags import HelpFormatter

COMMANDS = {
    "list": "every session, the last used first",
    "show": "a session's variables and files, and what could not be kept",
    "log": "the tree of its checkpoints",
    "diff": "what another checkpoint has more, less and otherwise",
    "rollback": "go back to a checkpoint: variables and files",
    "fork": "make independent sessions that begin at a checkpoint",
    "label": "give a checkpoint a name, or take it away",
    "export": "write a session into a file: a notebook, or to import elsewhere",
    "import": "make a session of such a file",
    "rm": "delete sessions with all their checkpoints",
    "gc": "drop old checkpoints, and free the space that nothing needs",
    "verify": "read everything that is stored, and say what is damaged",
}

_HELP = """\
usage: sandbox sessions COMMAND ...

Look at and change the sessions that are stored on this machine. No sandbox is
started. `sandbox run --session ID` and `sandbox repl --session ID` go on with
one; so does LocalSandbox(session_id=ID). `sandbox shell ID` is a shell in one.

commands:
{commands}

A session is named by its id, by its name or by the beginning of its id.
A checkpoint (TO) is
  5           the one that execution 5 made; 0 is before the first
  @7 or '#7'  number 7; quote the second, which a shell takes for a comment
  head        where the session is
  good        the newest that has this label

exit code:
  0   done
  1   verify or gc found damage, or rm was not confirmed
  2   the command line is wrong, or names what there is not
  3   the store cannot do it: another process holds the session, for one
  141 nobody reads standard output any more

Without a command it is `list`. list, show, log, diff and verify take --json,
which prints one object on one line; times are seconds since 1970.

examples:
  sandbox sessions
  sandbox sessions log cd81
  sandbox sessions diff cd81 3 head
  sandbox sessions rollback cd81 3
  sandbox sessions fork cd81 good -n 4
  sandbox sessions export cd81 analysis.ipynb
"""

_EPILOGS = {
    "list": (
        "SIZE is what a session has added: forks share what was there before.\n\n"
        "examples:\n  sandbox sessions list\n"
        "  sandbox sessions --json | jq -r '.sessions[].id'\n"
    ),
    "show": "examples:\n  sandbox sessions show cd81\n  sandbox sessions show cd81 3 --json\n",
    "log": (
        "A checkpoint is a star, with the number to name it by as @N; the lines join it\n"
        "to the one that it follows. `head` is where the session is.\n\n"
        "examples:\n  sandbox sessions log cd81\n  sandbox sessions log cd81 -n 20\n"
    ),
    "diff": (
        "+ is only in B, - only in A, ~ in both and changed.\n\n"
        "examples:\n  sandbox sessions diff cd81 3 5\n  sandbox sessions diff cd81 good head\n"
    ),
    "rollback": (
        "The checkpoints after it stay: `log` shows them, and they can be gone back to.\n\n"
        "examples:\n  sandbox sessions rollback cd81 3\n  sandbox sessions rollback cd81 @7\n"
    ),
    "fork": (
        "The new ids are printed, one a line. What is stored already is shared.\n\n"
        "examples:\n  sandbox sessions fork cd81\n  sandbox sessions fork cd81 good -n 4\n"
    ),
    "label": (
        "A labelled checkpoint stays when old ones are dropped to make room.\n\n"
        "examples:\n  sandbox sessions label cd81 3 good\n  sandbox sessions label cd81 good ''\n"
    ),
    "export": (
        "A notebook has the executions that led to the head, with their outputs; an\n"
        "archive has all checkpoints, variables and files.\n\n"
        "examples:\n  sandbox sessions export cd81 analysis.ipynb\n  sandbox sessions export cd81 cd81.sandbox\n"
    ),
    "import": (
        "The session's id is printed. Nothing of the file is run.\n\n"
        "examples:\n  sandbox sessions import cd81.sandbox\n  sandbox sessions import cd81.sandbox --id copy\n"
    ),
    "rm": (
        "Asks on a terminal. If another process holds one of them, none is deleted.\n\n"
        "examples:\n  sandbox sessions rm cd81\n  sandbox sessions rm --yes cd81 9f0c\n"
    ),
    "gc": (
        "Without --keep no checkpoint is dropped. Those with a label stay in any case,\n"
        "and so does where a session is. Sessions that a process holds are passed over.\n\n"
        "examples:\n  sandbox sessions gc\n  sandbox sessions gc --keep 20\n  sandbox sessions gc cd81 --keep 1\n"
    ),
    "verify": "examples:\n  sandbox sessions verify\n  sandbox sessions verify --json\n",
}  # fmt: skip
_JSON = frozenset({"list", "show", "log", "diff", "verify"})
_TO = "an execution's number, @N, a label or head"


def help_text() -> str:
    """What `sandbox sessions --help` prints."""
    return _HELP.format(commands="\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items()))


def parser(command: str) -> argparse.ArgumentParser:
    """The parser of one command: only that one is made, since making each takes time."""
    made = argparse.ArgumentParser(
        prog=f"sandbox sessions {command}",
        description=f"{COMMANDS[command][0].upper()}{COMMANDS[command][1:]}.",
        epilog=_EPILOGS[command],
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    if command in _JSON:
        made.add_argument("--json", action="store_true", help="print one JSON object")
    _ADD.get(command, lambda _made: None)(made)
    return made


def _add_session(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="ID", help="the session's id, or how it begins")


def _add_show(parser: argparse.ArgumentParser) -> None:
    _add_session(parser)
    parser.add_argument("to", metavar="TO", nargs="?", default="head", help=f"{_TO} (default: head)")
    parser.add_argument("--all", action="store_true", help="every variable and file, not the first 30")


def _add_log(parser: argparse.ArgumentParser) -> None:
    _add_session(parser)
    parser.add_argument("-n", type=_count, dest="most", metavar="LINES", help="so many lines (default: all)")


def _add_diff(parser: argparse.ArgumentParser) -> None:
    _add_session(parser)
    parser.add_argument("old", metavar="A", help=_TO)
    parser.add_argument("new", metavar="B", help="as well")


def _add_rollback(parser: argparse.ArgumentParser) -> None:
    _add_session(parser)
    parser.add_argument("to", metavar="TO", help=_TO)


def _add_fork(parser: argparse.ArgumentParser) -> None:
    _add_session(parser)
    parser.add_argument("to", metavar="TO", nargs="?", default="head", help=f"{_TO} (default: head)")
    parser.add_argument("-n", type=int, dest="number", default=1, metavar="N", help="how many (default: 1)")


def _add_label(parser: argparse.ArgumentParser) -> None:
    _add_rollback(parser)
    parser.add_argument("text", metavar="TEXT", help="the label; '' takes it away")


def _add_collect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sessions", metavar="ID", nargs="*", help="drop checkpoints of these only (default: all)")
    parser.add_argument("--keep", type=_count, metavar="N", help="drop all but the newest N checkpoints of a session")


def _add_export(parser: argparse.ArgumentParser) -> None:
    _add_session(parser)
    parser.add_argument("file", metavar="FILE", help="a name that ends in .ipynb or .sandbox")
    parser.add_argument("--replace", action="store_true", help="if there is such a file already")


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="what `export` wrote, .sandbox")
    parser.add_argument("--id", default="", metavar="ID", help="the session's id (default: the one that it had)")


def _add_remove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sessions", metavar="ID", nargs="+", help="a session's id, or how it begins")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


_ADD = {
    "show": _add_show, "log": _add_log, "diff": _add_diff, "rollback": _add_rollback, "fork": _add_fork,
    "label": _add_label, "export": _add_export, "import": _add_import, "rm": _add_remove,
    "gc": _add_collect,
}  # fmt: skip
