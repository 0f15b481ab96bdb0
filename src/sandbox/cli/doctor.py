"""`sandbox doctor`: what this machine can give to sandboxes, layer by layer, and what to do about the rest."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sandbox.cli import terminal
from sandbox.cli.flags import HelpFormatter
from sandbox.errors import UsageError
from sandbox.inside.contain.policy import LEVELS
from sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from sandbox.engine.doctor import Diagnosis, Fact, Level

EVERYTHING, LESS, NOTHING = 0, 1, 2

_EPILOG = """\
It starts a sandbox at each level of isolation and reads what is in force.

exit code:
  0   sandboxes start here with everything that isolation="auto" can give
  1   they start with less: only level landlock, or without control groups
  2   none can be started

--json prints one object with these keys:
  exit_code
  auto      the level that isolation="auto" takes; null if there is none
  lacking   what it does without: a level, or names of restrictions
  levels    each has name, works, enforced, missing, seconds, error, remedy
  limits, machine
            each has name, value, good (true, false or null), remedy

--attack runs more than a hundred harmless attacks from inside of sandboxes
against bait that it lays for them, and shows what stopped each; it takes some
15 seconds.
exit code: 0 if everything was stopped that must be, 1 if something got through,
3 if no sandbox can be started. Its keys with --json:
  exit_code, isolation, enforced, seconds
  harm      what was done to the bait
  attacks   each has family, name, goal, answer, layer, seconds, and an outcome:
            "stopped", "through", "open" (the level does not claim to stop it),
            "untried" (there is nothing to try it on)
"""


def main(argv: list[str]) -> int:
    """Examine the machine; return the exit code. Raises SandboxStartError off Linux."""
    parser = argparse.ArgumentParser(
        prog="sandbox doctor",
        description="Show which isolation this machine can give.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--attack", action="store_true", help="attack sandboxes, and show what stops each attack")
    parser.add_argument(
        "--isolation", metavar="LEVEL", choices=("auto", *LEVELS),
        help=f"the level to attack: auto, {' or '.join(LEVELS)}; for --attack alone",
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.attack:
        from sandbox.cli import attack  # noqa: PLC0415 - it takes an engine

        return attack.main(args.isolation or SandboxOptions().isolation, as_json=args.json)
    if args.isolation is not None:
        raise UsageError("--isolation is for --attack: without, every level is examined")
    from sandbox.engine.doctor import diagnose  # noqa: PLC0415 - after the parser has accepted the flags

    found = diagnose()
    if args.json:
        terminal.write(terminal.OUT, json.dumps(_as_json(found)) + "\n")
    else:
        from sandbox.cli.tables import show  # noqa: PLC0415 - rich takes 100 ms

        show(found, verdict(found))
    return exit_code(found)


def exit_code(found: Diagnosis) -> int:
    """0 for everything, 1 for less, 2 for nothing."""
    if found.auto is None:
        return NOTHING
    return LESS if found.lacking else EVERYTHING


def verdict(found: Diagnosis) -> str:
    """The result in one sentence."""
    if found.auto is None:
        return "No sandbox can be started here."
    if found.lacking:
        return f"Sandboxes start at level {found.auto}, without {', '.join(found.lacking)}."
    return f"Sandboxes start at level {found.auto}, with everything in force."


def _as_json(found: Diagnosis) -> dict[str, Any]:
    return {
        "exit_code": exit_code(found),
        "auto": found.auto,
        "lacking": found.lacking,
        "levels": [_level(level) for level in found.levels],
        "limits": [asdict(fact) for fact in found.limits],
        "machine": [asdict(fact) for fact in found.machine],
    }


def _level(level: Level) -> dict[str, Any]:
    return {**asdict(level), "missing": level.missing}


def remedies(found: Diagnosis) -> list[tuple[str, str]]:
    """What is not as good as it could be, with what to do about it, the most important first."""
    levels = [(f"level {level.name}", level.remedy) for level in found.levels if level.remedy]
    facts: list[Fact] = [fact for fact in found.machine if fact.remedy]
    facts.sort(key=lambda fact: fact.good is None)
    known = {remedy for _, remedy in levels}
    return levels + [(fact.name, fact.remedy) for fact in facts if fact.remedy not in known]
