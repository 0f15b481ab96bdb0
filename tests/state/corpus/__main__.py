"""Prints what survived, by kind: `python -m tests.state.corpus [--way ...] [--each] [words of names]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.state.corpus.all import CORPUS, HELD_OUT
from tests.state.corpus.case import Case
from tests.state.harness.survival import WAYS, Outcome, survive
from tests.state.harness.workers import Zygote

COLUMNS = ("kept", "lost", "wrong", "skipped")


def main(arguments: list[str]) -> int:
    """Run what is asked for, print the tables; return 1 if anything was silently wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.state.corpus", description=__doc__)
    parser.add_argument("--saver", choices=("product", "control", "dill", "cloudpickle"), default="product")
    parser.add_argument("--way", choices=tuple(WAYS), default="in one process")
    parser.add_argument("--each", action="store_true", help="a line for each case that was not kept")
    parser.add_argument("--known", action="store_true", help="without the cases that were held out")
    parser.add_argument("words", nargs="*", help="only cases with one of these in their names")
    options = parser.parse_args(arguments)
    zygote = Zygote(options.saver)
    wrong = 0
    for title, cases in (("corpus", CORPUS), ("held out", [] if options.known else HELD_OUT)):
        chosen = [case for case in cases if not options.words or any(word in str(case) for word in options.words)]
        begin = time.monotonic()
        outcomes = [(case, _outcome(zygote, case, options.way)) for case in chosen]
        print(f"\n{title}: {len(chosen)} cases, {options.way}, {time.monotonic() - begin:.1f} s\n")
        _print_table(outcomes)
        if options.each:
            _print_each(outcomes)
        wrong += sum(outcome.status == "wrong" for _, outcome in outcomes)
    zygote.close()
    return 1 if wrong else 0


def _outcome(zygote: Zygote, case: Case, way: str) -> Outcome:
    return Outcome("skipped") if case.missing() else survive(zygote, case, WAYS[way])


def _print_table(outcomes: Iterable[tuple[Case, Outcome]]) -> None:
    """A row for each kind and one for all, as a table of Markdown."""
    counts: dict[str, Counter[str]] = {}
    for case, outcome in outcomes:
        for kind in (case.kind, "all"):
            counts.setdefault(kind, Counter())[outcome.status] += 1
    rows = [(kind, count) for kind, count in counts.items() if kind != "all"]
    rows += [("all", counts["all"])] if counts else []
    print(f"| kind | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    for kind, count in rows:
        print(f"| {kind} | {' | '.join(str(count[column]) for column in COLUMNS)} |")


def _print_each(outcomes: Iterable[tuple[Case, Outcome]]) -> None:
    print()
    for case, outcome in outcomes:
        if outcome.status != "kept":
            note = "" if outcome.is_as_expected(case) else " (not expected)"
            print(f"* {case}: {outcome.status}{note} {_brief(outcome)}".rstrip())


def _brief(outcome: Outcome) -> str:
    """What was lost, and the last line of what was wrong."""
    lost = "; ".join(f"{name}: {reason[:100]}" for name, reason in outcome.lost.items())
    return " | ".join(text for text in (lost, outcome.detail.strip().rpartition("\n")[2][:300]) if text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
