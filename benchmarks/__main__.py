"""`python -m benchmarks [names ...] [--quick]`: measures, prints the table's lines as they come, writes the results."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from benchmarks import plot, report
from benchmarks.cases import NAMES
from benchmarks.figures import Figure
from benchmarks.machine import Machine
from benchmarks.ours import isolation
from benchmarks.settings import Settings

_HERE = Path(__file__).parent
_MOST_SECONDS = 300.0
_KEPT = {"PYTHONPATH", "PYTHONHOME"}


def main(argv: list[str] | None = None) -> int:
    """Return 1 if a benchmark failed. A missed goal is no failure: it is in the table."""
    parser = _parser()
    args = parser.parse_args(argv)
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    settings = Settings(quick=args.quick, rounds=args.rounds, peers=args.peers)
    machine = Machine.now()
    if machine.warning:
        print(f"warning: {machine.warning}", file=sys.stderr)
    begin = time.monotonic()
    level = asyncio.run(isolation())
    found = {name: _measured(name, settings) for name in args.names or NAMES}
    figures = {name: some for name, some in found.items() if some}
    results = report.Results(machine, level, time.monotonic() - begin, args.quick, figures)
    args.out.mkdir(parents=True, exist_ok=True)
    report.write(results, args.out)
    plot.draw(results, args.out / "results.png")
    print(f"{results.seconds:.0f} s in all; see {args.out / 'RESULTS.md'}")
    return 1 if None in found.values() else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="name", help=f"some of {', '.join(NAMES)}; all if left out")
    add("--quick", action="store_true", help="few rounds and small amounts: less than a minute")
    add("--rounds", type=int, metavar="N", help="how often the sides take turns")
    add("--no-peers", dest="peers", action="store_false", help="measure ours alone")
    add("--out", type=Path, default=_HERE, metavar="DIR", help="where the results go (default: benchmarks/)")
    return parser


def _measured(name: str, settings: Settings) -> list[Figure] | None:
    """Run a benchmark in a process of its own; None if it failed."""
    begin = time.monotonic()
    print(f"{name}:", flush=True)
    command = [sys.executable, "-m", "benchmarks.one", name, msgspec.json.encode(settings).decode()]
    try:
        ended = subprocess.run(command, env=_environment(), stdout=subprocess.PIPE, check=False, timeout=_MOST_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"  {name} took more than {_MOST_SECONDS:g} s and was ended", file=sys.stderr)
        return None
    if ended.returncode:
        print(f"  {name} failed with exit code {ended.returncode}", file=sys.stderr)
        return None
    figures = msgspec.json.decode(ended.stdout, type=list[Figure])
    for figure in figures:
        peer = "" if figure.peer is None else f"; {figure.peer_name}: {figure.peer}; {report.ratio_text(figure)}"
        met = {True: "met", False: "MISSED", None: ""}[figure.met]
        print(f"  {figure.what}: {figure.ours}{peer} {met}".rstrip())
    print(f"  {time.monotonic() - begin:.0f} s", flush=True)
    return figures


def _environment() -> dict[str, str]:
    """Ours without what changes how Python runs: PYTHONUNBUFFERED and PYTHONDONTWRITEBYTECODE slow some sides down."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") or name in _KEPT}


if __name__ == "__main__":
    raise SystemExit(main())
